"""Chunks on their way from a reading thread to the consumer, bounded in samples."""

from __future__ import annotations

import threading
from collections import deque

from stream.messages import Chunk


class Mailbox:
    """One writer, one reader, at most ``capacity`` samples between them (a single larger chunk is let
    through).

    Args:
        capacity: samples.
        drop_oldest: when full, forget the oldest chunks, which the next chunk's ``start`` then shows as a
            gap; otherwise the writer waits.
    """

    def __init__(self, capacity: int, *, drop_oldest: bool) -> None:
        self._capacity = capacity
        self._drop_oldest = drop_oldest
        self._chunks: deque[Chunk] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._ended = False
        self._failure: BaseException | None = None
        self.lost = 0

    def put(self, chunk: Chunk) -> None:
        """Add a chunk; nothing happens once ended."""
        n = len(chunk.samples)
        with self._changed:
            if self._drop_oldest:
                while self._chunks and self._held + n > self._capacity:
                    dropped = len(self._chunks.popleft().samples)
                    self._held -= dropped
                    self.lost += dropped
            else:
                self._changed.wait_for(
                    lambda: self._ended or not self._held or self._held + n <= self._capacity
                )
            if self._ended:
                return
            self._chunks.append(chunk)
            self._held += n
            self._changed.notify_all()

    def get(self, timeout: float) -> Chunk | None:
        """The oldest chunk; None when none came within ``timeout`` seconds, or after the end.

        Raises:
            BaseException: what `end` was given, after the last chunk.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or bool(self._chunks), timeout)
            if self._chunks:
                chunk = self._chunks.popleft()
                self._held -= len(chunk.samples)
                self._changed.notify_all()
                return chunk
            if self._failure is not None:
                raise self._failure
            return None

    def end(self, failure: BaseException | None = None) -> None:
        """No more will come; what is here can still be fetched."""
        with self._changed:
            self._ended = True
            self._failure = self._failure or failure
            self._changed.notify_all()

    @property
    def held(self) -> int:
        """Samples that were put and not fetched yet."""
        return self._held

    @property
    def finished(self) -> bool:
        """Ended and empty."""
        with self._changed:
            return self._ended and not self._chunks
