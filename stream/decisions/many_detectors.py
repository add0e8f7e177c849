"""Many detectors at once: their averages in a few operations, and what each decides wherever something can change.

It is `Detector` that decides. Here is only what can be seen without it: that nothing is on and nothing begins, or that
what is on stays so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.decisions.class_state import OFF, ON
from stream.decisions.detector import Detector
from stream.decisions.smoothing import FEW, MovingAverage
from stream.messages import Event


def can_join(detector: Detector, rows: int) -> bool:
    """Whether ``push_together`` may be given its next ``rows``."""
    return rows <= FEW and detector._average.full and not detector._closed and type(detector) is Detector


def kind(detector: Detector) -> tuple[int, ...]:
    """What detectors that are given to ``push_together`` have in common."""
    return detector._average.lengths


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
    averages = MovingAverage.push_together([each._average for each in detectors], probs)
    lows, highs = averages.min(axis=1), averages.max(axis=1)
    bars, spec = detectors[0]._bars, detectors[0].spec
    if not all([each.spec is spec for each in detectors]):  # noqa: C419 (a list is quicker)
        bars = np.stack([each._bars for each in detectors])
    begins = (highs >= bars).any(axis=1)
    found: list[tuple[Event, ...]] = []
    for detector, average, low, high, begin, sample in zip(
        detectors, averages, lows.tolist(), highs.tolist(), begins.tolist(), samples, strict=True
    ):
        detector._smooth = average
        if (detector._busy or begin) and not _goes_on(detector, average, low, high, sample):
            found.append(detector._decide_few(average.tolist(), sample))
        else:
            detector._decided = sample + (len(average) - 1) * detector.hop + detector.lag
            found.append(())
    return found


def _goes_on(
    detector: Detector, averages: NDArray[np.float32], low: list[float], high: list[float], sample: int
) -> bool:
    """Whether each class stays as it is, on or off, in all of these rows; they are counted then.

    ``low`` and ``high`` are the extremes of each class.
    """
    on = []
    for column in detector._columns:
        track = detector._tracks[column]
        if track.mode == ON and low[column] >= track.release:
            on.append(column)
        elif track.mode != OFF or high[column] >= track.threshold:
            return False
    for column in on:
        track = detector._tracks[column]
        total = track.total
        for value in averages[:, column].tolist():  # in order, in float64, as the detector adds them
            total += value
        track.total = track.total_on = total
        track.rows += len(averages)
        track.rows_seen_on = track.rows
        track.peak = max(track.peak, high[column])
        track.last_on = sample - detector.hop // 2 + len(averages) * detector.hop
    return True
