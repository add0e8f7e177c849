"""Outputs: any number of them at once, as one sink that none of them can slow, stop or change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stream.outputs.acting import Acting
from stream.outputs.output import Output
from stream.outputs.output_report import OutputReport
from stream.outputs.queued import CAPACITY_MESSAGES, Queued

if TYPE_CHECKING:
    from stream.messages import Chunk, Result, Status

# For outputs that recordings wait for. So many messages are much less sound than such outputs can look back on.
RECORDING_MESSAGES, RECORDING_PATIENCE_SECONDS = 32, 10.0


class Outputs:
    """A sink that hands everything to each output, through a queue and a thread of its own.

    Args:
        outputs: with the name and target to report of each.
        live: False where the sound can wait, as that of a recording, for the outputs that ask for it.
        acting: what stands before each of them, in their order; None where nothing does.
    """

    def __init__(
        self,
        outputs: Sequence[tuple[Output, str, str]],
        *,
        live: bool = True,
        acting: Sequence[Acting | None] = (),
    ) -> None:
        self._queues = []
        for place, (output, name, target) in enumerate(outputs):
            before = acting[place] if acting else None
            waits = not live and getattr(output, "holds_up_recordings", False)
            self._queues.append(
                Queued(
                    output if before is None else before,
                    name=name,
                    target=target,
                    wants=output.WANTS if before is None else before.wants,
                    capacity=RECORDING_MESSAGES if waits else CAPACITY_MESSAGES,
                    patience_seconds=RECORDING_PATIENCE_SECONDS if waits else 0.0,
                )
            )
        # How far back the sound must reach that results refer to, in seconds; 0 where nobody reads it.
        self.history_seconds: float = max(
            (getattr(output, "history_seconds", 0.0) for output, _, _ in outputs), default=0.0
        )
        # After how much sound results must carry the state of the classifier, in seconds; None where nobody wants it.
        self.snapshot_seconds: float | None = min(
            (output.snapshot_seconds for output, _, _ in outputs if hasattr(output, "snapshot_seconds")),
            default=None,
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
