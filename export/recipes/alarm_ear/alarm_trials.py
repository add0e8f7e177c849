"""Trials: one alarm at one ratio over one background, many times; and what the detector made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Split
from export.evaluation.detect import detect
from export.metrics import DetectedEvent
from export.recipes.alarm_ear.alarm_mix import HELD_OUT
from export.recipes.alarm_ear.alarm_scenes import TRIAL_SECONDS, AlarmComposer, AlarmScene
from export.recipes.alarm_ear.alarm_settings import FEATURES, LABELS
from export.recipes.alarm_ear.alarm_sources import bank
from export.recipes.alarm_ear.alarm_streams import AlarmStreams, read_streams, write_streams
from export.scenes.sounder_labels import Placed
from stream.decisions.spec import DetectorSpec

PATTERNS = ("smoke piezo", "smoke square", "co piezo", "co square", "beep")
BACKGROUNDS = ("speech", "music", "noise")
RATIOS_DB = (20.0, 10.0, 0.0, -10.0)
CYCLES = 2.0  # within which an alarm is to be found
LEAST_SECONDS = 6.0  # that a quick beep may take, whatever its cycle


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one trial.

    Attributes:
        sounder: what sounded.
        found: it was reported in time, as what it is.
        cycles: after which it was reported; None = not in this trial.
        heard: the labels reported while it sounded.
    """

    sounder: Placed
    found: bool
    cycles: float | None
    heard: tuple[str, ...]


def trials(cache: Path, part: Split, count: int, seed: int) -> AlarmStreams:
    """``count`` scenes of every pattern, background and ratio, made once and kept."""
    cells = list(product(PATTERNS, BACKGROUNDS, RATIOS_DB))
    folder = cache / "streams" / f"trials-{part}-{count}-{seed}-{FEATURES.digest}"
    scenes = _scenes(AlarmComposer(bank(cache, part), part, HELD_OUT, seed), cells, count, seed)
    write_streams(folder, scenes, len(cells) * count, TRIAL_SECONDS)
    return read_streams(folder, TRIAL_SECONDS)


def _scenes(
    composer: AlarmComposer, cells: Sequence[tuple[str, str, float]], count: int, seed: int
) -> Iterator[AlarmScene]:
    for number, (pattern, background, ratio) in enumerate(cells):
        for index in range(count):
            yield composer.trial(pattern, background, ratio, np.random.default_rng([seed, number, index]))


def events_of(probs: NDArray[np.float32], detector: DetectorSpec) -> list[tuple[DetectedEvent, ...]]:
    """Events of each of (S, T, 3) streams, by the live detector; streams that reach no threshold are not even asked."""
    rules = [detector.rule(label) for label in LABELS]
    bars = np.array([rule.threshold if rule.enabled else np.inf for rule in rules])
    reached = (probs.max(axis=1) >= bars).any(axis=1)
    return [
        detect(rows, LABELS, detector, FEATURES) if asked else ()
        for rows, asked in zip(probs, reached, strict=True)
    ]


def outcomes(streams: AlarmStreams, events: Sequence[Sequence[DetectedEvent]]) -> list[Outcome]:
    """What became of each trial."""
    return [_outcome(rows[0], found) for rows, found in zip(streams.sounders, events, strict=True) if rows]


def _outcome(sounder: Placed, events: Iterable[DetectedEvent]) -> Outcome:
    while_it_sounds = [event for event in events if event.decided >= sounder.onset]
    right = [event.decided for event in while_it_sounds if event.label == sounder.label]
    allowed = sounder.onset + max(CYCLES * sounder.cycle, LEAST_SECONDS if sounder.label == "beep" else 0.0)
    heard = tuple(label for label in LABELS if any(event.label == label for event in while_it_sounds))
    return Outcome(
        sounder,
        bool(right) and min(right) <= allowed,
        (min(right) - sounder.onset) / sounder.cycle if right else None,
        heard,
    )


def share_found(rows: Sequence[Outcome]) -> float:
    """Of trials, those found in time."""
    return share(row.found for row in rows)


def share(values: Iterable[bool]) -> float:
    """Of values, those that are true; 0 of none."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def median_cycles(rows: Sequence[Outcome]) -> float | None:
    """Median delay of those that were reported at all."""
    late = [row.cycles for row in rows if row.cycles is not None]
    return float(np.median(late)) if late else None


def confusion(rows: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """For each class that sounded, the share of its trials in which each class was reported, or "nothing"."""
    table = {}
    for label in LABELS:
        mine = [row for row in rows if row.sounder.label == label]
        counts = {other: share(other in row.heard for row in mine) for other in LABELS}
        table[label] = {**counts, "nothing": share(not row.heard for row in mine)}
    return table
