"""Recall and false share by what sounds together in a segment, and at which ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from export.recipes.speech_music_noise.scenes.labels import CELL_SAMPLES
from export.recipes.speech_music_noise.sources.rules import KINDS, SAMPLE_RATE
from export.recipes.speech_music_noise.training.predictions import Active, Probs

RATIO_STEPS_DB = ((-99, 0), (0, 5), (5, 10), (10, 20.1))


def by_condition(
    probs: Probs, active: Active, segments: Sequence[Sequence[dict[str, Any]]], thresholds: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """For each kind of segment, by class: recall where the class sounds, and false share where it does not.

    The false share is that of the cells without the class in which it is predicted.

    Args:
        probs, active: (S, cells, 3) scores and truth of every 10 ms.
        segments: of each stream, as dictionaries (see compose.Segment).
        thresholds: of each class.
    """
    parts: dict[str, list[tuple[Probs, Active]]] = {}
    for stream, rows in enumerate(segments):
        for row in rows:
            span = slice(row["start"] // CELL_SAMPLES, row["end"] // CELL_SAMPLES)
            parts.setdefault(condition(row), []).append((probs[stream, span], active[stream, span]))
    table: dict[str, dict[str, Any]] = {}
    for name in sorted(parts):
        scores = np.concatenate([part[0] for part in parts[name]])
        true = np.concatenate([part[1] for part in parts[name]])
        predicted = scores >= np.array(thresholds)
        table[name] = {"seconds": round(len(true) * CELL_SAMPLES / SAMPLE_RATE)}
        for column, kind in enumerate(KINDS):
            if true[:, column].any():
                table[name][f"{kind} recall"] = float(predicted[:, column][true[:, column]].mean())
            if not true[:, column].all():
                table[name][f"{kind} false"] = float(predicted[:, column][~true[:, column]].mean())
    return table


def condition(segment: dict[str, Any]) -> str:
    """A segment's name in the table: its sources, and which five or ten dB its ratio lies in."""
    kinds = "+".join(segment["kinds"]) or "silence"
    if segment["ratio"] is None:
        return kinds
    low, high = next(step for step in RATIO_STEPS_DB if step[0] <= segment["ratio"] < step[1])
    return f"{kinds} {'below 0' if low < 0 else f'{low} to {int(high)}'} dB"
