"""A sink that keeps what it is given, for tests of who is given what, and when."""

from __future__ import annotations

import threading
from typing import Any

from stream.messages import Chunk, Result, Status


class Collected:
    """Every message with its kind, in order."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []
        self.threads: set[int | None] = set()
        self.closings = 0

    def take(self, kind: str, message: Any) -> None:
        self.messages.append((kind, message))
        self.threads.add(threading.get_ident())

    def chunk(self, chunk: Chunk) -> None:
        self.take("chunk", chunk)

    def result(self, result: Result) -> None:
        self.take("result", result)

    def status(self, status: Status) -> None:
        self.take("status", status)

    def close(self) -> None:
        self.closings += 1

    def of(self, kind: str) -> list[Any]:
        """The messages of one kind."""
        return [message for each, message in self.messages if each == kind]
