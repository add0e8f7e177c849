"""Run a model over recordings as it would run live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.calibration.detecting import complete_events
from export.data.cache import load_audio
from export.data.recording import Recording
from export.metrics.prediction import Prediction
from stream.classifier import StreamClassifier
from stream.decisions.spec import DetectorSpec
from stream.errors import DataError
from stream.inference.session import Model
from stream.messages import Result
from stream.recording import merge

PAUSE_SECONDS = 0.5  # silence between recordings in the carried stream
BLOCK_SAMPLES = 16_000  # of one push

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions for every usable recording, in the same order both ways.

    Attributes:
        alone: each from the initial state.
        carried: all in one stream, state and detector carried from each to the next.
        skipped: (where, why) of recordings that could not be used.
    """

    alone: list[Prediction]
    carried: list[Prediction]
    skipped: list[tuple[str, str]]


def predict(
    model: Model,
    recordings: Sequence[Recording],
    detector: DetectorSpec | None = None,
    *,
    strict: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Predictions:
    """Run the model over all recordings twice: each alone, and all in one stream.

    Args:
        model: what to run.
        recordings: long runs of invalid samples in them are gaps, as live.
        detector: rules; default those of the card.
        strict: raise for the first recording that cannot be used, instead of listing it.
        seed: of the order in the carried stream.
        progress: told (what, done, total).

    Raises:
        DataError: nothing can be used, or ``strict`` and one cannot.
    """
    usable: list[Recording] = []
    skipped: list[tuple[str, str]] = []
    sounds: list[NDArray[np.float32]] = []
    alone: list[Prediction] = []
    for number, recording in enumerate(recordings):
        try:
            samples = load_audio(recording, model.card.features)
        except DataError as error:
            if strict:
                raise
            skipped.append((recording.where, str(error)))
            continue
        result = _whole(StreamClassifier(model, detector), samples)
        alone.append(_prediction(recording, result, 0, len(samples)))
        usable.append(recording)
        sounds.append(samples)
        if progress:
            progress("each alone", number + 1, len(recordings))
    if not alone:
        first = f"; the first is {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise DataError(f"none of {len(recordings)} recordings can be used{first}")
    carried = _carried(StreamClassifier(model, detector), usable, sounds, seed, progress)
    return Predictions(alone, carried, skipped)


def _whole(classifier: StreamClassifier, samples: NDArray[np.float32]) -> Result:
    parts = [classifier.push(part) for part in _blocks(samples)]
    return merge([*parts, classifier.flush()], classifier)


def _blocks(samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [samples[at : at + BLOCK_SAMPLES] for at in range(0, len(samples), BLOCK_SAMPLES)]


def _prediction(recording: Recording, result: Result, start: int, length: int) -> Prediction:
    """What ``result`` says about the recording that lies at samples ``start`` to ``start + length`` of its stream."""
    scores, rate = result.scores, result.scores.sample_rate
    inside = (scores.sample >= start) & (scores.sample < start + length)
    return Prediction(
        recording.labels,
        recording.events,
        scores.probs[inside],
        (scores.sample[inside] - start) / float(rate),
        complete_events(list(result.events), start, start + length),
        length / rate,
    )


def _carried(
    classifier: StreamClassifier,
    recordings: Sequence[Recording],
    sounds: Sequence[NDArray[np.float32]],
    seed: int,
    progress: Progress | None,
) -> list[Prediction]:
    pause = np.zeros(round(PAUSE_SECONDS * classifier.sample_rate), np.float32)
    order = np.random.default_rng(seed).permutation(len(sounds))
    starts: dict[int, int] = {}
    results: list[Result] = []
    for turn, number in enumerate(order.tolist()):
        starts[number] = classifier.end
        results += [classifier.push(part) for part in _blocks(sounds[number])]
        results.append(classifier.push(pause))  # an event may well end in the pause
        if progress:
            progress("in one stream", turn + 1, len(sounds))
    results.append(classifier.flush())
    whole = merge(results, classifier)
    return [
        _prediction(recording, whole, starts[i], len(sounds[i])) for i, recording in enumerate(recordings)
    ]
