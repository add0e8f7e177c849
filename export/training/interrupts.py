"""Interrupts: a Ctrl-C that is not lost in code which catches everything."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Remembers Ctrl-C until it has ended what runs. Use as a context manager.

    Python raises KeyboardInterrupt wherever the program happens to be. Where that is a finaliser, a callback out of
    compiled code or an import that may fail, the exception goes no further, and hours of training would go on. Here it
    is raised once more by the next ``check``.

    Does nothing outside the main thread, or where SIGINT is ignored or has another handler.

    Attributes:
        pressed: whether Ctrl-C was.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def check(self) -> None:
        """Raise KeyboardInterrupt if it was pressed."""
        if self.pressed:
            raise KeyboardInterrupt

    def _press(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        raise KeyboardInterrupt
