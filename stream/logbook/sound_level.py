"""Level: how loud sound is over a stretch, and in its loudest tenth of a second."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BLOCK_SECONDS = 0.1
LOWEST_DBFS = -120.0


class LevelBlocks:
    """Cuts sound into tenths of a second by absolute sample, so that the same sound has the same levels in any chunks.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.length = max(1, round(BLOCK_SECONDS * sample_rate))
        self._block = 0
        self._count = 0
        self._energy = 0.0

    def push(self, samples: NDArray[np.float32], start: int) -> list[tuple[int, int, float]]:
        """Blocks that are over: absolute sample of each one's end, number of its valid samples, sum of their squares.

        Args:
            samples: (n,) float32; NaN and infinite ones are not counted.
            start: absolute index of the first.
        """
        done = []
        at = 0
        while at < len(samples):
            block = (start + at) // self.length
            if block != self._block:
                done += self.flush()
                self._block = block
            part = samples[at : (block + 1) * self.length - start].astype(np.float64)
            at += len(part)
            part = part[np.isfinite(part)]
            self._count += len(part)
            self._energy += float(part @ part)
        return done

    def flush(self) -> list[tuple[int, int, float]]:
        """The block that is not over, as in ``push``; none if it is empty."""
        block = [((self._block + 1) * self.length, self._count, self._energy)] if self._count else []
        self._count, self._energy = 0, 0.0
        return block


def decibels(mean_square: float) -> float:
    """dBFS of a mean square: 0 for a square wave at full scale; -120 for silence."""
    return max(LOWEST_DBFS, 10 * math.log10(mean_square)) if mean_square > 0 else LOWEST_DBFS


def mean_square(dbfs: float) -> float:
    """Inverse of `decibels`."""
    return 10 ** (dbfs / 10)
