"""Worker: a process that classifies streams, as the station sees it."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, StreamClassifyError
from stream.inference.session import Model
from stream.messages import Result
from stream.server.workers.bundles import bundled
from stream.server.workers.messages import Answer, HeardTogether, Order, Take, answer, packed
from stream.server.workers.process import SIGNALS, work
from stream.server.workers.seat import WorkerSeat

log = logging.getLogger(__name__)
MOST_UNANSWERED = 2  # lists of orders: one that it works on, one that it finds when it is done
END_SECONDS = 5.0  # that a process gets to end
PIPE_BYTES = 1 << 20  # for as many orders as wait at a time, so that nobody waits in the middle of them


class Worker:
    """One process, with a thread that sends what waits, and one that tells what comes back.

    Orders wait up to ``deadline`` for others, and all go together: a system call for each, and a turn of the
    interpreter, would cost more than the orders do.

    Args:
        model: of its streams.
        max_streams: at a time.
        deadline: longest wait, seconds.
        tell: called behind every answer, in the thread that delivers.
        gone: called when the process has ended by itself, with how; in that thread.

    Attributes:
        batches, batched: as of a `Pool`.
    """

    def __init__(
        self,
        model: Model,
        max_streams: int,
        deadline: float,
        tell: Callable[[], None],
        gone: Callable[[Worker, str], None],
    ) -> None:
        self._model, self._max_streams, self._deadline = model, max_streams, deadline
        self._tell, self._gone = tell, gone
        self._rate = model.card.features.sample_rate
        self.batches = self.batched = 0
        self._seats: dict[int, WorkerSeat] = {}
        self._numbers = 0
        self._change = threading.Condition()
        self._orders: list[Order] = []
        self._since = 0.0  # when the first of them was given
        self._unanswered = 0
        self._closed = self._dead = False
        self._process: Any = None
        self._to: Connection
        self._from: Connection
        self._threads: list[threading.Thread] = []

    def __len__(self) -> int:
        return len(self._seats)

    @property
    def process_id(self) -> int | None:
        """None before the start."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process, without waiting for it: what is ordered meanwhile waits in the pipe. Once."""
        context = multiprocessing.get_context("spawn")  # ONNX Runtime's threads do not survive a fork
        orders, self._to = context.Pipe(duplex=False)
        self._from, answers = context.Pipe(duplex=False)
        for pipe in (self._to, answers):
            _widen(pipe)
        self._process = context.Process(
            target=work,
            args=(orders, answers, self._model, self._max_streams),
            name=f"worker of {self._model.id}",
            daemon=True,
        )
        _start_deaf(self._process)
        orders.close()
        answers.close()
        for target, name in ((self._send, "orders of"), (self._receive, "answers of")):
            thread = threading.Thread(target=target, name=f"{name} {self._model.id}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def take_seat(
        self,
        stream: str,
        deliver: Callable[[Result], None],
        ended: Callable[[Exception | None], None],
        detector: DetectorSpec | None,
        snapshot: bytes | None,
        left: Callable[[], None],
    ) -> WorkerSeat:
        """As for `WorkerPool`.

        Args:
            left: called once when it is over.

        Raises:
            ClosedError: the process is gone, or is to end.
        """

        def remove(seat: WorkerSeat) -> None:
            if self._seats.pop(seat.number, None) is not None:
                left()

        with self._change:
            if self._dead or self._closed:
                raise ClosedError("this worker takes no more streams")
            number = self._numbers = self._numbers + 1
            seat = WorkerSeat(number, stream, self._model, deliver, ended, self._order, remove)
            self._seats[number] = seat
        self._order(Take(number, stream, detector, snapshot))
        return seat

    def close(self) -> None:
        """End every stream that is left, with ClosedError, and the process."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        if self._process is None:
            self._end_streams(ClosedError("the pool was closed"))
            return
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(END_SECONDS)
        self._process.join(END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _order(self, order: Order) -> None:
        with self._change:
            self._orders.append(order)
            if len(self._orders) == 1:
                self._since = time.monotonic()
                self._change.notify_all()

    def _send(self) -> None:
        """The thread that sends. The process ends once nothing more can come."""
        try:
            while (given := self._next()) is not None:
                self._to.send_bytes(packed(bundled(given, self._rate)))
        except OSError:  # the process is gone, which the other thread finds out
            pass
        finally:
            self._to.close()

    def _next(self) -> list[Order] | None:
        """What waits, once there is something and the worker has time for it; None where it is to end."""
        with self._change:
            self._change.wait_for(lambda: self._orders or self._over)
            alone = len(self._orders) >= len(self._seats)  # nobody else has sound to come
            left = self._since + self._deadline - time.monotonic()
            if left > 0 and not alone:
                self._change.wait_for(lambda: self._over, left)
            self._change.wait_for(lambda: self._unanswered < MOST_UNANSWERED or self._over)
            if self._over:
                return None
            given, self._orders = self._orders, []
            self._unanswered += 1
            return given

    @property
    def _over(self) -> bool:
        return self._closed or self._dead

    def _receive(self) -> None:
        """The thread that tells what comes back."""
        try:
            while True:
                self._take(answer(self._from.recv_bytes()))
        except (EOFError, OSError):
            self._from.close()
        with self._change:
            self._dead = True
            self._change.notify_all()
        if self._closed:
            self._end_streams(ClosedError("the pool was closed"))
            return
        self._process.join(END_SECONDS)
        code = self._process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._end_streams(StreamClassifyError(f"the process that classified it ended ({how})"))
        self._gone(self, how)

    def _take(self, found: Answer) -> None:
        with self._change:
            self._unanswered -= 1
            self._change.notify_all()
        self.batches, self.batched = found.batches, found.batched
        seats = self._seats
        for said in found.said:
            if isinstance(said, HeardTogether):
                self._share_out(said)
            elif (seat := seats.get(said.seat)) is not None:
                seat.take(said)
        for number, classified in found.classified.items():
            if (seat := seats.get(number)) is not None:
                seat.classified = classified
        self._tell()

    def _share_out(self, heard: HeardTogether) -> None:
        count = len(heard.seats)
        warm = np.frombuffer(heard.warm, np.bool_)
        sample = np.frombuffer(heard.sample, np.int64).reshape(count, len(warm))
        probs = np.frombuffer(heard.probs, np.float32).reshape(count, len(warm), -1)
        for place, (number, end, captured_at) in enumerate(
            zip(heard.seats, heard.ends, heard.captured_at, strict=True)
        ):
            if (seat := self._seats.get(number)) is not None:
                seat.classified += heard.samples
                events = heard.events.get(place, ())
                seat.hear(probs[place], sample[place], warm, end, captured_at, events)

    def _end_streams(self, error: Exception) -> None:
        for seat in list(self._seats.values()):
            seat.end(error)
        self._tell()


def _start_deaf(process: Any) -> None:
    """Start a process that signals do not reach, from its first moment on: they are for the station, and come to every
    process of a terminal or a service."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        process.start()
        return
    resource_tracker.ensure_running()  # else it starts now, and lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _widen(pipe: Connection) -> None:
    """Let more lie in a pipe than the system does by itself, where it can be told to."""
    try:
        from fcntl import F_SETPIPE_SZ, fcntl
    except ImportError:  # of Linux alone
        return
    with suppress(OSError):  # more than this user may have
        fcntl(pipe.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
