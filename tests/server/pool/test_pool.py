"""Places in a pool, errors, ends: what becomes of one stream is no matter of the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stream.classifier.many_streams import ManyStreams
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import ClosedError, ModelError, PoolFull, SnapshotInvalid, SpecError, UsageError
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.server.pool import LoopDelivery, Pool
from stream.snapshot import pack, unpack
from tests.support.pooled import WAIT, Listener, alone, assert_as_alone, cut, running
from tests.support.sounds import make
from tests.support.toy_models import nan_above, toy_bytes

SOUND = make("speech", 16000, 1.0)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes())


@pytest.fixture
def pool(model: Model) -> Iterator[Pool]:
    with running(model, max_streams=8) as pool:
        yield pool


def test_results_are_delivered_while_sound_comes(pool: Pool, model: Model) -> None:
    listener = Listener(pool)
    came = threading.Event()
    listener.results = watched = Announced(came)
    listener.seat._deliver = watched.append
    chunks = cut(SOUND, [1600])
    for chunk in chunks:
        listener.seat.push(chunk)
        assert came.wait(WAIT)
        came.clear()
    listener.seat.flush()
    listener.settle()
    assert listener.error is None
    assert listener.seat.pending == 0
    assert [r.end for r in watched][: len(chunks)] == [c.end for c in chunks]  # then what flush brings
    assert_as_alone(watched, model, chunks)


class Announced(list[Result]):
    def __init__(self, event: threading.Event) -> None:
        self.event = event

    def append(self, result: Result) -> None:
        super().append(result)
        self.event.set()


def test_an_error_ends_one_stream_only(pool: Pool, model: Model) -> None:
    good, bad = Listener(pool), Listener(pool)
    bad.seat.push(Chunk(SOUND, 16000, 16000))
    bad.seat.push(Chunk(SOUND, 0, 16000))  # earlier than what came
    bad.settle()
    assert isinstance(bad.error, UsageError)
    bad.seat.push(Chunk(SOUND, 0, 16000))  # nobody minds
    assert bad.seat.pending == 0
    good.seat.push(Chunk(SOUND, 0, 16000))
    good.seat.flush()
    good.settle()
    assert_as_alone(good.results, model, [Chunk(SOUND, 0, 16000)])
    assert pool.streams == 0


def test_a_listener_that_raises_ends_its_stream_only(pool: Pool, model: Model) -> None:
    def fail(result: Result) -> None:
        raise ZeroDivisionError("a listener")

    told: list[Any] = []
    over = threading.Event()
    seat = pool.take_seat("", fail, ended=lambda error: (told.append(error), over.set()))  # type: ignore[func-returns-value]
    good = Listener(pool)
    for chunk in cut(SOUND, [3000]):
        seat.push(chunk)
        good.seat.push(chunk)
    good.seat.flush()
    good.settle()
    assert over.wait(WAIT)
    assert [type(error) for error in told] == [ZeroDivisionError]
    assert_as_alone(good.results, model, cut(SOUND, [3000]))


def test_an_error_in_company_ends_whom_it_met(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: ManyStreams, *given: Any) -> None:
        raise ZeroDivisionError("in company")

    more = Chunk(SOUND[8000:9600], 8000, 16000)
    with running(model) as pool:
        listeners = [Listener(pool) for _ in range(3)]
        for listener in listeners:
            listener.seat.push(Chunk(SOUND[:8000], 0, 16000))
            listener.saved()
        monkeypatch.setattr(ManyStreams, "push", fail)
        for listener in listeners[:2]:
            listener.seat.push(more)
            listener.settle()
        monkeypatch.undo()
        listeners[2].seat.push(more)
        listeners[2].seat.flush()
        listeners[2].settle()
    assert [type(listener.error) for listener in listeners] == [
        ZeroDivisionError,
        ZeroDivisionError,
        type(None),
    ]
    assert_as_alone(listeners[2].results, model, [Chunk(SOUND[:9600], 0, 16000)])


def test_what_is_no_probability_ends_its_stream_only(model: Model) -> None:
    """A model that gives NaN for what the plain one is most sure of, which one of five streams holds."""
    sounds = [make(name, 16000, 1.0) for name in ("speech", "music", "noise")]
    sounds.sort(key=lambda sound: float(alone(model, [Chunk(sound, 0, 16000)]).probs.max()))
    quiet, loud = sounds[0], sounds[-1]
    most = [float(alone(model, [Chunk(sound, 0, 16000)]).probs.max()) for sound in (quiet, loud)]
    broken = Model(nan_above((most[0] + most[1]) / 2))
    with running(broken) as pool:
        streams = [Listener(pool) for _ in range(5)]
        for listener in streams:
            sound = loud if listener is streams[2] else quiet
            for chunk in cut(sound, [1600]):
                listener.seat.push(chunk)
            if listener is not streams[2]:
                listener.seat.flush()
        for listener in streams:
            listener.settle()
    assert isinstance(streams[2].error, ModelError)
    for listener in (*streams[:2], *streams[3:]):
        assert listener.error is None
        assert_as_alone(listener.results, broken, cut(quiet, [1600]))


def test_places_are_counted(pool: Pool) -> None:
    seats = [pool.take_seat("", lambda result: None) for _ in range(7)]
    engine = pool.engine()
    with pytest.raises(PoolFull, match="all 8"):
        pool.engine()
    engine.close()
    engine.close()
    seats[0].leave()
    seats[0].leave()
    assert pool.streams == 6
    for _ in range(50):
        pool.take_seat("", lambda result: None).leave()
        time.sleep(0)
    with pytest.raises(SpecError):
        pool.take_seat("", print, detector=DetectorSpec(classes={"whale": ClassRule()}))
    with pytest.raises(SnapshotInvalid):
        pool.take_seat("", print, snapshot={"kind": "cake"})
    assert pool.streams == 6


def test_rows_of_those_who_left_are_new_to_the_next(model: Model) -> None:
    with running(model, max_streams=2) as pool:
        for name in ("speech", "music", "noise", "speech"):
            chunks = cut(make(name, 16000, 0.5), [1000])
            one, other = Listener(pool), Listener(pool)
            for chunk in chunks:
                one.seat.push(chunk)
                other.seat.push(chunk)
            other.seat.leave()
            one.seat.flush()
            one.settle()
            assert not other.over.is_set()
            assert_as_alone(one.results, model, chunks)


def test_close_tells_everybody(model: Model) -> None:
    pool = Pool(model)
    pool.start()
    listener, engine = Listener(pool), pool.engine()
    pool.close()
    pool.close()
    listener.settle()
    assert isinstance(listener.error, ClosedError)
    with pytest.raises(ClosedError):
        engine.run(np.zeros((1, model.card.features.width), np.float32))
    with pytest.raises(ClosedError):
        pool.engine()
    with pytest.raises(ClosedError):
        pool.take_seat("", print)


def test_an_engine_that_waits_hears_of_the_end(model: Model) -> None:
    with running(model, deadline=0.3) as pool:
        engine, other = pool.engine(), pool.engine()
        found: list[BaseException] = []

        def wait() -> None:
            try:
                engine.run(np.zeros((1, model.card.features.width), np.float32))
            except ClosedError as error:
                found.append(error)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        while not pool._waiting and thread.is_alive():
            time.sleep(0.001)
        engine.close()
        thread.join(WAIT)
        assert [type(error) for error in found] == [ClosedError]
        other.close()


def test_a_stream_moves_with_its_state(model: Model) -> None:
    """Saved behind what was pushed, as bytes, and continued in another pool."""
    chunks = cut(SOUND, [700])
    half = len(chunks) // 2
    with running(model) as first, running(model) as second:
        one = Listener(first)
        for chunk in chunks[:half]:
            one.seat.push(chunk)
        saved = unpack(pack(one.saved()))
        one.seat.leave()
        other = Listener(second, snapshot=saved)
        for chunk in chunks[half:]:
            other.seat.push(chunk)
        other.seat.flush()
        other.settle()
    assert_as_alone(one.results + other.results, model, chunks)


def test_who_asks_for_a_state_is_answered_once_whatever_becomes_of_the_stream(model: Model) -> None:
    """Asked before it is left, ends or fails, and after that, when the pool's thread may never run again."""
    pool = Pool(model)  # not started: nothing happens until it is told to
    left, failing, closed = Listener(pool), Listener(pool), Listener(pool)
    answers: dict[str, list[object]] = {"left": [], "failing": [], "closed": []}

    def raising(snapshot: object) -> None:
        raise RuntimeError("of who asked")

    left.seat.snapshot(raising)
    left.seat.snapshot(answers["left"].append)
    left.seat.leave()
    failing.seat.push(Chunk(SOUND, 16000, 16000))
    failing.seat.push(Chunk(SOUND, 0, 16000))  # earlier than what came
    failing.seat.snapshot(answers["failing"].append)
    pool.run_waiting()
    assert failing.error is not None
    closed.seat.snapshot(answers["closed"].append)
    closed.seat.end(ClosedError("the pool was closed"))
    for name, listener in (("left", left), ("failing", failing), ("closed", closed)):
        assert answers[name] == [None], name
        listener.seat.snapshot(answers[name].append)
        assert answers[name] == [None, None], name
    flushed = Listener(pool)
    flushed.seat.flush()
    with pytest.raises(ClosedError):
        flushed.seat.snapshot(print)


