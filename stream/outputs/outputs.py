"""Outputs: any number of them at once, as one sink that none of them can slow, stop or change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stream.outputs.output import Output
from stream.outputs.output_report import OutputReport
from stream.outputs.queued import Queued

if TYPE_CHECKING:
    from stream.messages import Chunk, Result, Status


class Outputs:
    """A sink that hands everything to each output, through a queue and a thread of its own.

    Args:
        outputs: with the name and target to report of each.
    """

    def __init__(self, outputs: Sequence[tuple[Output, str, str]]) -> None:
        self._queues = [
            Queued(output, name=name, target=target, wants=output.WANTS) for output, name, target in outputs
        ]
        # How far back the sound must reach that results refer to, in seconds; 0 where nobody reads it.
        self.history_seconds: float = max(
            (getattr(output, "history_seconds", 0.0) for output, _, _ in outputs), default=0.0
        )

    def __len__(self) -> int:
        return len(self._queues)

    def reports(self) -> list[OutputReport]:
        """How each is doing, in their order. From any thread."""
        return [queue.report() for queue in self._queues]

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""
        for queue in self._queues:
            queue.chunk(chunk)

    def result(self, result: Result) -> None:
        """See Sink."""
        for queue in self._queues:
            queue.result(result)

    def status(self, status: Status) -> None:
        """See Sink."""
        for queue in self._queues:
            queue.status(status)

    def close(self) -> None:
        """Deliver what waits: all side by side, so that it takes no longer than the slowest, which has a second."""
        for queue in self._queues:
            queue.begin_close()
        for queue in self._queues:
            queue.close()
