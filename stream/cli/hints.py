"""What is odd about the sound, said on standard error while it is heard."""

from __future__ import annotations

import logging

from stream.messages import Chunk, Result, Status

log = logging.getLogger(__name__)


class HintLog:
    """A sink that says hints about the sound, each once.

    Args:
        name: of the source.

    Attributes:
        said: all of them so far.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.said = ""

    def chunk(self, chunk: Chunk) -> None:
        pass

    def result(self, result: Result) -> None:
        pass

    def status(self, status: Status) -> None:
        """Say what is new. A source that is listening has only hints to give as a detail."""
        if status.state != "listening":
            return
        for hint in filter(None, status.detail.split("; ")):
            if hint not in self.said:
                self.said += f"{hint}; "
                log.warning("%s: %s", self._name, hint)

    def close(self) -> None:
        pass
