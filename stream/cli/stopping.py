"""Signals: what ends listening, and what opens its files again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stream.errors import ClosedError

if TYPE_CHECKING:
    from stream.outputs.jsonl import JsonLines


@contextmanager
def stop_signals(stop: Callable[[], None], lines: list[JsonLines]) -> Iterator[None]:
    """SIGINT and SIGTERM end the source, so that the loop runs out and everything is flushed; SIGHUP reopens
    files. A second SIGINT does what it always does."""

    def ended(number: int, frame: Any) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        for each in lines:
            each.give_up()
        stop()

    def rotated(number: int, frame: Any) -> None:
        for each in lines:
            each.reopen()

    handlers: dict[int, Any] = {signal.SIGINT: ended, signal.SIGTERM: ended}
    if hasattr(signal, "SIGHUP") and lines:
        handlers[signal.SIGHUP] = rotated
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    except ClosedError:
        pass  # stopped before the first sound was asked for
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
