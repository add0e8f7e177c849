"""Streams that other processes classify: each as if alone, whatever becomes of the process beside it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stream.capture.channels import as_float32
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import ClosedError, PoolFull, SnapshotInvalid, SpecError, StreamClassifyError
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.server.workers import WorkerPool
from stream.snapshot import pack, unpack
from tests.server.pool.test_as_alone import lives_of
from tests.support.command import wait_for
from tests.support.pooled import Listener, assert_as_alone, cut
from tests.support.sounds import make
from tests.support.stream_peer import lively_rules
from tests.support.toy_models import toy_bytes, toy_card

SOUND = make("speech", 16000, 1.0)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes(toy_card(detector=lively_rules())))


@pytest.fixture(scope="module")
def pool(model: Model) -> Iterator[WorkerPool]:
    pool = WorkerPool(model, workers=2, max_streams=32, deadline=0.002)
    pool.start()
    yield pool
    pool.close()


def alive(process: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_in_any_company(pool: WorkerPool, model: Model) -> None:
    """Streams at several rates that lose sound, hold invalid samples, stall, and move to another worker."""
    lives = [chunks for chunks, _ in lives_of(5, 12)]
    rng = np.random.default_rng(5)
    listeners = [Listener(pool) for _ in lives]
    earlier: list[list[Result]] = [[] for _ in lives]
    at = [0] * len(lives)
    moved = 0
    while any(at[i] < len(chunks) for i, chunks in enumerate(lives)):
        i = int(rng.integers(len(lives)))
        for _ in range(int(rng.integers(1, 4))):
            if at[i] < len(lives[i]):
                listeners[i].seat.push(lives[i][at[i]])
                at[i] += 1
        if rng.random() < 0.1:
            saved = listeners[i].saved()
            if saved is not None:
                moved += 1
                listeners[i].seat.leave()
                earlier[i] += listeners[i].results
                listeners[i] = Listener(pool, snapshot=unpack(pack(saved)))
    for listener in listeners:
        listener.seat.flush()
    for listener, before, chunks in zip(listeners, earlier, lives, strict=True):
        listener.settle()
        assert listener.error is None
        assert_as_alone(before + listener.results, model, chunks)
    assert moved > 2
    assert pool.streams == 0
    assert pool.batched >= pool.batches > 0


def test_int16_is_as_float32(pool: WorkerPool, model: Model) -> None:
    sound = np.round(32767 * SOUND).astype(np.int16)
    listener = Listener(pool)
    for chunk in cut(np.stack([sound, sound], axis=1)[:, 0], [1601, 40, 7000]):  # not in one piece
        listener.seat.push(chunk)
    listener.seat.flush()
    listener.settle()
    assert_as_alone(listener.results, model, cut(as_float32(sound), [1601, 40, 7000]))


def test_rules_change_between_two_samples(pool: WorkerPool, model: Model) -> None:
    silent = DetectorSpec(classes={label: ClassRule(enabled=False) for label in model.labels})
    first, second = Listener(pool), Listener(pool)
    for listener in (first, second):
        listener.seat.push(Chunk(SOUND[:8000], 0, 16000))
    second.seat.change_rules(silent)
    for listener in (first, second):
        listener.seat.push(Chunk(SOUND[8000:], 8000, 16000))
        listener.seat.flush()
        listener.settle()
    assert_as_alone(first.results, model, [Chunk(SOUND, 0, 16000)])
    begun = [{e.id for r in each.results for e in r.events if e.onset > 8000} for each in (first, second)]
    assert begun[0]
    assert not begun[1]
    with pytest.raises(SpecError, match="whale"):
        second.seat.change_rules(DetectorSpec(classes={"whale": ClassRule()}))


def test_what_waits_is_counted(pool: WorkerPool) -> None:
    listener = Listener(pool)
    listener.seat.push(Chunk(SOUND, 0, 16000))
    assert listener.seat.pending == len(SOUND)
    wait_for(lambda: listener.seat.pending == 0, "the sound to be classified")
    listener.seat.push(Chunk(SOUND[:0], 16000, 16000, missing=160_000))  # what is certainly lost
    listener.saved()
    assert [gap.length for result in listener.results for gap in result.opened] == [160_000]
    listener.seat.leave()
    assert listener.seat.pending == 0


def test_errors_are_told_to_whom_they_end(pool: WorkerPool, model: Model) -> None:
    good, bad = Listener(pool), Listener(pool)
    bad.seat.push(Chunk(SOUND, 16000, 16000))
    bad.seat.push(Chunk(SOUND, 0, 16000))  # earlier than what came
    bad.settle()
    assert str(bad.error).startswith("chunk starts at sample 0, the last one ended at 32000")
    bad.seat.push(Chunk(SOUND, 0, 16000))  # nobody minds
    assert bad.seat.pending == 0
    assert bad.saved() is None, "asked of a stream that is over"
    left = Listener(pool)
    asked: list[object] = []
    left.seat.push(Chunk(SOUND, 0, 16000))
    left.seat.snapshot(asked.append)
    left.seat.leave()
    assert len(asked) == 1, "answered before, or by leaving"
    assert left.saved() is None
    assert len(asked) == 1
    good.seat.push(Chunk(SOUND, 0, 16000))
    good.seat.flush()
    good.settle()
    assert_as_alone(good.results, model, [Chunk(SOUND, 0, 16000)])
    with pytest.raises(ClosedError, match="push after flush"):
        good.seat.push(Chunk(SOUND, 16000, 16000))
    with pytest.raises(SnapshotInvalid):
        Listener(pool, snapshot={"kind": "something else"})
    assert pool.streams == 0


def test_a_listener_that_raises_ends_its_stream_only(pool: WorkerPool, model: Model) -> None:
    class Failing(Listener):
        def on_end(self, error: Exception | None) -> None:
            super().on_end(error)

    def fail(result: Result) -> None:
        raise ZeroDivisionError("a listener")

    bad, good = Failing(pool), Listener(pool)
    bad.seat._deliver = fail
    for listener in (bad, good):
        listener.seat.push(Chunk(SOUND, 0, 16000))
    bad.settle()
    good.seat.flush()
    good.settle()
    assert isinstance(bad.error, ZeroDivisionError)
    assert_as_alone(good.results, model, [Chunk(SOUND, 0, 16000)])


def test_places_are_counted_over_all_workers(model: Model) -> None:
    pool = WorkerPool(model, workers=2, max_streams=3)
    listeners = [Listener(pool) for _ in range(3)]
    assert sorted(len(worker) for worker in pool._workers) == [
        1,
        2,
    ]  # those that have the fewest get the next
    with pytest.raises(PoolFull, match="all 3 places are taken"):
        Listener(pool)
    listeners[0].seat.leave()
    Listener(pool).seat.leave()
    pool.close()  # it was never started
    assert [type(each.error) for each in listeners[1:]] == [ClosedError, ClosedError]
    with pytest.raises(ClosedError):
        Listener(pool)
    with pytest.raises(SpecError, match="workers 0"):
        WorkerPool(model, workers=0)


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes")
def test_a_worker_that_dies_takes_its_own_streams_and_no_others(model: Model) -> None:
    pool = WorkerPool(model, workers=2, deadline=0.002)
    pool._patience._first = pool._patience._wait = 0.01  # the pause before another one
    pool.start()
    try:
        streams = [Listener(pool) for _ in range(4)]
        for listener in streams:
            listener.seat.push(Chunk(SOUND[:8000], 0, 16000))
            assert listener.saved() is not None
        before = pool.process_ids
        there = [each.seat for each in streams if each.seat in pool._workers[0]._seats.values()]
        os.kill(before[0], signal.SIGKILL)
        lost = [each for each in streams if each.seat in there]
        for listener in lost:
            listener.settle()
            assert type(listener.error) is StreamClassifyError
            assert str(listener.error) == "the process that classified it ended (signal 9)"
        assert len(lost) == 2
        kept = [each for each in streams if each not in lost]
        for listener in kept:
            listener.seat.push(Chunk(SOUND[8000:], 8000, 16000))
            listener.seat.flush()
            listener.settle()
            assert_as_alone(listener.results, model, [Chunk(SOUND, 0, 16000)])
        wait_for(lambda: len(pool.process_ids) == 2 and before[0] not in pool.process_ids, "another worker")
        another = [Listener(pool) for _ in range(2)]
        for listener in another:
            listener.seat.push(Chunk(SOUND, 0, 16000))
            listener.seat.flush()
            listener.settle()
            assert_as_alone(listener.results, model, [Chunk(SOUND, 0, 16000)])
        processes = pool.process_ids
        left = Listener(pool)
    finally:
        pool.close()
    assert isinstance(left.error, ClosedError)
    assert not any(map(alive, processes))
