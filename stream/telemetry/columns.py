"""Columns: the last half minute of a stream, folded into columns of equal stream time. Memory is bounded."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SOUND_MAGNITUDE_LIMIT = 1e3  # beyond this a sample is damage, not sound; it must not overflow the energy


class ColumnArrays(NamedTuple):
    """W columns, oldest first; the last is number ``newest``.

    Attributes:
        prob: (W, C) highest probability; NaN where there is none.
        feature_sum, feature_count: (W, K) and (W,), of what is shown of the feature frames.
        gap, cold: (W,) bool.
        energy, energy_count: (W,) sum of squares and number of samples.
        peak: (W,) largest magnitude.
    """

    newest: int
    prob: Floats
    feature_sum: NDArray[np.float64]
    feature_count: NDArray[np.int64]
    gap: NDArray[np.bool_]
    cold: NDArray[np.bool_]
    energy: NDArray[np.float64]
    energy_count: NDArray[np.int64]
    peak: Floats


class Columns:
    """A ring of W columns addressed by absolute column number, so that nothing moves when time does.

    Column n covers the samples [n * samples, (n + 1) * samples) at the model's rate. Advancing to a newer column
    forgets the oldest; writing to a forgotten one does nothing. Not thread-safe.

    Args:
        classes, depth: C probabilities a row and K numbers kept of a feature frame.
        samples: samples a column covers.
        sample_rate: Hz, of all sample indices here but those of ``add_samples``.
        width: W.
    """

    def __init__(self, classes: int, depth: int, samples: int, sample_rate: int, width: int) -> None:
        self.samples = samples
        self.sample_rate = sample_rate
        self.width = width
        self.newest = -1
        self._prob = np.full((width, classes), np.nan, np.float32)
        self._feature_sum = np.zeros((width, depth), np.float64)
        self._feature_count = np.zeros(width, np.int64)
        self._energy = np.zeros(width, np.float64)
        self._energy_count = np.zeros(width, np.int64)
        self._peak = np.zeros(width, np.float32)
        self._gap = np.zeros(width, np.bool_)
        self._cold = np.zeros(width, np.bool_)

    def advance(self, end: int) -> None:
        """Make the column of sample ``end - 1`` exist; columns in between are empty."""
        newest = (end - 1) // self.samples
        if newest <= self.newest:
            return
        new_slots = np.arange(max(self.newest + 1, newest - self.width + 1), newest + 1) % self.width
        self._prob[new_slots] = np.nan
        for array in (self._feature_sum, self._feature_count, self._energy, self._energy_count, self._peak):
            array[new_slots] = 0
        self._gap[new_slots] = self._cold[new_slots] = False
        self.newest = newest

    def add_probs(self, probs: Floats, sample: NDArray[np.int64], warm: NDArray[np.bool_]) -> None:
        """Fold in probs (T, C) at the samples (T,), in order."""
        for slot, a, b in self._runs(sample):
            self._prob[slot] = np.fmax(
                self._prob[slot], probs[a] if b == a + 1 else np.fmax.reduce(probs[a:b])
            )
            if not warm[a:b].all():
                self._cold[slot] = True

    def add_features(self, features: Floats, sample: NDArray[np.int64]) -> None:
        """Fold in features (T, K) at the samples (T,), in order."""
        for slot, a, b in self._runs(sample):
            self._feature_sum[slot] += features[a] if b == a + 1 else features[a:b].sum(axis=0)
            self._feature_count[slot] += b - a

    def add_samples(self, samples: Floats, start: int, sample_rate: int) -> None:
        """Fold in the level of samples (n,) from absolute index ``start``, both at ``sample_rate``; invalid ones
        count as silence."""
        end = start + len(samples)
        span, rate = (
            self.samples * sample_rate,
            self.sample_rate,
        )  # a column covers span / rate of these samples

        def begin(column: int) -> int:
            """Index of the first sample in a column."""
            return -(-column * span // rate)

        first = max(start * rate // span, self.newest - self.width + 1)
        for n in range(first, (end - 1) * rate // span + 1):
            part = samples[max(0, begin(n) - start) : begin(n + 1) - start]
            if not len(part):
                continue
            low, high = float(part.min()), float(part.max())
            if not (low > -SOUND_MAGNITUDE_LIMIT and high < SOUND_MAGNITUDE_LIMIT):  # also true for NaN
                part = np.nan_to_num(part, nan=0.0, posinf=1.0, neginf=-1.0)
                part = part.clip(-SOUND_MAGNITUDE_LIMIT, SOUND_MAGNITUDE_LIMIT)
                low, high = float(part.min()), float(part.max())
            slot = n % self.width
            self._energy[slot] += np.dot(part, part)
            self._energy_count[slot] += len(part)
            self._peak[slot] = max(self._peak[slot], high, -low)

    def add_gap(self, start: int, end: int) -> None:
        """Mark the columns of the missing samples [start, end)."""
        first = max(start // self.samples, self.newest - self.width + 1)
        self._gap[np.arange(first, min((end - 1) // self.samples, self.newest) + 1) % self.width] = True

    def _runs(self, sample: NDArray[np.int64]) -> list[tuple[int, int, int]]:
        """(slot, a, b) for each run [a, b) of samples in one column; forgotten columns are left out."""
        first, last = int(sample[0]) // self.samples, int(sample[-1]) // self.samples
        oldest = self.newest - self.width + 1
        if first == last:
            return [(first % self.width, 0, len(sample))] if first >= oldest else []
        column = sample // self.samples
        cuts = [0, *(np.flatnonzero(np.diff(column)) + 1).tolist(), len(column)]
        return [(int(column[a]) % self.width, a, b) for a, b in pairwise(cuts) if column[a] >= oldest]

    def arrays(self) -> ColumnArrays:
        """A copy, oldest column first."""
        order = np.arange(self.newest - self.width + 1, self.newest + 1) % self.width
        return ColumnArrays(
            self.newest,
            self._prob[order],
            self._feature_sum[order],
            self._feature_count[order],
            self._gap[order],
            self._cold[order],
            self._energy[order],
            self._energy_count[order],
            self._peak[order],
        )
