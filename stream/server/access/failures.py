"""Failures: how often an address may be wrong before it is told to wait."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

WINDOW_SECONDS = 60.0
MAX_ADDRESSES = 10_000


class Failures:
    """Counts wrong tokens by address, in bounded memory.

    It bounds what guessing costs us and what it writes into the log; nobody finds 256 bits by guessing. A right token
    is never refused for the wrong ones of others behind the same address.

    Args:
        allowed: wrong ones a minute.
        clock: monotonic seconds.
    """

    def __init__(self, allowed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = allowed
        self._clock = clock
        self._found: OrderedDict[str, tuple[float, int]] = (
            OrderedDict()
        )  # address -> begin of its window, count

    def add(self, address: str) -> int:
        """Count one more. Seconds to wait; 0 while there are few."""
        now = self._clock()
        begin, count = self._found.pop(address, (now, 0))
        if now - begin >= WINDOW_SECONDS:
            begin, count = now, 0
        self._found[address] = begin, count + 1
        while len(self._found) > MAX_ADDRESSES:
            self._found.popitem(last=False)
        return 0 if count < self._allowed else max(1, math.ceil(WINDOW_SECONDS - (now - begin)))
