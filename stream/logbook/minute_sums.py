"""MinuteSums: what one minute of a run comes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MINUTE_SECONDS = 60


@dataclass(slots=True)
class MinuteSums:
    """Sums and maxima of a minute, of what has come so far.

    Attributes:
        start: seconds since 1970, a multiple of 60.
        peaks: (C,) float32, the highest smoothed probability of each class; 0 where there was no row.
        on_seconds: (C,) float64, in which the smoothed probability was at the class's threshold or above.
        events: label -> events that began.
        heard, lost: seconds with rows, and in gaps.
        sound, energy: seconds of valid samples, and the sum of their squares over the rate.
        loudest: mean square of the loudest tenth of a second.
    """

    start: int
    peaks: NDArray[np.float32]
    on_seconds: NDArray[np.float64]
    events: Counter[str] = field(default_factory=Counter)
    heard: float = 0.0
    lost: float = 0.0
    sound: float = 0.0
    energy: float = 0.0
    loudest: float = 0.0

    @classmethod
    def empty(cls, start: int, classes: int) -> MinuteSums:
        return cls(start, np.zeros(classes, np.float32), np.zeros(classes, np.float64))

    def add_rows(
        self, smoothed: NDArray[np.float32], thresholds: NDArray[np.float32], row_seconds: float
    ) -> None:
        """Count rows: (T, C) smoothed probabilities, (C,) thresholds, seconds from row to row."""
        self.heard += len(smoothed) * row_seconds
        self.on_seconds += np.count_nonzero(smoothed >= thresholds, axis=0) * row_seconds
        np.maximum(self.peaks, smoothed.max(axis=0), out=self.peaks)

    def add_sound(self, seconds: NDArray[np.float64], energies: NDArray[np.float64]) -> None:
        """Count blocks of sound, (B,) each: their lengths, and their mean squares times these."""
        self.sound += float(seconds.sum())
        self.energy += float(energies.sum())
        self.loudest = max(self.loudest, float((energies / seconds).max()))
