"""WorkerPool: all streams of one model, classified in processes of their own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from stream import snapshot as snapshots
from stream.capture.live.supervisor import Backoff
from stream.classifier import StreamClassifier
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, PoolFull, SpecError
from stream.inference.session import Model
from stream.messages import Result
from stream.server.pool.listeners import Listeners
from stream.server.workers.seat import WorkerSeat
from stream.server.workers.worker import Worker
from stream.snapshot import Snapshot

log = logging.getLogger(__name__)
STEADY_SECONDS = 60.0  # of life, after which the next worker need not be waited for


def _nothing(error: Exception | None) -> None:
    pass


class WorkerPool:
    """As a `Pool` for streams from outside, whose work other processes do: what one interpreter can do is no bound.

    A stream stays in one worker. Its results are, to the bit, those of a `StreamClassifier` of its own, and all
    callbacks are called in a thread of the worker's, as those of a `Pool` are. Results have no features. A worker that
    dies ends its streams, with an error, and no others; another one takes its place.

    Args:
        model: shared.
        workers: processes.
        max_streams: at a time, in all of them together.
        deadline: longest wait of a sound for others that could go with it, seconds.

    Attributes:
        model, max_streams: those.

    Raises:
        SpecError: a number out of range.
    """

    def __init__(
        self, model: Model, *, workers: int, max_streams: int = 1000, deadline: float = 0.010
    ) -> None:
        if workers < 1:
            raise SpecError(f"workers {workers}: must be 1 or more")
        self.model, self.max_streams = model, max_streams
        self._deadline = deadline
        self._lock = threading.Lock()
        self._taken = 0
        self._before = [0, 0]  # batches of workers that are gone
        self._listeners = Listeners(self)
        self._closing = threading.Event()
        self._patience = Backoff(1.0, 60.0)
        self._started: dict[Worker, float] = {}
        self._workers = [self._make() for _ in range(workers)]

    def __repr__(self) -> str:
        return f"WorkerPool({self.model.id}, {self.streams} of {self.max_streams} streams)"

    @property
    def streams(self) -> int:
        """See AnyPool."""
        return self._taken

    @property
    def batches(self) -> int:
        """See AnyPool."""
        return self._before[0] + sum(worker.batches for worker in self._workers)

    @property
    def batched(self) -> int:
        """See AnyPool."""
        return self._before[1] + sum(worker.batched for worker in self._workers)

    @property
    def process_ids(self) -> list[int]:
        """Of the workers that were started."""
        return [worker.process_id for worker in self._workers if worker.process_id is not None]

    def start(self) -> None:
        """Start the processes, without waiting for them. Once."""
        for worker in list(self._workers):
            self._start(worker)

    def close(self) -> None:
        """End every stream that is left, with ClosedError, and the processes."""
        with self._lock:
            self._closing.set()
            workers = list(self._workers)
        for worker in workers:
            worker.close()

    def take_seat(
        self,
        stream: str,
        deliver: Callable[[Result], None],
        *,
        ended: Callable[[Exception | None], None] = _nothing,
        detector: DetectorSpec | None = None,
        snapshot: Snapshot | None = None,
    ) -> WorkerSeat:
        """A new stream whose sound will be pushed, in the worker that has the fewest; see `Pool.take_seat`.

        Raises:
            PoolFull: there is no room, or no worker at this moment.
            ClosedError: the pool is closed.
            SpecError: a rule for a class that there is not.
            SnapshotInvalid: it is damaged, or of another model or other settings.
        """
        if detector is not None:
            detector.check_labels(self.model.labels)
        packed = None
        if snapshot is not None:
            StreamClassifier(self.model, detector, stream=stream).restore(snapshot)
            packed = snapshots.pack(snapshot)
        with self._lock:
            if self._closing.is_set():
                raise ClosedError("the pool is closed: it takes no more streams")
            if self._taken >= self.max_streams:
                raise PoolFull(
                    f"all {self.max_streams} places are taken: try again later, or allow more streams"
                )
            self._taken += 1
            workers = sorted(self._workers, key=len)
        for worker in workers:
            try:
                return worker.take_seat(stream, deliver, ended, detector, packed, self._left)
            except ClosedError:  # it has just died
                continue
        self._left()
        raise PoolFull("no worker runs at this moment: try again later")

    def add_listener(self, listener: Callable[[], None]) -> None:
        """See AnyPool."""
        self._listeners.add(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """See AnyPool."""
        self._listeners.remove(listener)

    def _make(self) -> Worker:
        return Worker(self.model, self.max_streams, self._deadline, self._tell, self._replace)

    def _start(self, worker: Worker) -> None:
        self._started[worker] = time.monotonic()
        worker.start()

    def _left(self) -> None:
        with self._lock:
            self._taken -= 1

    def _replace(self, worker: Worker, how: str) -> None:
        """A worker died: another one takes its place, after a while where they die again and again."""
        with self._lock:
            self._workers.remove(worker)
            self._before[0] += worker.batches
            self._before[1] += worker.batched
        if time.monotonic() - self._started.pop(worker) > STEADY_SECONDS:
            self._patience.reset()
        wait = self._patience.next()
        log.error("a worker of %s ended (%s); another one starts in %.0f s", self.model.id, how, wait)
        if self._closing.wait(wait):
            return
        another = self._make()
        with self._lock:
            if self._closing.is_set():
                return
            self._workers.append(another)
            self._start(another)

    def _tell(self) -> None:
        self._listeners.tell()
