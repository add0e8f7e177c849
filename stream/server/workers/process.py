"""The life of a worker: streams of one model in a process of their own."""

from __future__ import annotations

import gc
import signal
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from stream import snapshot as snapshots
from stream.errors import StreamClassifyError
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.server.pool import Pool, Seat
from stream.server.workers.messages import (
    Answer,
    Ended,
    Flush,
    Heard,
    HeardTogether,
    Leave,
    Order,
    Rules,
    Said,
    Save,
    Saved,
    Sound,
    SoundTogether,
    Take,
    orders,
    packed,
)
from stream.snapshot import Snapshot

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def work(orders_in: Connection, answers_out: Connection, model: Model, max_streams: int) -> None:
    """Carry out orders until no more can come. Signals are for the station, which then closes their pipe.

    Args:
        orders_in, answers_out: pipes.
        model: of all streams.
        max_streams: at a time.
    """
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    gc.set_threshold(100_000, 50, 100)  # as in the station: streams are freed as they go
    worker = Worker(model, max_streams)
    with suppress(EOFError, OSError):  # the station is done, or gone
        while True:
            answers_out.send_bytes(packed(worker.carry_out(orders(orders_in.recv_bytes()))))


class Worker:
    """A `Pool` that one thread fills, runs and empties in turn. The station waits for a batch before it sends one."""

    def __init__(self, model: Model, max_streams: int) -> None:
        self._pool = Pool(model, max_streams=max_streams)
        self._rate = model.card.features.sample_rate
        self._seats: dict[int, Seat] = {}
        self._rows: dict[int, int] = {}  # of those
        self._said: list[Said] = []
        self._received: dict[int, int] = {}  # samples, so far
        self._sounded: set[int] = set()

    def carry_out(self, given: list[Order]) -> Answer:
        """Do what the orders say, and run what waits then."""
        for order in given:
            if isinstance(order, SoundTogether):
                self._hear_together(order)
            elif isinstance(order, Sound):
                self._hear(order)
            elif isinstance(order, Take):
                self._take(order)
            elif (seat := self._seats.get(order.seat)) is None:
                if isinstance(order, Save):  # it ended meanwhile
                    self._said.append(Saved(order.seat, None))
            elif isinstance(order, Rules):
                seat.change_rules(order.detector)
            elif isinstance(order, Save):
                seat.snapshot(partial(self._saved, order.seat))
            elif isinstance(order, Flush):
                seat.flush()
            elif isinstance(order, Leave):
                seat.leave()
                self._forget(order.seat)
        self._pool.run_waiting()
        said, self._said = self._said, []
        classified = {
            number: self._received[number] - seat.pending
            for number in self._sounded
            if (seat := self._seats.get(number)) is not None
        }
        self._sounded.clear()
        return Answer(said, classified, self._pool.batches, self._pool.batched)

    def _take(self, order: Take) -> None:
        number = order.seat
        self._received[number] = 0
        try:
            seat = self._seats[number] = self._pool.take_seat(
                order.stream,
                partial(self._heard, number),
                ended=partial(self._ended, number),
                detector=order.detector,
                snapshot=None if order.snapshot is None else snapshots.unpack(order.snapshot),
            )
        except StreamClassifyError as error:
            self._ended(number, error)
        else:
            self._rows[number] = seat.row

    def _hear_together(self, order: SoundTogether) -> None:
        """Everybody who goes on with sound in a few operations, and the others one by one."""
        seats, captured_at = order.seats, order.captured_at
        kind: Any = np.int16 if order.integer else np.float32
        sound = np.frombuffer(order.samples, kind).reshape(len(seats), -1)
        count = sound.shape[1]
        # Row -1, of whom has ended meanwhile, is the last one, which is not looked at then.
        rows = np.array([self._rows.get(seat, -1) for seat in seats], np.intp)
        starts = np.array(order.starts, np.int64)
        going_on = self._pool.going_on(rows, starts, count, self._rate) & (rows >= 0)
        alone = np.flatnonzero(~going_on).tolist()
        together = np.flatnonzero(going_on)
        if alone:
            rows, sound = rows[together], sound[together]
        times = [captured_at[place] for place in together.tolist()]
        for places, brought in self._pool.hear(rows, sound, times) if len(rows) else ():
            here = together[places].tolist()
            if brought is None:
                alone += here
                continue
            if isinstance(brought, Exception):
                for place in here:
                    self._seats[seats[place]].end(brought)
                continue
            for place in here:
                self._received[seats[place]] += count
            self._said.append(
                HeardTogether(
                    [seats[place] for place in here],
                    count,
                    brought.probs.tobytes(),
                    brought.sample.tobytes(),
                    brought.warm.tobytes(),
                    [order.starts[place] + count for place in here],
                    [captured_at[place] for place in here],
                    brought.events,
                )
            )
        size = len(order.samples) // len(seats)
        for place in alone:
            own = order.samples[place * size : (place + 1) * size]
            start, captured = order.starts[place], captured_at[place]
            self._hear(Sound(seats[place], own, order.integer, start, self._rate, captured, 0, True))

    def _hear(self, order: Sound) -> None:
        seat = self._seats.get(order.seat)
        if seat is None:  # it ended meanwhile
            return
        samples: Any = np.frombuffer(order.samples, np.int16 if order.integer else np.float32)
        self._sounded.add(order.seat)
        self._received[order.seat] += len(samples)
        seat.push(
            Chunk(
                samples,
                order.start,
                order.sample_rate,
                order.captured_at,
                missing=order.missing,
                clean=order.clean,
            )
        )

    def _heard(self, number: int, result: Result) -> None:
        scores = result.scores
        self._said.append(
            Heard(
                number,
                scores.probs.tobytes(),
                scores.sample.tobytes(),
                scores.warm.tobytes(),
                result.end,
                result.captured_at,
                result.repaired,
                result.events,
                result.gaps,
                result.opened,
            )
        )

    def _saved(self, number: int, snapshot: Snapshot | None) -> None:
        self._said.append(Saved(number, None if snapshot is None else snapshots.pack(snapshot)))

    def _ended(self, number: int, error: Exception | None) -> None:
        self._forget(number)
        self._said.append(Ended(number, None if error is None else str(error) or type(error).__name__))

    def _forget(self, number: int) -> None:
        self._seats.pop(number, None)
        self._rows.pop(number, None)
        self._received.pop(number, None)
