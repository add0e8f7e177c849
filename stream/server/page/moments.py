"""Moments: how a source stands, from the readings of its telemetry, as JSON for the page."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.dashboard.theme import BLOCKS
from stream.dashboard.words import clock, figure_words, position, source_facts, span, state_words
from stream.messages import Event
from stream.printable import printable
from stream.telemetry import Readings

LOWEST_DB = -120.0  # of a byte of spectrum; each step is half a decibel
NO_SPECTRUM = 255
OF_COMPUTING = ("computing", "a chunk takes", "slowest 1 %")  # figures


def about(name: str, readings: Readings, epoch: str) -> dict[str, Any]:
    """What stays as it is while a source runs.

    Args:
        name: of the source.
        epoch: differs whenever column numbers begin anew.
    """
    source = readings.source
    return {
        "name": printable(name),
        "epoch": epoch,
        "facts": [*source_facts(readings), *([printable(source.detail)] if source.detail else [])],
        "model": printable(readings.model),
        "provider": readings.provider,
        "labels": [printable(label) for label in readings.labels],
        "column_seconds": readings.column_seconds,
        "centres": [round(float(hertz), 1) for hertz in readings.centres],
    }


def standing(readings: Readings) -> dict[str, Any]:
    """What a glance shows: state, level, probabilities, thresholds, and which classes are on."""
    words, meaning = state_words(readings)
    return {
        "state": {
            "name": readings.state,
            "mark": BLOCKS.mark[readings.state],
            "words": words,
            "meaning": meaning,
            "detail": printable(readings.state_detail),
        },
        "stale": readings.stale,
        "position": position(readings),
        "level": {
            "rms": round(readings.rms_dbfs, 1),
            "peak": round(readings.peak_dbfs, 1),
            "clipped": readings.clipped,
        },
        "now": _shares(readings.probs),
        "peaks": _shares(readings.peaks),
        "thresholds": _shares(readings.thresholds),
        "on": readings.active[:, -1].tolist(),
    }


def figures(readings: Readings, *, alone: bool) -> list[dict[str, Any]]:
    """How things go, in the terminal's words; what is wrong first.

    Args:
        alone: the source computes alone. Among many it waits for its turn, and what that takes says nothing.
    """
    return [
        {"name": name, "value": value.strip(), "bad": bad}
        for name, value, bad in figure_words(readings)
        if alone or name not in OF_COMPUTING
    ]


def columns(readings: Readings, since: int) -> dict[str, Any]:
    """Columns from number ``since`` on, or from the oldest that is kept.

    ``probs`` are rows of C numbers, None without any; ``spectrum`` is base64 of B bytes for each column, lowest band
    first: half decibels from -120 on, 255 = nothing. ``gaps`` and ``cold`` are [first, behind the last) of all that is
    kept.
    """
    kept = readings.timeline.shape[1]
    oldest = readings.newest_column - kept + 1
    first = max(since, oldest, 0)
    at = first - oldest
    probs = readings.timeline[:, at:].T
    decibels = readings.spectrum[:, at:].T
    steps = np.clip(np.rint(2 * (np.nan_to_num(decibels, nan=0.0) - LOWEST_DB)), 0, NO_SPECTRUM - 1)
    data = np.where(np.isnan(decibels), NO_SPECTRUM, steps).astype(np.uint8)
    return {
        "first": first,
        "newest": readings.newest_column,
        "probs": [None if np.isnan(row).all() else _shares(row) for row in probs],
        "spectrum": base64.b64encode(np.ascontiguousarray(data).tobytes()).decode("ascii"),
        "gaps": _runs(readings.gaps, oldest),
        "cold": _runs(readings.cold & ~np.isnan(readings.timeline).all(axis=0), oldest),
    }


def event(one: Event, began: str, readings: Readings) -> dict[str, Any]:
    """One event: where it lies in columns, and in words.

    Args:
        began: the time of day, "" for a recording.
    """
    column = readings.column_seconds
    until = readings.stream_seconds if one.offset_s is None else one.offset_s
    return {
        "id": one.id,
        "label": printable(one.label),
        "index": readings.labels.index(one.label),
        "onset": round(one.onset_s / column, 2),
        "offset": None if one.offset_s is None else round(one.offset_s / column, 2),
        "onset_sample": one.onset,
        "when": began or clock(one.onset_s, 1),
        "length": span(max(0.0, until - one.onset_s)),
        "peak": round(one.peak, 4),
        "cut": one.cut,
    }


def _shares(values: NDArray[np.float32]) -> list[float | None]:
    return [None if math.isnan(value) else round(value, 4) for value in values.tolist()]


def _runs(there: NDArray[np.bool_], oldest: int) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8))) + oldest
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True))
