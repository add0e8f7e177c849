"""Streams that the live classifier has heard: their rows, their truth and the events it reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from export.calibration.detecting import complete_events
from export.calibration.event_report import Heard
from export.calibration.heard import HeardStream
from export.data.recording import Interval, Recording
from export.scenes.sound_store import active_part
from stream.classifier import StreamClassifier
from stream.messages import Result
from stream.recording import merge

BLOCK_SAMPLES = 16_000  # of one push
Progress = Callable[[str, int, int], None]


def push_all(classifier: StreamClassifier, samples: NDArray[np.float32]) -> list[Result]:
    """What the classifier gives for the next (n,) samples of its stream, a second of them at a time."""
    return [classifier.push(samples[at : at + BLOCK_SAMPLES]) for at in range(0, len(samples), BLOCK_SAMPLES)]


def hear(classifier: StreamClassifier, samples: NDArray[np.float32]) -> Result:
    """What a new classifier gives for the (n,) samples of a whole stream."""
    return merge([*push_all(classifier, samples), classifier.flush()], classifier)


def heard(
    result: Result, length: int, truth: Sequence[Interval], kind: str, classifier: StreamClassifier
) -> Heard:
    """A stream's rows and truth, and its events.

    Args:
        result: of the whole stream.
        length: samples of it.
        truth: what is to be heard, in seconds.
        kind: of stream.
        classifier: that heard it.
    """
    scores, card = result.scores, classifier.model.card
    newest = (
        card.stride - 1
    ) * card.features.hop_length + card.features.span  # samples the first row has seen
    lag = newest - int(scores.sample[0]) if len(scores) else 0
    stream = HeardStream(
        scores.probs, scores.sample, scores.sample_rate, scores.hop, lag, length, tuple(truth), kind
    )
    return stream, complete_events(list(result.events))


def true_events(recording: Recording, samples: NDArray[np.float32], rate: int, start: int) -> list[Interval]:
    """What is to be heard of a recording that begins at sample ``start`` of a stream, in seconds of the stream.

    Where only the class of the whole recording is known: the part of it that sounds, without the silence around it.
    """
    if recording.events is not None:
        return [
            Interval(each.label, each.onset + start / rate, each.offset + start / rate)
            for each in recording.events
        ]
    begin, end = active_part(np.nan_to_num(samples), rate)
    return [
        Interval(label, (start + begin) / rate, (start + end) / rate)
        for label in recording.labels
        if end > begin
    ]
