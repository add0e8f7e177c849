"""Many detectors at once: their averages and the extremes of them in a few operations. `Detector` decides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.decisions.detector import Detector
from stream.decisions.smoothing import MovingAverage
from stream.messages import Event

MOST_ROWS = 64  # of each: more than a pool takes of a stream at once, when it is behind


def can_join(detector: Detector, rows: int) -> bool:
    """Whether ``push_together`` may be given its next ``rows``."""
    return rows <= MOST_ROWS and detector.joins


def kind(detector: Detector) -> tuple[int, ...]:
    """What detectors that are given to ``push_together`` have in common."""
    return detector.average.lengths


def push_together(
    detectors: Sequence[Detector], probs: NDArray[np.float32], samples: Sequence[int]
) -> list[tuple[Event, ...]]:
    """``push`` of many detectors, to the bit.

    Args:
        detectors: N different ones of one ``kind`` that ``can_join``.
        probs: (N, T, C) float32 of warm rows; not kept.
        samples: reference sample of the first row of each.

    Returns:
        The events of each.
    """
    averages = MovingAverage.push_together([each.average for each in detectors], probs)
    lows, highs = averages.min(axis=1), averages.max(axis=1)
    bars, spec = detectors[0].bars, detectors[0].spec
    if not all([each.spec is spec for each in detectors]):  # noqa: C419 (a list is quicker)
        bars = np.stack([each.bars for each in detectors])
    begins = (highs >= bars).any(axis=1)
    return [
        detector.decide(average, low, high, begin, sample)
        for detector, average, low, high, begin, sample in zip(
            detectors, averages, lows.tolist(), highs.tolist(), begins.tolist(), samples, strict=True
        )
    ]
