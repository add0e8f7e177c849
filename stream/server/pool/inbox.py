"""Inbox: what waits for one stream, in order: sound, and calls that belong behind the sound before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock

import numpy as np

from stream.messages import Chunk

LONGEST = 0.5  # seconds of sound taken at once: what one stream may delay the others

Call = Callable[[], None]


class Inbox:
    """Thread-safe.

    Attributes:
        samples: that wait or are being classified, at the rate they came. See ``done``.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._lock = Lock()
        self._things: deque[Chunk | Call] = deque()
        self._noticed = False  # the pool knows, or will look by itself

    @property
    def empty(self) -> bool:
        """Whether nothing waits at this moment."""
        return not self._things

    def put(self, thing: Chunk | Call) -> bool:
        """Add something. Whether the pool is to be told."""
        with self._lock:
            self._things.append(thing)
            if isinstance(thing, Chunk):
                self.samples += len(thing.samples)
            told, self._noticed = self._noticed, True
            return not told

    def take(self, *, sound: bool) -> Chunk | Call | None:
        """The first thing; None where there is nothing.

        Chunks that continue each other come as one, up to half a second; a longer one is cut.

        Args:
            sound: False where calls are wanted only; None then where the first thing is sound.
        """
        with self._lock:
            things = self._things
            if not things:
                return None
            first = things[0]
            if not isinstance(first, Chunk):
                return things.popleft()
            if not sound:
                return None
            things.popleft()
            limit = round(LONGEST * first.sample_rate)
            if len(first.samples) > limit:
                things.appendleft(_cut(first, limit, len(first.samples)))
                return _cut(first, 0, limit)
            if things and isinstance(things[0], Chunk) and len(first.samples):
                return self._joined(first, limit)
            return first

    def done(self, samples: int) -> bool:
        """So many samples are classified. Whether there is more; if not, the next ``put`` says that the pool is to be
        told."""
        with self._lock:
            self.samples -= samples
            self._noticed = bool(self._things)
            return self._noticed

    def clear(self) -> None:
        """Forget what waits."""
        with self._lock:
            self._things.clear()
            self.samples = 0

    def _joined(self, first: Chunk, limit: int) -> Chunk:
        parts, end, last, clean = [first.samples], first.end, first, first.clean
        while self._things:
            chunk = self._things[0]
            if (
                not isinstance(chunk, Chunk)
                or not len(chunk.samples)
                or (chunk.start, chunk.sample_rate) != (end, first.sample_rate)
                or chunk.samples.dtype != first.samples.dtype
                or chunk.end - first.start > limit
            ):
                break
            self._things.popleft()
            parts.append(chunk.samples)
            end, last, clean = chunk.end, chunk, clean and chunk.clean
        if last is first:
            return first
        samples = np.concatenate(parts)
        return Chunk(samples, first.start, first.sample_rate, last.captured_at, clean=clean)


def _cut(chunk: Chunk, low: int, high: int) -> Chunk:
    """Samples [low, high) of a chunk."""
    part = chunk.samples[low:high]
    return Chunk(part, chunk.start + low, chunk.sample_rate, chunk.captured_at, clean=chunk.clean)
