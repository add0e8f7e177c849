"""run: the loop from source to outputs; and the one worker thread that runs it behind a dashboard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stream.messages import Chunk, Result, SourceState, Status
from stream.outputs.base import Output

if TYPE_CHECKING:
    from stream.capture.source import AudioSource
    from stream.classifier import StreamClassifier


class Observer(Protocol):
    """Watches from beside the stream; must not touch it."""

    def observe(self, chunk: Chunk, result: Result, busy_seconds: float, now: float) -> None: ...

    def status(self, status: Status) -> None: ...


@dataclass(slots=True)
class Summary:
    """What a run came to.

    Attributes:
        samples: taken in, at the model's rate; gaps not counted.
        rows: of scores.
        events: complete ones.
        lost: samples in gaps.
        repaired: samples mended.
        busy: seconds spent computing.
    """

    samples: int = 0
    rows: int = 0
    events: int = 0
    lost: int = 0
    repaired: int = 0
    busy: float = 0.0


def run(
    source: AudioSource,
    classifier: StreamClassifier,
    outputs: Sequence[Output] = (),
    *,
    observers: Sequence[Observer] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Summary:
    """Classify a source to its end, or until it is closed from another thread or a signal handler.

    Args:
        source: any source; resampled to the model's rate when it has another.
        classifier: state of this stream.
        outputs: told everything, in order; closed at the end, whatever happens.
        observers: told the same, with timings (the dashboard's telemetry, a watchdog).
        clock: monotonic seconds, for timings only.
    """
    summary = Summary()
    state: SourceState = "listening"
    try:
        with source:
            for chunk in source:
                begin = clock()
                result = classifier.push(chunk)
                if chunk.state != state:
                    state = chunk.state
                    _tell(Status(state, chunk.end, chunk.sample_rate, chunk.detail), outputs, observers)
                _deliver(chunk, result, outputs, observers, begin, clock, summary)
            begin = clock()
            end = Chunk(np.empty(0, np.float32), classifier.end, classifier.sample_rate, state=state)
            _deliver(end, classifier.flush(), outputs, observers, begin, clock, summary)
    finally:
        for output in outputs:
            output.close()
    return summary


def _tell(status: Status, outputs: Sequence[Output], observers: Sequence[Observer]) -> None:
    for output in outputs:
        output.status(status)
    for observer in observers:
        observer.status(status)


def _deliver(
    chunk: Chunk,
    result: Result,
    outputs: Sequence[Output],
    observers: Sequence[Observer],
    begin: float,
    clock: Callable[[], float],
    summary: Summary,
) -> None:
    for output in outputs:
        output.write(result)
    now = clock()
    summary.samples += len(chunk.samples)
    summary.rows += len(result.scores)
    summary.events += sum(event.offset is not None for event in result.events)
    summary.lost += sum(gap.length for gap in result.gaps)
    summary.repaired += result.repaired
    summary.busy += now - begin
    for observer in observers:
        observer.observe(chunk, result, now - begin, now)


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
