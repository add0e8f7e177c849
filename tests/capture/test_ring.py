"""The ring: every sample arrives once, in order, or is counted as lost where it was lost."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture.live.ring import Ring, WhenLate
from stream.capture.live.supervisor import FLAT_LINE, LISTENING, Health
from stream.errors import SpecError

POLICIES: tuple[WhenLate, ...] = ("drop-oldest", "skip-to-now")
PERIOD = 16381  # samples say their index modulo this


def numbered(start: int, count: int) -> np.ndarray:
    return ((start % PERIOD + np.arange(count)) % PERIOD).astype(np.float32)


class Model:
    """The same thing with a plain list of the indices that wait."""

    def __init__(self, capacity: int, keep: int, policy: WhenLate, start: int) -> None:
        self.capacity, self.keep, self.policy = capacity, keep, policy
        self.end = self.next = start
        self.waiting: list[int] = []
        self.lost = 0

    def write(self, count: int, lost_before: int) -> None:
        self.end += lost_before
        self.lost += lost_before
        self.waiting += range(self.end, self.end + count)
        self.end += count
        if len(self.waiting) > self.capacity:
            stay = self.capacity if self.policy == "drop-oldest" else self.keep
            self.lost += len(self.waiting) - stay
            self.waiting = self.waiting[-stay:]

    def read(self, maximum: int) -> tuple[int, int]:
        if not self.waiting:
            return self.next, 0
        start = self.waiting[0]
        count = 1
        while count < min(maximum, len(self.waiting)) and self.waiting[count] == start + count:
            count += 1
        del self.waiting[:count]
        self.next = start + count
        return start, count


WRITE = st.tuples(st.just("write"), st.integers(0, 40), st.one_of(st.just(0), st.integers(0, 2**33)))
READ = st.tuples(st.just("read"), st.integers(1, 40), st.just(0))


@given(
    capacity=st.integers(1, 24),
    keep=st.integers(1, 24),
    policy=st.sampled_from(POLICIES),
    start=st.one_of(st.integers(0, 9), st.integers(2**31 - 40, 2**31 + 40), st.integers(2**62, 2**65)),
    steps=st.lists(st.one_of(WRITE, READ), max_size=40),
)
def test_does_what_a_list_does(
    capacity: int, keep: int, policy: WhenLate, start: int, steps: list[tuple[str, int, int]]
) -> None:
    keep = min(keep, capacity)
    ring = Ring(capacity, when_late=policy, keep=keep, start=start)
    model = Model(capacity, keep, policy, start)
    received = 0
    for verb, count, lost_before in steps:
        if verb == "write":
            ring.write(numbered(model.end + lost_before, count), lost_before)
            model.write(count, lost_before)
        else:
            at, samples, _ = ring.read(count, timeout=0)
            assert (at, len(samples)) == model.read(count)
            np.testing.assert_array_equal(samples, numbered(at, len(samples)))
            received += len(samples)
        assert (ring.end, ring.waiting, ring.lost) == (model.end, len(model.waiting), model.lost)
        assert ring.end == start + received + ring.waiting + ring.lost


@pytest.mark.parametrize("policy", POLICIES)
def test_two_threads_lose_nothing_uncounted(policy: WhenLate) -> None:
    ring = Ring(1000, when_late=policy, keep=100, start=2**31 - 5000)
    sizes = np.random.default_rng(5).integers(1, 90, 3000)

    def write() -> None:
        end = ring.end
        for i, size in enumerate(sizes):
            missing = 3 if i % 50 == 49 else 0
            ring.write(numbered(end + missing, int(size)), missing)
            end += missing + int(size)
            if i % 20 == 0:
                time.sleep(0)
        ring.close()

    writer = threading.Thread(target=write, daemon=True)
    at = first = ring.end
    received = jumped = 0
    writer.start()
    while True:
        start, samples, _ = ring.read(64, timeout=5)
        if not len(samples):
            break
        np.testing.assert_array_equal(samples, numbered(start, len(samples)))
        assert start >= at
        jumped += start - at
        received += len(samples)
        at = start + len(samples)
    writer.join(20)
    assert ring.closed
    assert at == ring.end
    assert received + ring.lost == ring.end - first == int(sizes.sum()) + 3 * (len(sizes) // 50)
    assert jumped == ring.lost
    assert ring.lost - ring.dropped == 3 * (len(sizes) // 50)


def test_drop_oldest_loses_as_little_as_will_do() -> None:
    ring = Ring(100)
    ring.write(numbered(0, 90))
    ring.write(numbered(90, 30))
    assert ring.dropped == 20
    assert ring.read(1000, 0)[0] == 20


def test_skip_to_now_goes_on_with_the_newest() -> None:
    ring = Ring(100, when_late="skip-to-now", keep=10)
    ring.write(numbered(0, 90))
    assert ring.dropped == 0
    ring.write(numbered(90, 30))
    start, samples, _ = ring.read(1000, 0)
    assert (start, len(samples)) == (110, 10)
    assert ring.dropped == 110


def test_a_gap_the_writer_reports_is_kept_in_its_place() -> None:
    ring = Ring(100)
    ring.write(numbered(0, 10))
    ring.write(numbered(17, 10), lost_before=7)
    assert ring.read(100, 0)[0] == 0
    assert ring.read(100, 0)[0] == 17
    assert (ring.lost, ring.dropped) == (7, 0)
    assert ring.read(100, 0)[0] == 27  # empty: where the reader is


def test_a_reader_that_waits_gets_what_comes_and_burns_nothing() -> None:
    ring = Ring(100)
    late = threading.Timer(0.3, ring.write, [numbered(0, 10)])
    late.start()
    before = time.thread_time()
    start, samples, _ = ring.read(100, timeout=60)
    burnt = time.thread_time() - before
    late.join(20)
    assert (start, len(samples)) == (0, 10)
    assert burnt < 0.1


def test_fewer_than_the_minimum_come_only_after_the_timeout() -> None:
    ring = Ring(100)
    ring.write(numbered(0, 5))
    more = threading.Timer(0.1, ring.write, [numbered(5, 5)])
    more.start()
    assert len(ring.read(100, timeout=60, minimum=8)[1]) == 10
    more.join(20)
    ring.write(numbered(10, 5))
    assert len(ring.read(100, timeout=0.01, minimum=8)[1]) == 5


def test_a_minimum_beyond_the_capacity_is_met_by_a_full_ring() -> None:
    ring = Ring(10)
    ring.write(numbered(0, 10))
    assert len(ring.read(100, timeout=60, minimum=1000)[1]) == 10


def test_close_wakes_the_reader_and_leaves_what_is_there() -> None:
    ring = Ring(100)
    ring.write(numbered(0, 5))
    closing = threading.Timer(0.1, ring.close)
    closing.start()
    assert len(ring.read(100, timeout=60, minimum=50)[1]) == 5
    closing.join(20)
    ring.write(numbered(5, 5))
    assert len(ring.read(100, timeout=60)[1]) == 0
    assert ring.end == 5


def test_close_may_interrupt_any_moment_of_its_own_thread() -> None:
    """As a signal handler does; here, from within the copy."""
    ring = Ring(100)

    class Interrupted(np.ndarray):
        def __len__(self) -> int:
            ring.close()
            return super().__len__()

    ring.write(numbered(0, 10).view(Interrupted))
    assert ring.closed
    assert len(ring.read(100, timeout=60)[1]) == 10


def test_close_from_a_signal_handler_wakes_the_reader() -> None:
    ring = Ring(100)
    before = signal.signal(signal.SIGUSR1, lambda *_: ring.close())
    kill = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1])
    try:
        kill.start()
        for _ in range(20):
            ring.read(100, timeout=1)
            if ring.closed:
                break
        assert ring.closed
    finally:
        kill.join(20)
        signal.signal(signal.SIGUSR1, before)


def test_nothing_is_shared_with_the_callers() -> None:
    ring = Ring(100)
    given_samples = numbered(0, 10)
    ring.write(given_samples)
    given_samples[:] = -1
    first = ring.read(5, 0).samples
    ring.write(numbered(10, 95))
    np.testing.assert_array_equal(first, numbered(0, 5))
    first[:] = -1
    start, rest, _ = ring.read(1000, 0)
    np.testing.assert_array_equal(rest, numbered(start, len(rest)))


@pytest.mark.parametrize(
    "settings", [{"capacity": 0}, {"capacity": 9, "keep": 10}, {"capacity": 9, "keep": 0}]
)
def test_sizes_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(SpecError, match="keep"):
        Ring(**settings)


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(SpecError, match="drop-oldest, skip-to-now, wait"):
        Ring(9, when_late="drop-newest")  # type: ignore[arg-type]


# What was true of the samples, and notes between them.


def test_what_is_read_late_says_what_was_true_when_it_came() -> None:
    ring = Ring(100)
    ring.write(numbered(0, 10), arrived_at=1.0)
    ring.write(numbered(10, 10), arrived_at=2.0, health=FLAT_LINE)
    ring.write(numbered(20, 10), arrived_at=3.0)
    marks = [ring.read(5, 0).mark for _ in range(6)]
    assert [mark.health for mark in marks if mark] == [LISTENING] * 2 + [FLAT_LINE] * 2 + [LISTENING] * 2
    assert [(mark.end, mark.arrived_at) for mark in marks if mark] == [
        (10, 1.0),
        (10, 1.0),
        (20, 2.0),
        (20, 2.0),
        (30, 3.0),
        (30, 3.0),
    ]
    assert ring.read(5, 0).mark is None


def test_marks_of_what_was_dropped_go_too() -> None:
    ring = Ring(100)
    for number in range(10_000):
        ring.write(numbered(10 * number, 10), arrived_at=float(number))
    assert len(ring._marks) <= 11
    run = ring.read(10, 0)
    assert run.mark is not None
    assert (run.start, run.mark.arrived_at) == (99_900, 9_990.0)


def test_a_note_comes_in_its_place_and_wakes_the_reader() -> None:
    ring, gone = Ring(100), Health("recovering", "unplugged")
    ring.write(numbered(0, 10))
    ring.note(5.0, gone)
    ring.write(numbered(10, 10))  # no sample was lost, and still the note stands between
    runs = [ring.read(100, timeout=60, minimum=50) for _ in range(2)]
    runs.append(ring.read(100, timeout=0))
    assert [(run.start, len(run.samples)) for run in runs] == [(0, 10), (10, 0), (10, 10)]
    assert [run.mark.health for run in runs if run.mark] == [LISTENING, gone, LISTENING]
    later = threading.Timer(0.1, ring.note, [6.0, gone])
    later.start()
    assert ring.read(100, timeout=60).mark is not None
    later.join(20)
    for _ in range(1000):
        ring.note(7.0, gone)
    ring.close()
    ring.note(8.0, gone)
    notes = 0
    while not ring.finished:
        assert ring.read(100, timeout=60).mark is not None
        notes += 1
    assert notes <= 16


def test_a_full_ring_makes_a_writer_wait_that_may_lose_nothing_and_closing_releases_it() -> None:
    ring = Ring(100, when_late="wait")
    writer = threading.Thread(target=ring.write, args=(numbered(0, 1050),), daemon=True)
    writer.start()
    got = [ring.read(64, timeout=60) for _ in range(12)]
    assert ring.lost == 0
    at = 0
    for run in got:
        assert run.start == at
        np.testing.assert_array_equal(run.samples, numbered(at, len(run.samples)))
        at = run.start + len(run.samples)
    assert 200 < at < 1050
    assert writer.is_alive()
    ring.close()
    writer.join(20)
    assert not writer.is_alive()
    while len(run := ring.read(64, timeout=60)[1]):
        at += len(run)
    assert at < 1050
    assert ring.finished
