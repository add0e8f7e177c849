"""How long to wait before trying again."""

from __future__ import annotations


class Backoff:
    """Growing waits: ``first`` seconds, then ``factor`` times more each, never above ``most``.

    Args:
        first, most: seconds; first is at most most.
        factor: at least 1.
    """

    def __init__(self, first: float = 0.25, most: float = 10.0, factor: float = 2.0) -> None:
        self._first = first
        self._most = most
        self._factor = factor
        self._wait = first

    def next(self) -> float:
        """Seconds to wait now; the following wait will be longer."""
        wait = self._wait
        self._wait = min(self._wait * self._factor, self._most)
        return wait

    def reset(self) -> None:
        """It worked: begin with the first wait next time."""
        self._wait = self._first
