"""What a long export is doing, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

_QUIET = 3.0  # seconds without a word: most exports are done by then
_EVERY = 10.0  # seconds between lines where they cannot be written over
_WIDTH = 78


class ExportProgress:
    """One line that changes on a terminal, now and then a line elsewhere; nothing at all for what is soon done.

    Use as a context manager.

    Args:
        out: where to; None = standard error.
        clock: seconds, from any start.
    """

    def __init__(self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out or sys.stderr
        self._clock = clock
        self._start = clock()
        self._next = self._start + _QUIET
        self._open = False

    def __call__(self, what: str) -> None:
        now = self._clock()
        if now < self._next:
            return
        text = f"{now - self._start:.0f} s: {what}"[:_WIDTH]
        if self._out.isatty():
            self._out.write(f"\r{text:<{_WIDTH}}")
            self._open = True
        else:
            self._out.write(f"{text}\n")
            self._next = now + _EVERY
        self._out.flush()

    def __enter__(self) -> ExportProgress:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        if self._open:
            self._out.write(f"\r{'':<{_WIDTH}}\r")
            self._out.flush()
            self._open = False
