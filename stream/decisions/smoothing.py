"""Causal moving average of probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class MovingAverage:
    """Mean of the last ``lengths[c]`` rows of each class c; of as many as there are, before that.

    Args:
        lengths: rows averaged, one per class, each >= 1.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = np.asarray(lengths, dtype=np.int64)
        self._longest = int(self._lengths.max())
        self._history = np.zeros((self._longest - 1, len(lengths)), np.float32)
        self._seen = 0  # rows so far, up to the longest average

    def reset(self) -> None:
        self._history[...] = 0
        self._seen = 0

    def push(self, probs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, C) float32 probabilities to (T, C) float32 averages."""
        rows = len(probs)
        if self._longest == 1 or not rows:
            return probs
        line = np.concatenate([self._history, probs])
        total: NDArray[np.float32] = probs.copy()
        for back in range(1, self._longest):  # newest first, term by term: the same sum for every chunk size
            part = line[self._longest - 1 - back : self._longest - 1 - back + rows]
            # Zero terms are added where a class averages fewer rows; adding zero changes no bit.
            total += part if (self._lengths > back).all() else part * (self._lengths > back)
        self._history = line[rows:]
        if self._seen >= self._longest:
            divisor = self._lengths.astype(np.float32)
            total /= divisor
        else:
            count = self._seen + 1 + np.arange(rows)[:, None]
            total /= np.minimum(count, self._lengths[None, :]).astype(np.float32)
            self._seen = min(self._seen + rows, self._longest)
        return total
