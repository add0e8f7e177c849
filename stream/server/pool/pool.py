"""Pool: all streams of one model in one process, run together by a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, PoolFull, SpecError
from stream.features.conditioner import MAX_GAP_SECONDS
from stream.features.repair import Method
from stream.inference.session import Model
from stream.messages import Result
from stream.server.pool.pool_engine import PoolEngine
from stream.server.pool.seat import Seat
from stream.snapshot import Snapshot

log = logging.getLogger(__name__)


class Member(Protocol):
    """What has a row in a pool."""

    def work(self) -> bool:
        """Do what waits, in the pool's thread. Whether there is more."""
        ...

    def end(self, error: Exception) -> None:
        """The pool closes."""
        ...


def _nothing(error: Exception | None) -> None:
    pass


class Pool:
    """All streams of one model in one process.

    Sound that arrives waits up to ``deadline``; then one batch runs everything that is there. Each stream's results
    are, to the bit, those of a `StreamClassifier` of its own, whatever the others do. All callbacks are called in the
    pool's thread, so they must be quick: see `LoopDelivery`.

    Args:
        model: shared.
        max_streams: seats and engines at a time.
        deadline: longest wait of a sound for others that could run with it, seconds.

    Raises:
        SpecError: a limit out of range.
    """

    def __init__(self, model: Model, *, max_streams: int = 1000, deadline: float = 0.010) -> None:
        if max_streams < 1:
            raise SpecError(f"max_streams {max_streams}: must be 1 or more")
        if not 0 <= deadline <= 1:
            raise SpecError(f"deadline {deadline:g}: must be 0 to 1 second")
        self.model = model
        self.max_streams = max_streams
        self.deadline = deadline
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._members: set[Member] = set()
        self._waiting: list[Member] = []
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"pool of {model.id}", daemon=True)

    def __repr__(self) -> str:
        return f"Pool({self.model.id}, {self.streams} of {self.max_streams} streams)"

    @property
    def streams(self) -> int:
        """Seats and engines that are taken."""
        return len(self._members)

    def start(self) -> None:
        """Start the thread. Once."""
        self._thread.start()

    def close(self) -> None:
        """End every stream that is left, with ClosedError, and the thread. A batch that is running ends first."""
        with self._lock:
            self._closed = True
            self._wake.notify()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def take_seat(
        self,
        stream: str,
        deliver: Callable[[Result], None],
        *,
        ended: Callable[[Exception | None], None] = _nothing,
        detector: DetectorSpec | None = None,
        derived: DerivedSpec | None = None,
        repair: Method = "interpolate",
        max_gap: float = MAX_GAP_SECONDS,
        snapshot: Snapshot | None = None,
    ) -> Seat:
        """A new stream whose sound will be pushed. From any thread; takes some tenths of a millisecond.

        Args:
            stream: its name, repeated in its results.
            deliver: given every result that says something. What it raises ends the stream.
            ended: given None behind `Seat.flush`, or the error that ended the stream. Called once, not after
                `Seat.leave`.
            detector, derived, repair, max_gap: as for `StreamClassifier`.
            snapshot: of a stream of the same model and settings, to go on from.

        Raises:
            PoolFull: every row is taken.
            ClosedError: the pool is closed.
            SpecError: settings out of range.
            SnapshotInvalid: it is damaged, or of another model or other settings.
        """
        classifier = StreamClassifier(
            self.model, detector, derived=derived, repair=repair, max_gap=max_gap, stream=stream
        )
        if snapshot is not None:
            classifier.restore(snapshot)
        seat = Seat(classifier, deliver, ended, self._call, self._remove)
        self._add(seat)
        return seat

    def engine(self) -> PoolEngine:
        """A row for a `StreamClassifier` that runs in a thread of its own.

        Raises:
            PoolFull: every row is taken.
            ClosedError: the pool is closed.
        """
        engine = PoolEngine(self.model, self._call, self._remove)
        self._add(engine)
        return engine

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` in the pool's thread behind every batch."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each != listener)

    def _add(self, member: Member) -> None:
        with self._lock:
            if self._closed:
                raise ClosedError("the pool is closed: it takes no more streams")
            if len(self._members) >= self.max_streams:
                raise PoolFull(
                    f"all {self.max_streams} places are taken: try again later, or allow more streams"
                )
            self._members.add(member)

    def _remove(self, member: Member) -> None:
        with self._lock:
            self._members.discard(member)

    def _call(self, member: Member) -> None:
        """Something waits in ``member``: it is in the next batch. The member calls once until it has worked."""
        with self._lock:
            self._waiting.append(member)
            if len(self._waiting) == 1:
                self._wake.notify()

    def _run(self) -> None:
        again: list[Member] = []
        while True:
            with self._lock:
                while not (self._waiting or again or self._closed):
                    self._wake.wait()
                everyone = len(self._waiting) >= len(self._members)
            if self._closed:
                break
            if not (everyone or again):
                time.sleep(self.deadline)
            with self._lock:
                batch, self._waiting = self._waiting, []
            again = [member for member in again + batch if member.work()]
            self._tell()
        with self._lock:
            left, self._members = self._members, set()
        for member in left:
            member.end(ClosedError("the pool was closed"))
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
