"""Loudness: how loud sound is, in place of the sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.messages import Chunk

BLOCK_SECONDS = 0.1


class Loudness:
    """Turns chunks into chunks of which nothing but the level can be told.

    Tenths of a second come out, cut by absolute sample, in which every sample is the root of the mean square of the
    sound there. Levels that are measured in such blocks, or longer ones, are therefore those of the sound. Invalid
    samples are as many as there were, at the end of their block.
    """

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float32]] = []
        self._last: Chunk | None = None
        self._start = self._count = 0

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Take a chunk; the blocks that are over. A heartbeat comes behind what was before it."""
        last, length = self._last, round(BLOCK_SECONDS * chunk.sample_rate)
        out: list[Chunk] = []
        if last is not None and (chunk.start, chunk.sample_rate) != (last.end, last.sample_rate):
            out += self.flush()
        self._last = chunk
        if not len(chunk.samples):
            return [*out, *self._block(), chunk]
        samples = chunk.samples
        while len(samples):
            if not self._count:
                self._start = chunk.end - len(samples)
            room = length - (self._start + self._count) % length
            self._parts.append(samples[:room])
            self._count += len(samples[:room])
            if len(samples) >= room:
                out += self._block()
            samples = samples[room:]
        return out

    def flush(self) -> list[Chunk]:
        """The block that is not over; none if it is empty."""
        return self._block()

    def _block(self) -> list[Chunk]:
        if self._last is None or not self._count:
            return []
        sound = np.concatenate(self._parts)
        sound = sound[np.isfinite(sound)]
        flat = np.full(self._count, np.nan, np.float32)
        if len(sound):
            flat[: len(sound)] = np.sqrt(np.mean(sound.astype(np.float64) ** 2))
        last, end = self._last, self._start + self._count
        captured_at = last.captured_at
        if captured_at is not None:
            captured_at -= (last.end - end) / last.sample_rate
        chunk = Chunk(flat, self._start, last.sample_rate, captured_at, last.state, last.detail)
        self._parts.clear()
        self._count = 0
        return [chunk]
