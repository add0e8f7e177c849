"""Everything measured about a finished file, on the test part, as figures and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.recipes.alarm_ear.alarm_negatives import URBAN, Negatives
from export.recipes.alarm_ear.alarm_settings import LABELS
from export.recipes.alarm_ear.alarm_streams import AlarmStreams
from export.recipes.alarm_ear.alarm_trials import (
    BACKGROUNDS,
    CYCLES,
    LEAST_SECONDS,
    PATTERNS,
    RATIOS_DB,
    Outcome,
    confusion,
    events_of,
    median_cycles,
    outcomes,
    share_found,
)
from export.recipes.speech_music_noise.release.tables import table
from stream.decisions.poisson import upper_bound
from stream.decisions.spec import DetectorSpec
from stream.inference.card import ModelCard
from stream.inference.session import Model

NO_SAFETY = (
    "It is no life-safety device: it was made and measured on synthesised alarms, it misses some, and it does not "
    "replace a smoke or carbon monoxide alarm, nor the ears of the people who should hear one."
)
_ROWS = 32  # streams at once


def heard(model: Model, streams: AlarmStreams) -> NDArray[np.float32]:
    """(S, T, 3) probabilities of the file itself, every stream from its beginning."""
    parts = []
    for first in range(0, len(streams.features), _ROWS):
        rows = streams.features[first : first + _ROWS].astype(np.float32)
        parts.append(model.step(rows, model.initial_state(len(rows)))[0])
    return np.concatenate(parts)


def report(
    model: Model,
    detector: DetectorSpec,
    tried: AlarmStreams,
    whole: AlarmStreams,
    nothing: Sequence[Negatives],
) -> dict[str, Any]:
    """Figures of a file.

    Args:
        model: with whatever rules.
        detector: the rules that are measured.
        tried: trials of the test part.
        whole: scenes in which alarms last: one alarm should be one event.
        nothing: sound without events.
    """
    rows = outcomes(tried, events_of(heard(model, tried), detector))
    false = {each.name: _false(model, detector, each) for each in nothing}
    ours = [name for name in false if name != URBAN]
    hours = sum(false[name]["hours"] for name in ours)
    return {
        "trials": len(rows),
        "found": {
            pattern: {
                background: {
                    f"{ratio:g} dB": round(share_found(_cell(rows, pattern, background, ratio)), 3)
                    for ratio in RATIOS_DB
                }
                for background in BACKGROUNDS
            }
            for pattern in PATTERNS
        },
        "cycles": {
            pattern: _rounded(median_cycles([row for row in rows if row.sounder.pattern == pattern]))
            for pattern in PATTERNS
        },
        "confusion": confusion(rows),
        "events_of_one_alarm": _events_of_one(model, detector, whole),
        "false": false,
        "false_in_all": {
            label: _rate(sum(false[name][label]["events"] for name in ours), hours) for label in LABELS
        },
        "hours": round(hours, 2),
    }


def chapter(card: ModelCard, figures: dict[str, Any]) -> str:
    """The same for people."""
    parts = [
        f"## {card.name}: {card.provenance['parameters']} parameters\n",
        f"**{NO_SAFETY}**\n",
        "Made by `python -m export.recipes.alarms` (from a clone) without a recording of an alarm. Figures are on the "
        "test part, on which nothing was chosen: rules were chosen on the validation part. Every alarm in it is "
        "synthesised too (with other draws of pitch, times, room and codec), so real alarms may fare worse.\n",
        f"### Alarms found\n\nShare of {figures['trials']} alarms reported as what they are within {CYCLES:g} cycles "
        f"of their first pulse (a beep: within {CYCLES:g} cycles or {LEAST_SECONDS:g} s, the later), by how many dB a "
        "pulse is above what sounds behind it, RMS against RMS while they sound, at all frequencies together.\n",
        table(
            ["what", "behind it", *(f"{ratio:g} dB" for ratio in RATIOS_DB), "median delay, cycles"],
            [
                [pattern, background, *figures["found"][pattern][background].values(), figures["cycles"][pattern]]
                for pattern in PATTERNS
                for background in BACKGROUNDS
            ],
        ),
        "### Taken for each other\n\nOf the same trials, the share in which each class is reported while the row "
        "sounds; several can be.\n",
        table(
            ["", *LABELS, "nothing"],
            [[label, *figures["confusion"][label].values()] for label in LABELS],
        ),
        f"An alarm that sounds for three cycles or more is {figures['events_of_one_alarm']['mean']:.2f} events on "
        f"average, where it is found ({figures['events_of_one_alarm']['alarms']} alarms).\n",
        f"### False events\n\nIn {figures['hours']:g} h without an alarm or a repeating beep; and what the true rate "
        "stays below with 95 % confidence (of a Poisson count), an hour and a day.\n",
        table(
            ["sound", "hours", *(f"{label}: events (at most an hour)" for label in LABELS)],
            [
                [name, row["hours"], *(f"{row[k]['events']} ({row[k]['per_hour_at_most']:.2f})" for k in LABELS)]
                for name, row in figures["false"].items()
            ]
            + [
                ["all but city sounds", figures["hours"],
                 *(f"{row['events']} ({row['per_hour_at_most']:.2f}; {24 * row['per_hour_at_most']:.1f} a day)"
                   for row in figures["false_in_all"].values())]
            ],
        ),
    ]  # fmt: skip
    return "\n".join(parts)


def _cell(rows: Sequence[Outcome], pattern: str, background: str, ratio: float) -> list[Outcome]:
    wanted = (pattern, background, ratio)
    return [row for row in rows if (row.sounder.pattern, row.sounder.background, row.sounder.snr) == wanted]


def _false(model: Model, detector: DetectorSpec, each: Negatives) -> dict[str, Any]:
    events = [event for found in events_of(heard(model, each.streams), detector) for event in found]
    counts = {label: sum(event.label == label for event in events) for label in LABELS}
    hours = each.streams.hours
    return {
        "hours": round(hours, 2),
        **{label: _rate(count, hours) for label, count in counts.items()},
    }


def _rate(count: int, hours: float) -> dict[str, float]:
    return {"events": count, "per_hour_at_most": round(upper_bound(count, hours), 3)}


def _events_of_one(model: Model, detector: DetectorSpec, whole: AlarmStreams) -> dict[str, float]:
    """Events of its label that touch an alarm of three cycles or more, where there are any."""
    counts = []
    for sounders, events in zip(whole.sounders, events_of(heard(model, whole), detector), strict=True):
        for each in sounders:
            if each.label == "beep" or each.offset - each.onset < 3 * each.cycle:
                continue
            touching = [
                event
                for event in events
                if event.label == each.label and event.onset < each.gone and event.offset > each.onset
            ]
            if touching:
                counts.append(len(touching))
    return {"alarms": len(counts), "mean": round(float(np.mean(counts)), 3) if counts else 0.0}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
