"""Levels: how loud the last minute was, by tenths of a second."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.messages import Chunk

BLOCKS_PER_SECOND = 10
MOST_BLOCKS = 600


class Levels:
    """Fed with the chunks of a source; keeps a number for each tenth of a second, and no sound."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, tuple[float, int]] = (
            OrderedDict()
        )  # sum of squares and count, by index

    def push(self, chunk: Chunk) -> None:
        """Take the samples of a chunk; those that are missing (NaN) count for nothing."""
        import numpy as np

        squares = chunk.samples.astype(np.float64) ** 2
        at = 0
        while at < len(squares):
            index = (chunk.start + at) * BLOCKS_PER_SECOND // chunk.sample_rate
            stop = -(-(index + 1) * chunk.sample_rate // BLOCKS_PER_SECOND) - chunk.start
            part = squares[at:stop]
            part = part[np.isfinite(part)]
            total, count = self._blocks.get(index, (0.0, 0))
            self._blocks[index] = total + float(part.sum()), count + len(part)
            at = stop
        while len(self._blocks) > MOST_BLOCKS:
            self._blocks.popitem(last=False)

    def reaches(self, begin: float, end: float, level: float) -> bool | None:
        """Whether a tenth of a second between two times is as loud as this.

        Args:
            begin, end: seconds of the stream.
            level: dBFS, RMS; full scale is 0.

        Returns:
            None where nothing is known of these times.
        """
        powers = [
            total / count
            for index, (total, count) in self._blocks.items()
            if count and int(begin * BLOCKS_PER_SECOND) <= index <= end * BLOCKS_PER_SECOND
        ]
        return max(powers) >= 10 ** (level / 10) if powers else None
