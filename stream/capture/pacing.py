"""Giving out recorded sound at the pace of real time, on an absolute schedule so that it never drifts."""

from __future__ import annotations

import time
from collections.abc import Callable

_NAP = 0.05  # seconds; the longest that closing can go unnoticed


class Pacer:
    """Waits until given moments after its start.

    Each wait is measured against the start, not against the previous wait, so late wake-ups do not add up;
    a consumer that was late gets what is due at once.

    Args:
        clock: seconds, monotonic.
        sleep: waits for the given seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        # A plain flag, seen after at most one nap. A threading.Event would wake at once, but its lock is not
        # reentrant, and `close` is called from signal handlers that may interrupt the very wait they end.
        self._closed = False
        self._start: float | None = None

    def until(self, seconds: float) -> float | None:
        """Wait until ``seconds`` after the moment of the first call.

        Returns:
            The moment that was waited for, in seconds of the clock; None when closed meanwhile.
        """
        if self._start is None:
            self._start = self._clock()
        due = self._start + seconds
        while not self._closed:
            left = due - self._clock()
            if left <= 0:
                return due
            self._sleep(min(left, _NAP))
        return None

    def restart(self) -> None:
        """Begin a new schedule at the next `until`."""
        self._start = None

    def close(self) -> None:
        """Wake whoever waits; every later wait returns None at once. Safe in a signal handler."""
        self._closed = True

    @property
    def closed(self) -> bool:
        return self._closed
