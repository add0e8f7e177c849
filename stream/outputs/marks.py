"""Marks: moments that a person marks while the program listens, for the outputs that keep them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Watcher = Callable[[float, str], None]


class Marks:
    """Tells outputs that a moment was marked. From any thread.

    Args:
        wall: seconds since 1970.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._watchers: list[Watcher] = []
        self._lock = threading.Lock()

    def add(self, text: str = "") -> int:
        """Mark this moment, with a few words; how many outputs were told."""
        at = self._wall()
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(at, text)
        return len(watchers)

    def watch(self, watcher: Watcher) -> None:
        """Call ``watcher(at, text)`` at every mark from now on, in the thread that marks: it must return at once."""
        with self._lock:
            self._watchers.append(watcher)
