"""Checksum: what proves that a stream was given exactly the rows of scores that an offline pass gives."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from stream.messages import Scores

_PROBS, _SAMPLES = np.dtype("<f4"), np.dtype("<i8")


class RowsChecksum:
    """Two CRC-32 over all rows so far: of their probabilities (little-endian float32, row by row), and of their
    reference samples (little-endian int64). The same for any way to cut the rows into messages.

    It tells a difference from an accident, not from an attack. Its state is two numbers, so a stream takes it along.

    Args:
        state: of a stream to go on with.
    """

    def __init__(self, state: tuple[int, int] = (0, 0)) -> None:
        self._probs, self._samples = state

    def add(self, scores: Scores) -> None:
        """Rows that follow the last ones."""
        probs, sample = scores.probs, scores.sample
        if probs.dtype is not _PROBS or sample.dtype is not _SAMPLES or not probs.flags.c_contiguous:
            probs, sample = np.ascontiguousarray(probs, _PROBS), np.ascontiguousarray(sample, _SAMPLES)
        self._probs = crc32(probs, self._probs)  # type: ignore[arg-type]  # an array is its bytes
        self._samples = crc32(sample, self._samples)  # type: ignore[arg-type]

    @property
    def state(self) -> tuple[int, int]:
        """What a new one goes on from."""
        return self._probs, self._samples

    @property
    def text(self) -> str:
        """16 hexadecimal digits: of the probabilities, then of the samples."""
        return f"{self._probs:08x}{self._samples:08x}"