def test_rules_change_behind_what_was_pushed(pool: Pool, model: Model) -> None:
    low = DetectorSpec(default=ClassRule(threshold=0.01, min_on=0.0, min_off=0.0))
    listener = Listener(pool)
    first, second = cut(SOUND, [8000])
    listener.seat.push(first)
    listener.seat.change_rules(low)
    listener.seat.push(second)
    listener.seat.flush()
    listener.settle()
    (changed,) = [result for result in listener.results if result.rules is not None]
    assert changed.end == 16000
    assert changed.rules == low
    assert listener.seat.detector_spec == low
    with pytest.raises(SpecError):
        listener.seat.change_rules(DetectorSpec(classes={"whale": ClassRule()}))
    with pytest.raises(ClosedError):
        listener.seat.push(first)


def test_what_waits_is_counted_and_no_stream_keeps_the_others(model: Model) -> None:
    """A flood is taken in turns: half a second of it, then the others."""
    pool = Pool(model)
    order: list[str] = []
    flood = pool.take_seat("flood", lambda result: order.append("flood"))
    other = pool.take_seat("other", lambda result: order.append("other"))
    sound = np.zeros(40000, np.float32)
    flood.push(Chunk(sound, 0, 16000))
    assert flood.pending == 40000
    for chunk in cut(sound[:16000], [1600]):
        other.push(chunk)
    assert other.pending == 16000
    pool.start()
    deadline = time.monotonic() + WAIT
    while (flood.pending or other.pending) and time.monotonic() < deadline:
        time.sleep(0.001)
    pool.close()
    assert order == ["flood", "other", "flood", "other", "flood", "flood", "flood"]


