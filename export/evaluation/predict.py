"""Run a model over recordings as it would run live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.calibration.detecting import complete_events
from export.calibration.event_report import OWN, Heard
from export.data.cache import load_audio
from export.data.recording import Interval, Recording
from export.evaluation.streams import Progress, hear, heard, push_all, true_events
from export.metrics.prediction import Prediction
from export.scenes.negatives import Negatives
from stream.classifier import StreamClassifier
from stream.decisions.spec import DetectorSpec
from stream.errors import DataError
from stream.inference.session import Model
from stream.messages import Result
from stream.recording import merge

PAUSE_SECONDS = (0.3, 3.0)  # between recordings in the carried stream
STRIP_SECONDS = 60.0  # of its sound that are kept


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions for every usable recording, in the same order both ways.

    Attributes:
        alone: each from the initial state.
        carried: all in one stream, state and detector carried from each to the next.
        skipped: (where, why) of recordings that could not be used.
        stream: the whole stream of ``carried``, with pauses of microphone noise between the recordings.
        sound: (n,) float32, its first minute.
    """

    alone: list[Prediction]
    carried: list[Prediction]
    skipped: list[tuple[str, str]]
    stream: Heard
    sound: NDArray[np.float32]


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
        result = hear(StreamClassifier(model, detector), samples)
        alone.append(_prediction(recording, result, 0, len(samples)))
        usable.append(recording)
        sounds.append(samples)
        if progress:
            progress("each alone", number + 1, len(recordings))
    if not alone:
        first = f"; the first is {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise DataError(f"none of {len(recordings)} recordings can be used{first}")
    found, stream, sound = carried(StreamClassifier(model, detector), usable, sounds, seed, progress)
    return Predictions(alone, found, skipped, stream, sound)


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


def carried(
    classifier: StreamClassifier,
    recordings: Sequence[Recording],
    sounds: Sequence[NDArray[np.float32]],
    seed: int,
    progress: Progress | None,
) -> tuple[list[Prediction], Heard, NDArray[np.float32]]:
    """Recordings in one stream, with pauses of microphone noise between them and the state carried throughout.

    Args:
        classifier: a new one.
        recordings: what they are labelled with.
        sounds: (n,) float32 of each.
        seed: of their order, and of the pauses.
        progress: told (what, done, total).

    Returns:
        Predictions for each; the stream; and its first minute of sound.
    """
    rate = classifier.sample_rate
    pauses = Negatives("test", rate)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sounds))
    starts: dict[int, int] = {}
    truth: list[Interval] = []
    results: list[Result] = []
    beginning: list[NDArray[np.float32]] = []
    for turn, number in enumerate(order.tolist()):
        starts[number] = classifier.end
        # An event may well end in the pause.
        pause = pauses.draw("silence", rng, round(rng.uniform(*PAUSE_SECONDS) * rate))
        for part in (sounds[number], pause):
            if classifier.end < STRIP_SECONDS * rate:
                beginning.append(part)
            results += push_all(classifier, part)
        truth += true_events(recordings[number], sounds[number], rate, starts[number])
        if progress:
            progress("in one stream", turn + 1, len(sounds))
    results.append(classifier.flush())
    whole = merge(results, classifier)
    found = [
        _prediction(recording, whole, starts[i], len(sounds[i])) for i, recording in enumerate(recordings)
    ]
    sound = np.nan_to_num(np.concatenate(beginning))[: round(STRIP_SECONDS * rate)]
    return found, heard(whole, classifier.end, truth, OWN, classifier), sound
