"""Outputs: any number of them at once, as one sink that none of them can slow, stop or change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stream.outputs.clip_paths import ClipPaths
from stream.outputs.marks import Marks
from stream.outputs.output import Output
from stream.outputs.output_report import OutputReport
from stream.outputs.queued import CAPACITY_MESSAGES, DEADLINE_SECONDS, Queued
from stream.outputs.sink import GuardMaker, without_sound
from stream.outputs.switches import Switches

if TYPE_CHECKING:
    from stream.messages import Chunk, Result, Status
    from stream.outputs.acting import Acting

# For outputs that recordings wait for. So many messages are much less sound than such outputs can look back on.
RECORDING_MESSAGES, RECORDING_PATIENCE_SECONDS = 32, 10.0


class Outputs:
    """A sink that hands everything to each output, through a queue and a thread of its own.

    Args:
        outputs: with the name and target to report of each.
        live: False where the sound can wait, as that of a recording, for the outputs that ask for it.
        switches: of what can be switched while they run.
        acting: what stands before each of them, in their order; None where nothing does.
        guard: makes what stands between the sound and the outputs that write sound. All others are then given no
            sound, only how loud it is.
        marks: that the outputs watch.
        clips: filled by those that write clips.

    Attributes:
        switches, marks, clips: as given.
        closing_seconds: the longest that ``close`` takes.
    """

    def __init__(
        self,
        outputs: Sequence[tuple[Output, str, str]],
        *,
        live: bool = True,
        switches: Switches | None = None,
        acting: Sequence[Acting | None] = (),
        guard: GuardMaker | None = None,
        marks: Marks | None = None,
        clips: ClipPaths | None = None,
    ) -> None:
        self.marks = Marks() if marks is None else marks
        self.clips = ClipPaths() if clips is None else clips
        self._queues: list[Queued] = []
        writers: list[Queued] = []
        for place, (output, name, target) in enumerate(outputs):
            before = acting[place] if acting else None
            waits = not live and getattr(output, "holds_up_recordings", False)
            queue = Queued(
                output if before is None else before,
                name=name,
                target=target,
                wants=output.WANTS if before is None else before.wants,
                capacity=RECORDING_MESSAGES if waits else CAPACITY_MESSAGES,
                patience_seconds=RECORDING_PATIENCE_SECONDS if waits else 0.0,
                # Where the sound has waited for it, so does the end: a slow disk loses nothing.
                deadline_seconds=RECORDING_PATIENCE_SECONDS if waits else DEADLINE_SECONDS,
            )
            self._queues.append(queue)
            if writes_sound(type(output)):
                writers.append(queue)
        self.closing_seconds = max((queue.deadline_seconds for queue in self._queues), default=0.0)
        self.switches = Switches() if switches is None else switches
        # How far back the sound must reach that results refer to, in seconds; 0 where nobody reads it.
        self.history_seconds: float = max(
            (getattr(output, "history_seconds", 0.0) for output, _, _ in outputs), default=0.0
        )
        # After how much sound results must carry the state of the classifier, in seconds; None where nobody wants it.
        self.snapshot_seconds: float | None = min(
            (output.snapshot_seconds for output, _, _ in outputs if hasattr(output, "snapshot_seconds")),
            default=None,
        )
        self._guard = None
        self._open = self._queues  # those that are given everything as it comes
        if guard is not None:
            from stream.outputs.loudness import Loudness  # it needs numpy, which option parsing does without

            self._loudness = Loudness()
            self._guard = guard(writers, self.history_seconds)
            self._open = [queue for queue in self._queues if queue not in writers]
            self.history_seconds = 0.0  # the guard keeps what may be kept
            self.snapshot_seconds = None  # a state holds the last milliseconds of sound

    def __len__(self) -> int:
        return len(self._queues)

    def reports(self) -> list[OutputReport]:
        """How each is doing, in their order. From any thread."""
        return [queue.report() for queue in self._queues]

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""
        heard = [chunk]
        if self._guard is not None:
            self._guard.chunk(chunk)
            heard = self._loudness.push(chunk)
        for each in heard:
            for queue in self._open:
                queue.chunk(each)

    def result(self, result: Result) -> None:
        """See Sink."""
        if self._guard is not None:
            self._guard.result(result)
            result = without_sound(result)
        for queue in self._open:
            queue.result(result)

    def status(self, status: Status) -> None:
        """See Sink."""
        for queue in self._open:
            queue.status(status)
        if self._guard is not None:
            self._guard.status(status)

    def close(self) -> None:
        """Deliver what waits: all side by side, so that it takes no longer than the slowest. That one has a second, or
        ten where a recording has waited for it."""
        try:
            if self._guard is not None:
                self._guard.flush()
                for chunk in self._loudness.flush():
                    for queue in self._open:
                        queue.chunk(chunk)
        finally:
            for queue in self._queues:
                queue.begin_close()
            for queue in self._queues:
                queue.close()
            if self._guard is not None:
                self._guard.close()


def writes_sound(kind: type) -> bool:
    """Whether sound leaves the program through a class of outputs. One that does not say so is not trusted."""
    return bool(getattr(kind, "WRITES_SOUND", True))
