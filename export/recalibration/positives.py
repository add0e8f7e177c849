"""Labelled recordings, heard in one carried stream: what a stricter rule would miss, and how late it would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.calibration.heard import HeardStream
from export.data.cache import load_audio
from export.data.dataset import read_dataset
from export.data.recording import Interval, Recording
from export.evaluation.predict import carried
from export.evaluation.streams import Progress
from stream.classifier import StreamClassifier
from stream.errors import DataError
from stream.inference.session import Model
from stream.review.verdicts import reviewed_events


@dataclass(frozen=True, slots=True)
class Positives:
    """Recordings that hold the model's classes.

    Attributes:
        stream: of all of them, with what is to be heard in it; its kind is "own".
        recordings: that are in it.
        skipped: (where, why) of those that could not be read.
    """

    stream: HeardStream
    recordings: tuple[Recording, ...]
    skipped: tuple[tuple[str, str], ...]


def labelled(data: str | Path, labels: Sequence[str]) -> tuple[Recording, ...]:
    """The recordings of a folder or manifest; those of other classes keep their sound and lose their labels.

    Raises:
        DataError: nothing there, or no recording of any of these classes.
    """
    found = read_dataset(data)
    if not set(found.labels) & set(labels):
        raise DataError(
            f"{data}: is labelled {_some(found.labels)}; the classes to calibrate are {_some(labels)}: give "
            "recordings of these, labelled with their names"
        )
    return tuple(_restricted(recording, labels) for recording in found.recordings)


def reviewed(place: str | Path, labels: Sequence[str]) -> tuple[Recording, ...]:
    """The clips that a person judged by ``stream-classify review``: right ones with their event, wrong ones without.

    Args:
        place: folder of the clips, or its review.csv.
        labels: classes to calibrate.

    Raises:
        DataError: no clip in it was judged, or none is left.
        OutputError: the list cannot be read.
    """
    found = [
        Recording(
            path, "review.csv", path.name, (verdict.label,) if verdict.label in labels else (),
            (Interval(verdict.label, onset, offset),) if verdict.label in labels else (),
        )
        for path, verdict, onset, offset in reviewed_events(place)
    ]  # fmt: skip
    if not found:
        raise DataError(f"{place}: no clip in it was judged, or none is left; see stream-classify review")
    return tuple(found)


def hear_positives(
    model: Model, recordings: Sequence[Recording], *, seed: int = 0, progress: Progress | None = None
) -> Positives:
    """Hear recordings one after the other, in one stream.

    Args:
        model: that hears them.
        recordings: with labels of the model.
        seed: of their order, and of the pauses.
        progress: told (what, done, total).

    Raises:
        DataError: none of them can be read.
    """
    usable: list[Recording] = []
    sounds: list[NDArray[np.float32]] = []
    skipped: list[tuple[str, str]] = []
    for recording in recordings:
        try:
            sounds.append(load_audio(recording, model.card.features))
            usable.append(recording)
        except DataError as error:
            skipped.append((recording.where, str(error)))
    if not usable:
        first = f"; the first is {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise DataError(f"none of {len(recordings)} labelled recordings can be read{first}")
    _, (stream, _), _ = carried(StreamClassifier(model), usable, sounds, seed, progress)
    return Positives(stream, tuple(usable), tuple(skipped))


def _restricted(recording: Recording, labels: Sequence[str]) -> Recording:
    events = recording.events
    return replace(
        recording,
        labels=tuple(label for label in recording.labels if label in labels),
        events=None if events is None else tuple(event for event in events if event.label in labels),
    )


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:6]) + (f" and {len(labels) - 6} more" if len(labels) > 6 else "")
