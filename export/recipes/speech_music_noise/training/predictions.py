"""Probabilities for composed streams as the public metrics take them: in cells of 10 ms, and as events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.evaluation.detect import detect, row_samples
from export.metrics import Prediction, to_cells
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.recipes.speech_music_noise.training.streams import ComposedStreams
from stream.decisions.spec import DetectorSpec
from stream.features.spec import FeatureSpec

Probs = NDArray[np.float32]
Active = NDArray[np.bool_]


def stream_cells(probs: Probs, cells: int, spec: FeatureSpec, delay: int) -> Probs:
    """(..., T, C) rows -> (..., cells, C), the row nearest to the middle of each 10 ms.

    Args:
        delay: rows by which predictions lag what they are about.
    """
    return to_cells(probs, row_samples(probs.shape[-2], spec, delay) / spec.sample_rate, cells)


def in_cells(probs: Probs, data: ComposedStreams, spec: FeatureSpec, delay: int) -> tuple[Probs, Active]:
    """(S, T, 3) probabilities -> probabilities (n, 3) and truth (n, 3) of every 10 ms of all streams, end to end."""
    cells = stream_cells(probs, data.active.shape[1], spec, delay)
    return cells.reshape(-1, len(KINDS)), data.active.reshape(-1, len(KINDS)).astype(bool)


def predictions(
    probs: Probs, data: ComposedStreams, detector: DetectorSpec, spec: FeatureSpec, delay: int
) -> list[Prediction]:
    """(S, T, 3) probabilities -> for each stream its events by the live detector, beside its labels."""
    seconds = row_samples(probs.shape[1], spec, delay) / spec.sample_rate
    return [
        Prediction(
            KINDS,
            data.reference(stream),
            rows,
            seconds,
            detect(rows, KINDS, detector, spec, delay),
            data.seconds,
        )
        for stream, rows in enumerate(probs)
    ]
