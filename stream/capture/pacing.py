"""Giving out recorded sound at the pace of real time, on an absolute schedule so that it never drifts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pacer:
    """Waits until given moments after its start.

    Each wait is measured against the start, not against the previous wait, so late wake-ups do not add up;
    a consumer that was late gets what is due at once.

    Args:
        clock: seconds, monotonic.
        sleep: waits the given seconds, or less; None waits on the clock of the machine and wakes on `close`.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] | None = None
    ) -> None:
        self._clock = clock
        self._closed = threading.Event()
        self._sleep: Callable[[float], object] = sleep or self._closed.wait
        self._start: float | None = None

    def until(self, seconds: float) -> float | None:
        """Wait until ``seconds`` after the first call's start.

        Returns:
            The moment that was waited for, in seconds of the clock; None when closed meanwhile.
        """
        if self._start is None:
            self._start = self._clock()
        due = self._start + seconds
        while not self._closed.is_set():
            left = due - self._clock()
            if left <= 0:
                return due
            self._sleep(left)
        return None

    def restart(self) -> None:
        """Begin a new schedule at the next `until`."""
        self._start = None

    def close(self) -> None:
        """Wake whoever waits; every later wait returns None at once."""
        self._closed.set()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()
