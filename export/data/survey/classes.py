"""The figures of each class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.data.recording import SPLITS, Dataset, Recording, Split
from export.data.survey.listening import Heard
from export.data.survey.sound import Sound

NO_CLASS = ""  # the name of the row of recordings without a label


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class.

    Attributes:
        name: of the class; "" = recordings of no class.
        recordings: how many carry it.
        read: how many of them were listened to.
        unreadable: how many of those cannot be used.
        seconds: of sound, estimated from what was read where that is less; of strong labels, of their events.
        sources: speakers or sources.
        splits: recordings in training, validation and test.
        split_seconds: their sound.
        sample_rates: Hz -> recordings, the most frequent first.
        median_seconds: length of a recording.
        level: median, dBFS.
        silence: share of silence in all that was read.
        bandwidth: median, Hz.
        levels, lengths: of each recording that was read, for pictures.
    """

    name: str
    recordings: int
    read: int
    unreadable: int
    seconds: float
    sources: int
    splits: dict[Split, int]
    split_seconds: dict[Split, float]
    sample_rates: dict[int, int]
    median_seconds: float
    level: float
    silence: float
    bandwidth: float
    levels: tuple[float, ...]
    lengths: tuple[float, ...]


def class_figures(data: Dataset, heard: Heard) -> tuple[ClassFigures, ...]:
    """The figures of every class in output order, and of recordings of none where there are such."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, recording in enumerate(data.recordings):
        for label in recording.labels or (NO_CLASS,):
            members[label].append(i)
    names = [*data.labels, *([NO_CLASS] if NO_CLASS in members else [])]
    return tuple(_figures(name, data.recordings, members[name], heard) for name in names)


def _figures(
    name: str, recordings: Sequence[Recording], members: Sequence[int], heard: Heard
) -> ClassFigures:
    sounds = {i: heard.sounds[i] for i in members if i in heard.sounds}
    read = len(sounds) + sum(i in heard.unreadable for i in members)
    lasting = {i: _seconds_of(name, recordings[i], sound) for i, sound in sounds.items()}
    scale = len(members) / read if read else 0.0  # of what was not read
    total = sum(sound.seconds for sound in sounds.values())
    levels = tuple(sound.level for sound in sounds.values())
    rates = Counter(sound.sample_rate for sound in sounds.values())
    parts: dict[Split, list[int]] = {
        split: [i for i in members if recordings[i].split == split] for split in SPLITS
    }
    return ClassFigures(
        name=name,
        recordings=len(members),
        read=read,
        unreadable=read - len(sounds),
        seconds=scale * sum(lasting.values()),
        sources=len({recordings[i].group for i in members}),
        splits={split: len(found) for split, found in parts.items()},
        split_seconds={
            split: scale * sum(lasting.get(i, 0.0) for i in found) for split, found in parts.items()
        },
        sample_rates=dict(sorted(rates.items(), key=lambda pair: (-pair[1], pair[0]))),
        median_seconds=_median([sound.seconds for sound in sounds.values()]),
        level=_median(levels),
        silence=sum(sound.silence * sound.seconds for sound in sounds.values()) / total if total else 0.0,
        bandwidth=_median([sound.bandwidth for sound in sounds.values() if sound.bandwidth]),
        levels=levels,
        lengths=tuple(sound.seconds for sound in sounds.values()),
    )


def _seconds_of(name: str, recording: Recording, sound: Sound) -> float:
    """How long a class is heard in a recording: all of it, or as its events say."""
    if recording.events is None or name == NO_CLASS:
        return sound.seconds
    return sum(
        max(0.0, min(event.offset, sound.seconds) - event.onset)
        for event in recording.events
        if event.label == name
    )


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else 0.0
