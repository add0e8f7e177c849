"""Asked: who waits for the state of a stream. Each is answered once, whatever becomes of the stream."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock

from stream.snapshot import Snapshot

log = logging.getLogger(__name__)
Done = Callable[[Snapshot | None], None]


class Asked:
    """Thread-safe.

    Args:
        name: of the stream.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = Lock()
        self._waiting: deque[Done] = deque()
        self._over = False

    def add(self, done: Done) -> None:
        """One more waits. Where the stream is over, it is told so here and now."""
        with self._lock:
            if not self._over:
                self._waiting.append(done)
                return
        done(None)

    def answer(self, snapshot: Snapshot | None) -> None:
        """Here is what the first of them waits for."""
        with self._lock:
            if not self._waiting:  # the stream has just ended, which told it
                return
            done = self._waiting.popleft()
        done(snapshot)

    def end(self) -> None:
        """The stream is over: all who wait, and whoever asks from now on, get None."""
        with self._lock:
            self._over = True
            waiting, self._waiting = self._waiting, deque()
        for done in waiting:
            try:
                done(None)
            except Exception:  # of who asked: the others are told as well
                log.exception("stream %r: who asked for its state could not be told of its end", self._name)
