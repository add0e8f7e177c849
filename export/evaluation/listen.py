"""Run a model over recordings as it would hear them live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.cache import load_audio
from export.data.recording import Interval, Recording
from stream.classifier import StreamClassifier, merge
from stream.decisions.spec import DetectorSpec
from stream.errors import DataError
from stream.inference.session import Model
from stream.messages import Event, Result

PAUSE = 0.5  # seconds of silence between recordings in the carried stream
BLOCK = 16_000  # samples a push

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Found(Interval):
    """An event of the live detector, in seconds of its recording.

    Attributes:
        decided: when its onset was reported.
    """

    decided: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What a model said about one recording.

    Attributes:
        recording: which.
        probs: (T, C) float32.
        seconds: (T,) float64 reference times within the recording.
        events: those that began in it.
        duration: seconds.
    """

    recording: Recording
    probs: NDArray[np.float32]
    seconds: NDArray[np.float64]
    events: tuple[Found, ...]
    duration: float


@dataclass(frozen=True, slots=True)
class Listening:
    """Answers for every usable recording, in the same order both ways.

    Attributes:
        alone: each from a fresh state, the whole recording at once.
        carried: all in one stream, state and detector carried from each to the next.
        skipped: (where, why) of recordings that could not be used.
    """

    alone: list[Heard]
    carried: list[Heard]
    skipped: list[tuple[str, str]]


def listen(
    model: Model,
    recordings: Sequence[Recording],
    detector: DetectorSpec | None = None,
    *,
    strict: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Listening:
    """Hear all recordings twice.

    Args:
        model: what to run.
        recordings: what to hear; long holes in them are gaps, as live.
        detector: rules; default those of the card.
        strict: raise for the first recording that cannot be used, instead of listing it.
        seed: of the order in the carried stream.
        progress: told (what, done, total).

    Raises:
        DataError: nothing can be used, or ``strict`` and one cannot.
    """
    alone: list[Heard] = []
    skipped: list[tuple[str, str]] = []
    sounds: list[NDArray[np.float32]] = []
    rate = model.card.features.sample_rate
    for number, recording in enumerate(recordings):
        try:
            samples = load_audio(recording, model.card.features)
        except DataError as error:
            if strict:
                raise
            skipped.append((recording.where, str(error)))
            continue
        result = _whole(StreamClassifier(model, detector), samples)
        alone.append(_heard(recording, result, result.events, 0, len(samples), rate))
        sounds.append(samples)
        if progress:
            progress("each alone", number + 1, len(recordings))
    if not alone:
        first = f"; the first is {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise DataError(f"none of {len(recordings)} recordings can be used{first}")
    carried = _carried(model, detector, alone, sounds, seed, progress)
    return Listening(alone, carried, skipped)


def _whole(classifier: StreamClassifier, samples: NDArray[np.float32]) -> Result:
    parts = [classifier.push(samples[at : at + BLOCK]) for at in range(0, len(samples), BLOCK)]
    return merge([*parts, classifier.flush()], classifier)


def _heard(
    recording: Recording, result: Result, events: Sequence[Event], start: int, length: int, rate: int
) -> Heard:
    inside = (result.scores.sample >= start) & (result.scores.sample < start + length)
    decided = {e.id: e.decided for e in events if e.offset is None}
    mine = tuple(
        Found(e.label, (e.onset - start) / rate, (e.offset - start) / rate, (decided[e.id] - start) / rate)
        for e in events
        if e.offset is not None and start <= e.onset < start + length
    )
    seconds = (result.scores.sample[inside] - start) / float(rate)
    return Heard(recording, result.scores.probs[inside], seconds, mine, length / rate)


def _carried(
    model: Model,
    detector: DetectorSpec | None,
    alone: Sequence[Heard],
    sounds: Sequence[NDArray[np.float32]],
    seed: int,
    progress: Progress | None,
) -> list[Heard]:
    classifier = StreamClassifier(model, detector)
    rate = classifier.sample_rate
    pause = np.zeros(round(PAUSE * rate), np.float32)
    order = np.random.default_rng(seed).permutation(len(alone))
    starts: dict[int, int] = {}
    results: list[Result] = []
    for turn, number in enumerate(order.tolist()):
        starts[number] = classifier.end
        sound = sounds[number]
        # Sound and pause go in as one push after another; an event may well end in the pause.
        results += [classifier.push(sound[at : at + BLOCK]) for at in range(0, len(sound), BLOCK)]
        results.append(classifier.push(pause))
        if progress:
            progress("in one stream", turn + 1, len(alone))
    results.append(classifier.flush())
    whole = merge(results, classifier)
    return [
        _heard(each.recording, whole, whole.events, starts[i], len(sounds[i]), rate)
        for i, each in enumerate(alone)
    ]
