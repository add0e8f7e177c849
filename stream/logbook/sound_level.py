"""Level: how loud sound is over a stretch, and in its loudest tenth of a second."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK_SECONDS = 0.1
LOWEST_DBFS = -120.0


class Blocks(NamedTuple):
    """Some blocks of sound, B of them.

    Attributes:
        ends: (B,) int64, absolute sample one past each.
        counts: (B,) int64, valid samples.
        energies: (B,) float64, sums of their squares.
    """

    ends: NDArray[np.int64]
    counts: NDArray[np.int64]
    energies: NDArray[np.float64]


_NO_BLOCKS = Blocks(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


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

    def push(self, samples: NDArray[np.float32], start: int) -> Blocks:
        """Blocks that are over.

        Args:
            samples: (n,) float32; NaN and infinite ones are not counted.
            start: absolute index of the first.
        """
        if not len(samples):
            return _NO_BLOCKS
        valid = np.isfinite(samples)
        squares = np.where(valid, samples, 0).astype(np.float64) ** 2
        first, last = start // self.length, (start + len(samples) - 1) // self.length
        # Where each block begins in ``samples``.
        cuts = np.maximum(np.arange(first, last + 1) * self.length - start, 0)
        counts = np.add.reduceat(valid, cuts, dtype=np.int64)
        energies = np.add.reduceat(squares, cuts)
        before = _NO_BLOCKS
        if first == self._block:
            counts[0] += self._count
            energies[0] += self._energy
        else:
            before = self.flush()
        self._block, self._count, self._energy = last, int(counts[-1]), float(energies[-1])
        ends = (np.arange(first, last) + 1) * self.length
        return Blocks(
            np.concatenate([before.ends, ends]),
            np.concatenate([before.counts, counts[:-1]]),
            np.concatenate([before.energies, energies[:-1]]),
        )

    def flush(self) -> Blocks:
        """The block that is not over; none if it is empty."""
        if not self._count:
            return _NO_BLOCKS
        block = Blocks(
            np.array([(self._block + 1) * self.length]), np.array([self._count]), np.array([self._energy])
        )
        self._count, self._energy = 0, 0.0
        return block


def decibels(mean_square: float) -> float:
    """dBFS of a mean square: 0 for a square wave at full scale; -120 for silence."""
    return max(LOWEST_DBFS, 10 * math.log10(mean_square)) if mean_square > 0 else LOWEST_DBFS


def mean_square(dbfs: float) -> float:
    """Inverse of `decibels`."""
    return 10 ** (dbfs / 10)
