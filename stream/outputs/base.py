"""What every sink looks like."""

from __future__ import annotations

from typing import Protocol

from stream.messages import Result, Status


class Output(Protocol):
    """A place for results. Called from one thread, in stream order. A sink that cannot write says so in the log
    and goes on: listening does not stop because a disk is full."""

    def write(self, result: Result) -> None:
        """Take what one push brought."""

    def status(self, status: Status) -> None:
        """Take a change of what the source is doing."""

    def close(self) -> None:
        """Write what is held back and let go. A second call does nothing."""
