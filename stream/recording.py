"""Whole recordings, heard as a live stream is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from stream.classifier import StreamClassifier
from stream.decisions.spec import DetectorSpec
from stream.inference.session import Model
from stream.messages import Chunk, Result

BLOCK_SAMPLES = 160_000  # a push: few calls, and scratch memory that stays small


def classify(
    sound: str | Path | ArrayLike,
    model: Model,
    detector: DetectorSpec | None = None,
    *,
    sample_rate: int | None = None,
) -> Result:
    """Scores and events of a whole recording: the live path, pushed in one go.

    Args:
        sound: a file, or (n,) mono samples.
        model: what to run.
        detector: rules; default those of the model's card.
        sample_rate: of the samples, Hz; default the model's. Ignored for a file.

    Returns:
        One Result with every row, event and gap. Equal to what a live stream of the same samples gives, with each
        event once, complete, in the order in which they ended.
    """
    from stream.capture.files import FileSource
    from stream.capture.source import ArraySource

    classifier = StreamClassifier(model, detector)
    if isinstance(sound, (str, Path)):
        source: Iterable[Chunk] = FileSource(sound, block_samples=BLOCK_SAMPLES)
    else:
        rate = classifier.sample_rate if sample_rate is None else sample_rate
        source = ArraySource(np.asarray(sound), rate, block_samples=BLOCK_SAMPLES)
    result = merge(list(classifier.stream(source)), classifier)
    return msgspec.structs.replace(result, events=tuple(e for e in result.events if e.offset is not None))


def merge(results: list[Result], classifier: StreamClassifier) -> Result:
    """Consecutive results of one stream as one, with every message; empty lists give an empty result."""
    scores = [r.scores for r in results if len(r.scores)]
    width = classifier.model.card.features.width
    return Result(
        classifier.join(scores),
        np.concatenate([np.empty((0, width), np.float32), *(r.features for r in results)]),
        tuple(e for r in results for e in r.events),
        tuple(g for r in results for g in r.gaps),
        classifier.end,
        sum(r.repaired for r in results),
        classifier.name,
        classifier.model.id,
    )
