"""Pool: all streams of one model in one process, run together by a thread of its own."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream.classifier import StreamClassifier
from stream.classifier.many_streams import Brought
from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, PoolFull, SpecError
from stream.features.conditioner import MAX_GAP_SECONDS
from stream.features.repair import Method
from stream.inference.session import Model
from stream.inference.state_table import SlabRow, StateTable
from stream.messages import Result
from stream.server.pool.company import Company, Places
from stream.server.pool.listeners import Listeners
from stream.server.pool.member import Member
from stream.server.pool.micro_batch import Frames, MicroBatch
from stream.server.pool.pool_engine import PoolEngine
from stream.server.pool.scratch import Scratch
from stream.server.pool.seat import Seat
from stream.snapshot import Snapshot

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Member)


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

    Attributes:
        batches, batched: batches that were run so far, and members in them, each time they were.

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
        self.batches = self.batched = 0
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        # A row is free again only behind the batch that may be running it, so there are more rows than streams.
        self._table = StateTable(model, 2 * max_streams)
        self._batch = MicroBatch(self._table)
        self._scratch, self._company = Scratch(), Company(self._table)
        self._free = list(range(2 * max_streams - 1, -1, -1))  # the lowest row is taken first
        self._running = False  # a batch
        self._left: list[int] = []  # rows of those who left meanwhile
        self._members: set[Member] = set()
        self._taken = 0
        self._waiting: list[Member] = []
        self._since = 0.0  # when the first of them called
        self._listeners = Listeners(self)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"pool of {model.id}", daemon=True)

    def __repr__(self) -> str:
        return f"Pool({self.model.id}, {self.streams} of {self.max_streams} streams)"

    @property
    def streams(self) -> int:
        """Seats and engines that are taken."""
        return self._taken

    def start(self) -> None:
        """Start the thread. Once."""
        self._thread.start()

    def run_waiting(self) -> None:
        """Run all that waits, in the calling thread: for who never calls ``start``, and decides by himself when."""
        while members := self._taken_up():
            self._run_batch(members)
        with self._lock:
            self._rest()
        self._tell()

    def going_on(
        self, rows: Places, starts: NDArray[np.int64], samples: int, sample_rate: int
    ) -> NDArray[np.bool_]:
        """Which seats ``hear`` may be given their next sound of: it is nothing but sound behind their last.

        Args:
            rows: (N,) of seats for which nothing waits.
            starts: (N,) of that sound.
            samples, sample_rate: of the sound of each.
        """
        return self._company.going_on(rows, starts, samples, sample_rate)

    def hear(
        self, rows: Places, sound: NDArray[Any], captured_at: Sequence[float | None]
    ) -> Iterator[tuple[Places, Brought | Exception | None]]:
        """Run sound of such seats in the calling thread, as ``run_waiting`` does, but for their callbacks.

        Args:
            rows: (N,) different ones.
            sound: (N, n) float32 or int16, valid.
            captured_at: N times.

        Yields:
            See `Company.hear`.
        """
        self.batches += 1
        self.batched += len(rows)
        yield from self._company.hear(rows, sound, captured_at)

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
        row = self._take_row()
        self._company.forget(row)
        try:
            classifier = StreamClassifier(
                self.model,
                detector,
                derived=derived,
                repair=repair,
                max_gap=max_gap,
                stream=stream,
                engine=SlabRow(self._table, row),
            )
            if snapshot is not None:
                classifier.restore(snapshot)
        except BaseException:
            self._give_back(row)
            raise
        return self._add(
            Seat(row, classifier, self._scratch, self._company, deliver, ended, self._call, self._remove)
        )

    def engine(self) -> PoolEngine:
        """A row for a `StreamClassifier` that runs in a thread of its own.

        Raises:
            PoolFull: every row is taken.
            ClosedError: the pool is closed.
        """
        return self._add(PoolEngine(self._table, self._take_row(), self._call, self._remove))

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` in the pool's thread behind every batch."""
        self._listeners.add(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners.remove(listener)

    def _take_row(self) -> int:
        with self._lock:
            if self._closed:
                raise ClosedError("the pool is closed: it takes no more streams")
            if self._taken >= self.max_streams or not self._free:
                raise PoolFull(
                    f"all {self.max_streams} places are taken: try again later, or allow more streams"
                )
            self._taken += 1
            return self._free.pop()

    def _give_back(self, row: int) -> None:
        with self._lock:
            self._taken -= 1
            (self._left if self._running else self._free).append(row)

    def _add(self, member: M) -> M:
        with self._lock:
            if not self._closed:
                self._members.add(member)
                return member
        member.end(ClosedError("the pool was closed"))
        return member

    def _remove(self, member: Member) -> None:
        with self._lock:
            known = member in self._members
            self._members.discard(member)
        if known:
            self._give_back(member.row)

    def _call(self, member: Member) -> None:
        """Something waits in ``member``, which says so once until it was asked whether there is more."""
        with self._lock:
            self._waiting.append(member)
            if len(self._waiting) == 1:
                self._since = time.monotonic()
                self._wake.notify()

    def _run(self) -> None:
        error: Exception = ClosedError("the pool was closed")
        try:
            while (members := self._next()) is not None:
                self._run_batch(members)
                self._tell()
        except Exception as unexpected:  # nobody is left waiting for a thread that is gone
            log.exception("%r ends", self)
            error = unexpected
        with self._lock:
            self._closed = True
            left, self._members = self._members, set()
        for member in left:
            member.end(error)
        self._tell()

    def _next(self) -> list[Member] | None:
        """Wait for something to do, and for what else comes before the deadline; None where the pool is closed."""
        with self._lock:
            self._rest()
            while not (self._waiting or self._closed):
                self._wake.wait()
            alone = len(self._waiting) >= len(self._members)  # nobody else has sound to come
            left = self._since + self.deadline - time.monotonic()
        if left > 0 and not (alone or self._closed):
            time.sleep(left)
        members = self._taken_up()
        return None if self._closed else members

    def _taken_up(self) -> list[Member]:
        """What waits, for a batch that begins."""
        with self._lock:
            members, self._waiting = self._waiting, []
            self._running = True
            return members

    def _rest(self) -> None:
        """No batch is running, so rows that were left meanwhile are free. With the lock."""
        self._running = False
        self._free += self._left
        self._left.clear()

    def _run_batch(self, members: list[Member]) -> None:
        asked: list[tuple[Member, Frames]] = []
        self.batches += 1
        self.batched += len(members)
        for member in members:
            if (frames := member.begin()) is not None:
                asked.append((member, frames))
        for seat, chunk in self._company.run():
            if (frames := seat.alone(chunk)) is not None:
                asked.append((seat, frames))
        while asked:
            answers = self._batch.run([(member.row, frames) for member, frames in asked])
            asked = [
                (member, frames)
                for (member, _), answer in zip(asked, answers, strict=True)
                if (frames := member.go_on(answer)) is not None
            ]
        more = [member for member in members if member.waits()]
        if more:  # they have waited long enough
            with self._lock:
                self._waiting += more
                self._since = -math.inf

    def _tell(self) -> None:
        self._listeners.tell()
