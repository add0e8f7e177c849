"""run and arun: the loop from a source through classifiers to sinks; and the thread that runs it behind a dashboard."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import msgspec

from stream.capture.history import SoundHistory
from stream.errors import SnapshotInvalid, StreamClassifyError
from stream.messages import Chunk, Result, SourceState, Status
from stream.outputs.sink import Sink

if TYPE_CHECKING:
    from stream.capture.source import AudioSource
    from stream.classifier import StreamClassifier

log = logging.getLogger(__name__)
HISTORY_SECONDS = 30.0


@dataclass(slots=True)
class Summary:
    """What a run came to, for one classifier. Counts of samples are at the classifier's rate.

    Attributes:
        rows: of scores.
        events: complete ones.
        lost: samples in gaps.
        repaired: samples filled in by the repair policy.
        busy_seconds: time spent computing; sinks not counted.
        end: absolute index one past the last sample taken in.
    """

    rows: int = 0
    events: int = 0
    lost: int = 0
    repaired: int = 0
    busy_seconds: float = 0.0
    end: int = 0

    def add(self, result: Result) -> None:
        """Count one more result."""
        self.rows += len(result.scores)
        self.events += sum(event.offset is not None for event in result.events)
        self.lost += sum(gap.length for gap in result.gaps)
        self.repaired += result.repaired
        self.busy_seconds += result.busy_seconds
        self.end = result.end


@overload
def run(
    source: AudioSource,
    classifiers: StreamClassifier,
    sinks: Sequence[Sink] = ...,
    *,
    history_seconds: float | None = ...,
    clock: Callable[[], float] = ...,
) -> Summary: ...


@overload
def run(
    source: AudioSource,
    classifiers: Sequence[StreamClassifier],
    sinks: Sequence[Sink] = ...,
    *,
    history_seconds: float | None = ...,
    clock: Callable[[], float] = ...,
) -> list[Summary]: ...


def run(
    source: AudioSource,
    classifiers: StreamClassifier | Sequence[StreamClassifier],
    sinks: Sequence[Sink] = (),
    *,
    history_seconds: float | None = HISTORY_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Summary | list[Summary]:
    """Classify a source to its end, or until it is closed from another thread or a signal handler.

    Args:
        source: any source, at any rate.
        classifiers: one, or several that hear the same sound: other models, other rates, other rules. They take
            their turns on each chunk, in this thread.
        sinks: each is given everything, in order, and closed at the end, whatever happens. Where an error ends the
            run, they are given the ends of the events that were on before it is raised. Where one has an attribute
            ``snapshot_seconds``, a result carries the state of its classifier after so much sound, heard or lost.
        history_seconds: how much of the source's sound is kept for the sinks, as ``result.sound``; None keeps none.
        clock: monotonic seconds, the clock of ``captured_at``. Only timings come from it, no decision.

    Returns:
        What it came to: one Summary for one classifier, a list of them for a sequence.

    Raises:
        UsageError: chunks that are out of order.
        SpecError: a history that holds no sample.
    """
    several = isinstance(classifiers, Sequence)
    each = [(one, Summary()) for one in (classifiers if isinstance(classifiers, Sequence) else [classifiers])]
    for _ in _results(source, each, sinks, history_seconds, clock):
        pass
    summaries = [summary for _, summary in each]
    return summaries if several else summaries[0]


def arun(
    source: AudioSource,
    classifiers: StreamClassifier | Sequence[StreamClassifier],
    sinks: Sequence[Sink] = (),
    *,
    history_seconds: float | None = HISTORY_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Result, None]:
    """As `run`, for ``async for``: every result, after the sinks were given it.

    All work is done in a thread, one step at a time, so the event loop goes on. Nothing is queued: while the loop's
    body takes its time, the source waits, or keeps what it can and counts what it loses, as it does for a slow sink.
    Leaving the loop, or cancelling it, closes the source, ends all events and closes the sinks. Wrap it in
    ``contextlib.aclosing`` where the loop may be left early.
    """
    from stream.asynchronous import in_thread  # which imports asyncio, and that takes a while

    several = classifiers if isinstance(classifiers, Sequence) else [classifiers]
    each = [(one, Summary()) for one in several]
    steps = _results(source, each, sinks, history_seconds, clock)
    return in_thread(steps, source.close)


def _results(
    source: AudioSource,
    each: Sequence[tuple[StreamClassifier, Summary]],
    sinks: Sequence[Sink],
    history_seconds: float | None,
    clock: Callable[[], float],
) -> Generator[Result]:
    """The loop, one result at a time. However it ends, each event is ended for the sinks, and they are closed."""
    history: SoundHistory | None = None
    known: tuple[SourceState, str] = ("listening", "")
    chunk: Chunk | None = None
    captured_at: float | None = None

    wanted = [seconds for sink in sinks if (seconds := getattr(sink, "snapshot_seconds", None)) is not None]
    snapshots = SnapshotTimer(min(wanted)) if wanted else None

    def deliver(result: Result, summary: Summary, begin: float) -> Result:
        result = msgspec.structs.replace(result, sound=history, busy_seconds=clock() - begin)
        summary.add(result)
        failed: Exception | None = None
        for sink in sinks:  # each is told, so that none lacks the end of an event because another one failed
            try:
                sink.result(result)
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return result

    def finish(errors: list[Exception]) -> Iterator[Result]:
        for classifier, summary in each:
            begin = clock()
            try:
                try:
                    last = classifier.flush()
                except StreamClassifyError as error:
                    errors.append(error)
                    last = classifier.abandon()
                # Nothing is held back any more: the newest sample of this result is the last one that came.
                last = msgspec.structs.replace(last, captured_at=captured_at)
                yield deliver(last, summary, begin)
            except Exception as error:
                errors.append(error)
            if chunk is not None and chunk.missing:  # it ended while the source was gone
                missing = chunk.missing * classifier.sample_rate // chunk.sample_rate
                summary.lost += missing
                summary.end += missing

    errors: list[Exception] = []
    with ExitStack() as stack:
        for sink in reversed(sinks):  # closed in the order given, each whatever became of the others
            stack.callback(sink.close)
        try:
            with source:
                for chunk in source:
                    if history_seconds is not None:
                        if history is None or history.sample_rate != chunk.sample_rate:
                            history = SoundHistory(chunk.sample_rate, history_seconds)
                        history.append(chunk)
                    if len(chunk.samples):
                        captured_at = chunk.captured_at
                    if (chunk.state, chunk.detail) != known:
                        known = chunk.state, chunk.detail
                        status = _status(chunk, clock)
                        for sink in sinks:
                            sink.status(status)
                    for sink in sinks:
                        sink.chunk(chunk)
                    due = snapshots is not None and snapshots.due(chunk)
                    for classifier, summary in each:
                        begin = clock()
                        result = classifier.push(chunk)
                        if due:
                            result = _with_snapshot(result, classifier)
                        yield deliver(result, summary, begin)
        except BaseException as ended_by:
            for _ in finish(errors):
                pass
            for error in errors:  # beside the one that ended the run, and perhaps the same one again
                if isinstance(error, BrokenPipeError) and isinstance(ended_by, BrokenPipeError):
                    continue  # the reader has left, which is known already
                log.warning("at the end: %s: %s", type(error).__name__, error)
            raise
        lasts = list(finish(errors))  # whole, whatever becomes of those who are given them
        if errors:
            raise errors[0]
        yield from lasts


class SnapshotTimer:
    """Says when a snapshot is due: every so many seconds of the stream, whether they were heard or lost."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next: float | None = None

    def due(self, chunk: Chunk) -> bool:
        """Whether one is to be taken behind ``chunk``."""
        now = (chunk.end + chunk.missing) / chunk.sample_rate
        if self._next is None:
            self._next = chunk.start / chunk.sample_rate + self._seconds
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def _with_snapshot(result: Result, classifier: StreamClassifier) -> Result:
    try:
        snapshot = classifier.snapshot()
    except SnapshotInvalid as error:  # at some rates the resampler cannot be saved
        log.debug("no snapshot: %s", error)
        return result
    return msgspec.structs.replace(result, snapshot=snapshot, rules=classifier.detector_spec)


def _status(chunk: Chunk, clock: Callable[[], float]) -> Status:
    at = clock() if chunk.captured_at is None else chunk.captured_at
    return Status(chunk.state, chunk.end, chunk.sample_rate, chunk.detail, at)


class Worker(threading.Thread):
    """Runs a job beside the main thread, which draws. An error waits in ``error`` for the main thread."""

    def __init__(self, job: Callable[[], Summary]) -> None:
        super().__init__(name="stream-classify worker", daemon=True)
        self._job = job
        self.summary: Summary | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.summary = self._job()
        except BaseException as error:
            self.error = error

    def finish(self, timeout: float) -> Summary | None:
        """Wait for the end and raise what the job raised. None if it does not end in ``timeout`` seconds."""
        self.join(timeout)
        if self.error is not None:
            raise self.error
        return self.summary