def test_an_asyncio_loop_is_woken_once_a_batch(model: Model) -> None:
    async def listen() -> tuple[list[Result], int, list[Any]]:
        loop = asyncio.get_running_loop()
        wakes = 0
        call = loop.call_soon_threadsafe

        def counted(*args: Any) -> Any:
            nonlocal wakes
            wakes += 1
            return call(*args)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        pool = Pool(model, deadline=0.0)
        delivery = LoopDelivery(pool, loop)
        over = asyncio.Event()
        results: list[Result] = []
        ends: list[Any] = []

        def on_end(error: Exception | None) -> None:
            ends.append((error, threading.current_thread() is threading.main_thread()))
            if len(ends) == 20:
                over.set()

        seats = [
            pool.take_seat("", delivery.to(results.append), ended=delivery.to(on_end)) for _ in range(20)
        ]
        for seat in seats:
            seat.push(Chunk(SOUND[:8000], 0, 16000))
            seat.flush()
        pool.start()
        async with asyncio.timeout(WAIT):
            while not over.is_set():
                await asyncio.sleep(0.01)
        pool.close()
        delivery.close()
        return results, wakes, ends

    results, wakes, ends = asyncio.run(listen())
    assert len(results) >= 20
    assert wakes == 1
    assert ends == [(None, True)] * 20


@pytest.mark.parametrize("options", [{"max_streams": 0}, {"deadline": -1.0}, {"deadline": 2.0}])
def test_limits_out_of_range(model: Model, options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        Pool(model, **options)
