"""WithoutSound: sinks that are given no sound at all."""

from __future__ import annotations

from collections.abc import Sequence

from stream.messages import Chunk, Result, Status
from stream.outputs.sink import Sink, without_sound


class WithoutSound:
    """A sink that hands on results and statuses, and no sound: no chunk, and nothing in ``result.sound``.

    Args:
        sinks: in order.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def chunk(self, chunk: Chunk) -> None:
        """Take sound, and forget it."""

    def result(self, result: Result) -> None:
        """See Sink."""
        result = without_sound(result)
        for sink in self._sinks:
            sink.result(result)

    def status(self, status: Status) -> None:
        """See Sink."""
        for sink in self._sinks:
            sink.status(status)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """See Sink."""
        for sink in self._sinks:
            sink.close()
