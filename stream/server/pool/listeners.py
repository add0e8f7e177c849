"""Listeners: who is called behind every batch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Listeners:
    """Added and removed by any thread, called by the one that ran the batch.

    Args:
        owner: named where one of them fails.
    """

    def __init__(self, owner: object) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._all: tuple[Callable[[], None], ...] = ()

    def add(self, listener: Callable[[], None]) -> None:
        """Call it from now on."""
        with self._lock:
            self._all = (*self._all, listener)

    def remove(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        with self._lock:
            self._all = tuple(each for each in self._all if each != listener)

    def tell(self) -> None:
        """Call them all. One that fails is logged, and the others are called as well."""
        for listener in self._all:
            try:
                listener()
            except Exception:
                log.exception("%r: a listener failed", self._owner)
