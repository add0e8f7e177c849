"""ScoreCurve: the probabilities of one class around an event, in a bounded number of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POINTS = 512


class ScoreCurve:
    """The highest probability in each of up to 512 steps of equal length.

    A step is one row at first. When the curve gets too long, two steps become one, as often as needed.

    Args:
        begin: absolute sample of the first step.
        hop: samples between rows.
    """

    def __init__(self, begin: int, hop: int) -> None:
        self.begin = begin
        self.step = max(1, hop)
        self._values = np.full(POINTS, np.nan, np.float32)

    def add(self, sample: NDArray[np.int64], probs: NDArray[np.float32]) -> None:
        """Take rows, (n,) each, in any order; those before the beginning are left out."""
        later = sample >= self.begin
        sample, probs = sample[later], probs[later]
        if not len(sample):
            return
        while (int(sample.max()) - self.begin) // self.step >= POINTS:
            halves = np.fmax(self._values[0::2], self._values[1::2])
            self._values = np.concatenate([halves, np.full(POINTS - len(halves), np.nan, np.float32)])
            self.step *= 2
        np.fmax.at(self._values, (sample - self.begin) // self.step, probs)

    def values(self, end: int) -> NDArray[np.float32]:
        """(P,) float32 up to the absolute sample ``end``, P <= 512; NaN where there is no row."""
        count = min(POINTS, max(0, -(-(end - self.begin) // self.step)))
        return self._values[:count].copy()
