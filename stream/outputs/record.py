"""Recorder: ``--record SESSION``, everything that was heard and what was made of it, so that it can be made again."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from stream.errors import OutputError, UsageError
from stream.outputs.output import Option, OutputContext
from stream.outputs.queued import EVERYTHING, Want
from stream.outputs.retention import Keep, parse_keep

if TYPE_CHECKING:
    from stream.decisions.spec import DetectorSpec
    from stream.messages import Chunk, Result, Status
    from stream.session.description import Description
    from stream.session.segment_writer import SegmentWriter

log = logging.getLogger(__name__)
SNAPSHOT_SECONDS = 60.0
LONGEST_SEGMENT = 2  # times the above, where no snapshot comes
LAST_SECONDS = 0.7  # for FLAC at the end
MOST_MARKS, MARK_LETTERS = 1000, 500  # that wait, and of one


class Recorder:
    """An output that records a session into a folder of its own.

    Sound is kept to the bit as the source gave it, with its gaps and invalid samples; beside it scores, events, the
    settings and the digest of the model, and every minute the whole state of the classifier. ``stream.replay`` makes
    the same results of it. A session that was cut short, by ``kill -9`` or a power cut, can be read up to there.

    What cannot be written (a full disk) or came too fast for the disk is a hole in the session. It is counted, and
    recording goes on with the next snapshot.

    Args:
        context: of the run.
        record: the folder, made here. ``%`` codes stand for date and time, as in ``date``: "night-%Y%m%d".
        record_keep: how much of it stays; None = all.

    Raises:
        OutputError: the folder cannot be made, or is not empty.
        UsageError: no folder was named.
    """

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            name="record",
            metavar="SESSION",
            help="Record sound, scores, events and state into a new folder, for replay and explain. %Y%m%d-%H%M%S and "
            "the like stand for date and time.",
        ),
        Option(
            name="record-keep",
            metavar="7d|20GB",
            help="Session: remove the oldest minutes beyond this age, or this size of all. Default: keep all.",
            check=partial(parse_keep, option="--record-keep"),
        ),
    )
    WANTS: ClassVar[frozenset[Want]] = EVERYTHING
    WRITES_SOUND = True
    NEEDS_ALL_SOUND = True  # without it a replay would give something else
    holds_up_recordings = True
    takes_all_events = True
    snapshot_seconds = SNAPSHOT_SECONDS

    def __init__(self, context: OutputContext, *, record: str, record_keep: Keep | None = None) -> None:
        from stream.outputs.line_encoder import LineEncoder
        from stream.outputs.session_times import SessionTimes
        from stream.session.new_session import create
        from stream.session.pruning import Pruning
        from stream.session.upkeep import Upkeep

        if not record.strip():
            raise UsageError("--record '': is empty, perhaps an unset variable of the shell; give a folder")
        folder = Path(time.strftime(record) if "%" in record else record)
        self.folder = create(folder, _description(context))
        self._live = context.source.live
        self._wall, self._monotonic = context.wall, context.monotonic
        self._times = SessionTimes()
        self._lines = LineEncoder(context.origin, self._times, live=context.source.live, onsets=True)
        self._model: str | None = None
        self._segment: SegmentWriter | None = None
        self._number = 0
        self._hole = False  # something is missing, until the next snapshot
        self._whole = True  # nothing is missing before the segment that comes next
        self._chunk: Chunk | None = None
        self._statuses: list[Status] = []
        self._marks: deque[tuple[float, str]] = deque(maxlen=MOST_MARKS)
        self._sample_rate = context.sample_rate
        self._known: tuple[str, str] = ("listening", "")
        settings = context.settings
        self._first_rules = context.detector if settings is None else settings.detector
        self._rules: DetectorSpec = self._first_rules  # in force
        self._due = 0  # the sample that comes next, if nothing is lost
        keep = Keep() if record_keep is None else record_keep
        self._upkeep = Upkeep(Pruning(self.folder, keep.seconds, keep.size, context.wall).prune)
        context.marks.watch(self.mark)

    def mark(self, at: float, text: str = "") -> None:
        """Keep a moment, in seconds since 1970, with a few words. Returns at once; from any thread."""
        self._marks.append((at, text))

    def status(self, status: Status) -> None:
        """Keep it for the chunk that it came with."""
        self._statuses.append(status)

    def chunk(self, chunk: Chunk) -> None:
        """Keep it for its result."""
        self._chunk = chunk

    def result(self, result: Result) -> None:
        """Write a chunk and what was made of it.

        Raises:
            OutputError: it was not written.
        """
        if self._model is None:
            self._model = result.model
        if result.model != self._model:  # another classifier hears the same sound; a session is about one
            return
        chunk, self._chunk = self._chunk, None
        if self._hole:
            self._statuses.clear()
            if result.snapshot is None or chunk is None:
                raise OutputError(f"record {self.folder}: not recorded; it goes on at the next snapshot")
        else:
            self._guarded(lambda: self._step(chunk, result))
        if result.snapshot is not None and chunk is not None:
            self._guarded(lambda: self._next_segment(chunk, result))

    def missed(self, count: int) -> None:
        """Messages were dropped before they came here."""
        self._break()

    def close(self) -> None:
        """Finish the last segment."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.finish()
            self._upkeep.finished(segment)
        self._upkeep.end(LAST_SECONDS)

    def _guarded(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._break()
            raise OutputError(
                f"record {self.folder}: {error.strerror or error}; it goes on at the next snapshot"
            ) from None

    def _break(self) -> None:
        """What comes next does not follow what is written."""
        segment, self._segment = self._segment, None
        self._hole, self._whole, self._chunk = True, False, None
        if segment is not None:
            segment.finish()
            self._upkeep.finished(segment)

    def _step(self, chunk: Chunk | None, result: Result) -> None:
        import msgspec
        import numpy as np

        from stream.session.new_session import step_of

        if chunk is not None and not self._fits(chunk):
            self._continue(chunk)
        if self._segment is None:  # ended before the first sound
            return
        # The time of a change is that of its chunk, which is recorded; the loop may have taken its own clock instead.
        at = None if chunk is None else chunk.captured_at
        lines = [self._lines.status(msgspec.structs.replace(each, captured_at=at)) for each in self._statuses]
        self._statuses.clear()
        lines += self._lines.result(result)
        samples = np.empty(0, np.float32) if chunk is None else chunk.samples
        rules = None if result.rules == self._rules else result.rules
        step = step_of(chunk, self._known, self._due, len(result.scores), sum(map(len, lines)), rules)
        if self._marks:
            step = msgspec.structs.replace(step, marks=self._taken_marks(result.end / self._sample_rate))
        self._segment.append(step, samples, result.scores, lines)
        self._rules = rules or self._rules
        if chunk is not None:
            self._known, self._due = (chunk.state, chunk.detail), chunk.end

    def _taken_marks(self, now: float) -> tuple[tuple[float, str], ...]:
        """The moments that were marked, in seconds of the stream; of sound that is not live, all are ``now``."""
        taken = [self._marks.popleft() for _ in range(len(self._marks))]
        seconds = [self._times.second_of(at) for at, _ in taken]
        return tuple(
            (now if at is None else max(0.0, at), text[:MARK_LETTERS])
            for at, (_, text) in zip(seconds, taken, strict=True)
        )

    def _fits(self, chunk: Chunk) -> bool:
        """Whether it can stand in the segment that there is."""
        from stream.session.index import MAX_SAMPLES, MAX_STEPS

        segment = self._segment
        if segment is None or segment.beginning.sample_rate != chunk.sample_rate:
            return False
        longest = min(MAX_SAMPLES // 2, round(LONGEST_SEGMENT * SNAPSHOT_SECONDS * chunk.sample_rate))
        return segment.samples <= longest and segment.steps < MAX_STEPS

    def _continue(self, chunk: Chunk) -> None:
        """A segment without a snapshot: the first one, or where the rate changes."""
        last, self._segment = self._segment, None
        first = self._number == 0
        if first:
            self._due = chunk.start
        if last is not None:
            last.finish()
            self._upkeep.finished(last)
        at = (chunk.start if first else chunk.end) / chunk.sample_rate
        early = len(chunk.samples) / chunk.sample_rate if first else 0.0
        captured = None if chunk.captured_at is None else chunk.captured_at - early
        self._open("new" if first else "continued", chunk.sample_rate, at, captured, b"")

    def _next_segment(self, chunk: Chunk, result: Result) -> None:
        """A segment that begins with a snapshot, behind ``chunk``."""
        from stream import snapshot

        assert result.snapshot is not None
        packed = snapshot.pack(result.snapshot)
        last, self._segment = self._segment, None
        if last is not None:
            last.finish()
            self._upkeep.finished(last)
        self._known, self._due = (chunk.state, chunk.detail), chunk.end
        self._rules = result.rules or self._rules
        at = (chunk.end + chunk.missing) / chunk.sample_rate
        self._open("snapshot", chunk.sample_rate, at, chunk.captured_at, packed)
        self._hole = False

    def _open(
        self, begins: str, sample_rate: int, at: float, captured_at: float | None, packed: bytes
    ) -> None:
        from stream.session.index import Beginning
        from stream.session.new_session import segment_folder
        from stream.session.segment_writer import SegmentWriter

        clock = (self._monotonic(), self._wall())
        anchors = self._times.anchors
        if self._live and captured_at is not None:
            anchors = (*anchors, (at, clock[1] - (clock[0] - captured_at)))
        beginning = Beginning(
            begins=begins,  # type: ignore[arg-type]
            follows=self._whole,
            sample_rate=sample_rate,
            start=self._due,
            clock=clock,
            anchors=anchors,
            onsets=self._times.running,
            state=self._known[0],  # type: ignore[arg-type]
            detail=self._known[1],
            rules=None if self._rules == self._first_rules else self._rules,
        )
        self._times.begin(beginning)
        self._segment = SegmentWriter(segment_folder(self.folder, self._number + 1), beginning, packed)
        self._number += 1
        self._whole = True
        self._upkeep.begin(self._segment)


def _description(context: OutputContext) -> Description:
    from stream._version import __version__
    from stream.session.description import FORMAT, ClassifierSettings, Description, this_machine

    return Description(
        format=FORMAT,
        program=__version__,
        source=context.origin.source,
        live=context.source.live,
        model=context.origin.model,
        model_sha256=context.origin.model_sha256,
        model_path=context.model_path,
        labels=context.labels,
        sample_rate=context.sample_rate,
        settings=context.settings or ClassifierSettings(detector=context.detector),
        began=context.wall(),
        machine=this_machine(),
    )
