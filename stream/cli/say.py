"""Standard error: the log and the last words of a run, which wait for nobody to read them."""

from __future__ import annotations

import logging
import select
import sys
import warnings
from typing import Any

from stream.printable import printable

WRITABLE_SECONDS = 0.2  # that a full pipe gets until a message is dropped


class Handler(logging.Handler):
    """One line for each message on standard error; none where its reader has stopped reading."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            say(self.format(record))
        except Exception:
            self.handleError(record)


def set_up_log(verbose: bool) -> None:
    """Send the log to standard error: warnings, or with ``verbose`` everything."""
    handler = _handler()
    handler.setLevel(logging.NOTSET)
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])


def _handler() -> Handler:
    handler = Handler(logging.WARNING)
    handler.setFormatter(logging.Formatter("stream-classify: %(message)s"))
    return handler


def set_up_last_resort() -> None:
    """What warns in a command that sets up no log is shown in the same way."""
    logging.lastResort = _handler()


def set_up_warnings() -> None:
    """Show warnings as lines of the log, each text once, in place of Python's two lines with code."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = str(message)
        if text not in shown:
            shown.add(text)
            say(f"stream-classify: warning: {text}")

    warnings.showwarning = show


def say(text: str) -> None:
    """Write text to standard error as one line that cannot steer the terminal, unless that would wait for a reader."""
    if sys.stderr is None:
        return
    try:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(sys.stderr.fileno(), select.POLLOUT)
            if not poll.poll(WRITABLE_SECONDS * 1e3):
                return
        print(printable(" ".join(text.split())), file=sys.stderr, flush=True)
    except (OSError, ValueError):  # closed, or the reader has left
        return
