"""Thresholds: how rarely the background comes so high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
MIN_ON_SECONDS = 0.06  # that a sound must stay above its threshold
BLOCK_SECONDS = 1.0  # one event at most is counted in each
FURTHEST = 10.0  # times the background that was heard, that a tail is drawn
HIGHEST = 12  # blocks that the tail is drawn through


def held(logits: Array, rate: float) -> Array:
    """(T, C) -> (T, C): the least of the last rows, for as long as a sound must stay above its threshold."""
    rows = max(1, round(MIN_ON_SECONDS * rate))
    least = logits.copy()
    for back in range(1, rows):
        least[back:] = np.minimum(least[back:], logits[:-back])
        least[:back] = np.minimum(least[:back], logits[:1])
    return least


def least_rate(hours: float) -> float:
    """Events an hour, below which so many hours say nothing: one in ten times as long."""
    return 1 / (FURTHEST * hours)


@dataclass(frozen=True, slots=True)
class Tail:
    """The highest values of a second of background: an exponential tail through the highest blocks.

    Attributes:
        peaks: of the highest blocks, descending.
        decay: how fast the number of blocks falls with the value.
        hours: of background.
    """

    peaks: tuple[float, ...]
    decay: float
    hours: float

    @classmethod
    def of(cls, streams: Sequence[Array], rate: float) -> Tail:
        """From held logits (T,) of several streams."""
        size = max(1, round(BLOCK_SECONDS * rate))
        blocks = np.concatenate([_peaks(stream, size) for stream in streams if len(stream)])
        highest = np.sort(blocks)[::-1][:HIGHEST].astype(float)
        decay = float(np.mean(highest - highest[-1])) if len(highest) > 1 else 1.0
        return cls(tuple(highest.tolist()), max(decay, 1e-3), sum(map(len, streams)) / rate / 3600)

    def rate(self, threshold: float) -> float:
        """Events an hour that are to be expected above a threshold; never less than `least_rate`."""
        low, count = self.peaks[-1], len(self.peaks)
        above = sum(peak >= threshold for peak in self.peaks)
        drawn = count * float(np.exp(-(threshold - low) / self.decay)) if threshold > low else float(count)
        return max(max(drawn, above) / self.hours, least_rate(self.hours))

    def threshold(self, rate: float) -> float:
        """The lowest threshold with so few events an hour to be expected, and none in this background above it.

        A rate below `least_rate` is taken for that.
        """
        low, count = self.peaks[-1], len(self.peaks)
        expected = self.hours * max(rate, least_rate(self.hours))
        drawn = low + self.decay * float(np.log(max(count / expected, 1.0)))
        return max(drawn, self.peaks[0] + 0.05)

    def count(self, threshold: float) -> int:
        """Blocks of this background above a threshold (at most as many as the tail is drawn through)."""
        return sum(peak >= threshold for peak in self.peaks)


def _peaks(values: Array, size: int) -> Array:
    whole = len(values) // size * size
    parts = [values[:whole].reshape(-1, size).max(1)] if whole else []
    if whole < len(values):
        parts.append(values[whole:].max(keepdims=True))
    return np.concatenate(parts)
