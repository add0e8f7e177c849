"""The terminal that listening is seen on: whether there is one, and what may be written to it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from stream.cli.say import say


def show(line: str) -> None:
    """A line on standard output, in the characters that it has."""
    encoding = sys.stdout.encoding or "ascii"
    print(line.encode(encoding, "replace").decode(encoding), flush=True)


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def terminal_can_draw() -> bool:
    """Whether standard output is a terminal that can move its cursor; rich is not imported to say no."""
    if not is_terminal():
        return False
    from rich.console import Console

    from stream.dashboard import Dashboard

    return Dashboard.suits(Console())


@contextmanager
def held_back_stderr() -> Iterator[None]:
    """Keep everything off the screen while it is drawn, and print it afterwards: our log, and what PortAudio's and
    decoders' own threads write to file descriptor 2 behind Python's back."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines():
                say(line)
