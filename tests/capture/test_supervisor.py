"""The logic behind a microphone that vanishes, on a clock that needs no time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from stream.capture.live.supervisor import Action, Backoff, FlatLine, Patience, Supervisor
from stream.capture.live.timeline import Timeline
from stream.errors import SpecError

RATE = 16000


class Rehearsal:
    """A supervisor and its source, stepped ten times a second."""

    def __init__(self, patience: Patience | None = None, *, reopen: bool = True) -> None:
        self.supervisor = Supervisor(20, patience, reopen=reopen)
        self.now = 1000.0
        self.there = True  # can be opened
        self.speaks = True  # gives blocks once open
        self.flat = False
        self.open = False
        self.log: list[tuple[float, Action]] = []
        self.states: list[str] = []

    def step(self) -> Action:
        if self.open and self.speaks:
            self.supervisor.heard(np.float32([0, 0 if self.flat else 1]), self.now)
        action = self.supervisor.step(self.now)
        if action != "wait":
            self.log.append((round(self.now - 1000, 3), action))
        if action == "open":
            self.supervisor.opening()
            if self.there:
                self.open = True
                self.supervisor.opened(self.now)
            else:
                self.supervisor.lost(self.now, "not there")
        elif action == "close":
            self.open = False
        if not self.states or self.states[-1] != self.state:
            self.states.append(self.state)
        self.now += 0.1
        return action

    @property
    def state(self) -> str:
        return self.supervisor.health(self.now).state

    @property
    def detail(self) -> str:
        return self.supervisor.health(self.now).detail

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.step()

    def opens(self) -> list[float]:
        return [at for at, action in self.log if action == "open"]


def test_opens_and_listens() -> None:
    source = Rehearsal()
    source.run(60)
    assert source.log == [(0.0, "open")]
    assert source.states == ["listening"]
    assert source.detail == ""


def test_a_source_that_ends_is_tried_with_growing_waits_forever_and_found_soon_after_its_return() -> None:
    source = Rehearsal()
    source.run(5)
    source.there = source.open = False
    source.supervisor.lost(source.now, "unplugged")
    assert source.detail == "unplugged"
    left = source.now - 1000
    source.run(100)
    waits = np.diff([left, *source.opens()[1:]])
    np.testing.assert_allclose(waits[:4], [0.1, 0.2, 0.4, 0.8], atol=0.11)
    np.testing.assert_allclose(waits[4:20], 1.0, atol=0.11)
    # Later a twentieth of the time that it has been gone.
    np.testing.assert_allclose(waits[20:], np.maximum(1.0, 0.05 * np.cumsum(waits)[19:-1]), atol=0.31)
    assert len(waits) > 50
    assert source.state == "recovering"
    source.there = True
    source.run(5.3)
    assert source.state == "listening"
    assert source.states == ["listening", "recovering", "listening"]


def test_the_waits_start_small_again_after_sound() -> None:
    source = Rehearsal()
    source.run(1)
    source.there = source.open = False
    source.supervisor.lost(source.now, "unplugged")
    source.run(10)
    source.there = True
    source.run(2)
    source.open = False
    source.supervisor.lost(source.now, "unplugged")
    left = source.now - 1000
    source.run(1)
    assert source.opens()[-1] - left < 0.25


def test_a_stream_that_is_open_and_dead_is_silent_then_reopened() -> None:
    source = Rehearsal()
    source.run(3)
    source.speaks = False
    source.run(0.8)
    assert source.state == "silent"
    assert source.open
    source.run(0.5)
    assert source.state == "recovering"
    assert (4.0, "close") in [(round(at, 0), action) for at, action in source.log]
    source.speaks = True
    source.run(1)
    assert source.state == "listening"
    assert source.states == ["listening", "silent", "recovering", "listening"]


def test_a_device_slow_to_start_gets_longer_each_time() -> None:
    source = Rehearsal()
    source.speaks = False
    source.run(60)
    opens = source.opens()
    waited = [b - a for a, b in itertools.pairwise(opens)]
    np.testing.assert_allclose(waited[:5], [0.5, 1, 2, 4, 4], atol=0.25)
    assert 4.0 <= waited[-1] <= 4.3


def test_a_flat_line_is_silent_and_the_device_is_looked_forever_more_rarely() -> None:
    source = Rehearsal()
    source.run(3)
    source.flat = True
    source.run(5)
    assert source.state == "silent"
    assert source.log == [(0.0, "open")]
    source.run(4000)
    waits = np.diff(source.opens())
    np.testing.assert_allclose(waits[1:6], [20, 40, 80, 160, 300], atol=1)
    np.testing.assert_allclose(waits[6:], 300, atol=1)
    source.flat = False
    source.run(1)
    assert source.state == "listening"
    source.flat = True
    source.run(13)
    assert source.opens()[-1] > source.now - 1000 - 2


def test_a_flat_line_is_left_alone_if_so_asked() -> None:
    source = Rehearsal(Patience(flat_reopen=None))
    source.flat = True
    source.run(1000)
    assert len(source.opens()) == 1
    assert source.state == "silent"


@pytest.mark.parametrize("dies", ["ends", "stalls"])
def test_without_reopening_it_fails_for_good(dies: str) -> None:
    source = Rehearsal(reopen=False)
    source.run(3)
    if dies == "ends":
        source.open = False
        source.supervisor.lost(source.now, "unplugged")
    else:
        source.speaks = False
    source.run(10)
    assert source.state == "failed"
    assert source.step() == "give up"
    assert len(source.opens()) == 1


@pytest.mark.parametrize(
    "settings",
    [{"stalled": 0.0}, {"flat": -1.0}, {"dead": 0.1}, {"start": 9.0}, {"longest_retry": float("nan")}],
)
def test_patience_out_of_range(settings: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="patience"):
        Patience(**settings)


def in_pieces(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for at in range(0, len(samples), size):
        yield samples[at : at + size]


@pytest.mark.parametrize("size", [1, 7, 160, 1000, 100_000])
def test_flat_lines_are_found_whatever_the_chunking(size: int) -> None:
    noise = np.random.default_rng(1).normal(size=3000).astype(np.float32)
    stuck = np.full(3 * RATE, 0.25, np.float32)
    flat = FlatLine(RATE, 2.0)
    heard = 0
    for piece in in_pieces(np.concatenate([noise, stuck]), size):
        heard += len(piece)
        assert flat.push(piece) == (heard - len(noise) >= 2 * RATE)
    assert flat.push(np.empty(0, np.float32))
    assert not flat.push(noise[:1])


def test_what_is_not_flat() -> None:
    flat = FlatLine(RATE, 0.01)
    for samples in (
        np.tile(np.float32([0, 1e-9]), RATE),
        np.full(RATE, np.nan, np.float32),
        np.repeat(np.float32([0, 0.5]), RATE // 100 - 1),
    ):
        assert not any(flat.push(piece) for piece in in_pieces(samples, 50))


def test_counted_while_it_runs_whatever_the_delays() -> None:
    line = Timeline(RATE)
    rng = np.random.default_rng(2)
    for i in range(1, 1000):
        assert line.place(160, i * 0.01 + rng.exponential(0.02)) == 0
    assert line.end == 160 * 999


@pytest.mark.parametrize("stamped", [True, False])
def test_dropped_samples_are_measured(stamped: bool) -> None:
    line = Timeline(RATE)
    now = 50.0
    for _ in range(100):
        now += 0.01
        line.place(160, now, adc_time=7000 + now - 0.013 if stamped else 0.0)
    now += 0.3
    delay = 0.004
    lost = line.place(
        160, now + 0.01 + delay, adc_time=7000 + now + 0.01 - 0.013 if stamped else 0.0, overflow=True
    )
    if stamped:
        assert lost == round(0.3 * RATE)
    else:
        assert abs(lost - round(0.3 * RATE)) <= (delay + 0.001) * RATE + 1
    assert line.end == 101 * 160 + lost


def test_dropped_samples_are_never_none_and_never_more_than_the_time_there_was() -> None:
    line = Timeline(RATE)
    for i in range(1, 11):
        line.place(160, i * 0.01, adc_time=i * 0.01)
    assert line.place(160, 0.11, adc_time=0.11, overflow=True) == 1
    assert line.place(160, 0.12, adc_time=3600.0, overflow=True) <= 2


def test_nothing_was_dropped_before_the_first_block() -> None:
    assert Timeline(RATE).place(160, 5.0, overflow=True) == 0


@pytest.mark.parametrize("drift", [-200e-6, 0.0, 200e-6])
def test_a_gap_is_as_long_as_it_lasted_after_a_day_of_drift(drift: float) -> None:
    line = Timeline(RATE)
    rng = np.random.default_rng(3)
    now = 0.0
    for _ in range(86_400):
        now += (1 + drift) * 1.0
        line.place(RATE, now + rng.exponential(0.005))
    assert line.end == 86_400 * RATE
    now += 7.25
    lost = line.place(160, now + 0.01, reopened=True)
    assert abs(lost / RATE - 7.25) < 0.01


def test_a_clock_that_says_no_time_passed_makes_no_gap() -> None:
    line = Timeline(RATE)
    line.place(1600, 1.0)
    assert line.place(1600, 1.05, reopened=True) == 0
    assert line.end == 3200


def test_a_thousand_gaps_do_not_add_up_the_delays_of_their_first_blocks() -> None:
    line = Timeline(RATE)
    rng = np.random.default_rng(4)
    now = 0.0
    for _ in range(1000):
        for i in range(300):
            line.place(160, now + 0.01 + rng.uniform(0, 0.05), reopened=i == 0)
            now += 0.01
        now += rng.uniform(0.5, 2)
    # The last block's end was then, and the first block's delay moved the whole axis back once.
    end = now
    line.place(160, end + 0.01, reopened=True)
    assert abs(line.end / RATE - (end + 0.01)) < 0.12


def test_backoff_grows_to_its_limit_and_starts_again() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next() == 0.5


def test_what_is_gone_for_long_is_looked_for_less_often() -> None:
    """A twentieth of the time that it has been gone, so a day costs some thousand looks and not 86 400."""
    backoff = Backoff(0.1, 30.0, brisk=1.0)
    waits: list[float] = []
    while sum(waits) < 86_400:
        waits.append(backoff.next())
    assert waits[:5] == [0.1, 0.2, 0.4, 0.8, 1.0]
    assert max(waits) == 30.0
    assert len(waits) < 3_000
    total = 0.0
    for wait in waits:
        assert wait <= max(1.0, 0.05 * total)  # nobody waits for long who was away for a moment
        total += wait
    backoff.reset()
    assert backoff.next() == 0.1


def test_state_and_reason_are_one_value() -> None:
    """Each state with its own reason, in every phase: never the state of now with the reason of before."""
    source = Rehearsal()
    pairs: list[tuple[str, str]] = []

    def see(seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            source.step()
            health = tuple(source.supervisor.health(source.now))
            if not pairs or pairs[-1] != health:
                pairs.append(health)

    see(3)
    source.flat = True
    see(3)
    source.flat = False
    see(1)
    source.speaks = False
    see(0.9)
    source.speaks = True
    see(1)
    source.there = source.open = False
    source.supervisor.lost(source.now, "unplugged")
    see(1)
    source.there = True
    see(2)
    assert pairs == [
        ("listening", "opened, waiting for sound"),
        ("listening", ""),
        ("silent", "the sound is a flat line"),
        ("listening", ""),
        ("silent", "no sound arrives"),
        ("listening", ""),
        ("recovering", "unplugged"),
        ("recovering", "not there"),
        ("recovering", "opened, waiting for sound"),
        ("listening", ""),
    ]


def test_blocks_of_a_source_that_is_lost_do_not_make_it_well_again() -> None:
    source = Rehearsal()
    source.run(3)
    source.open = False
    source.supervisor.lost(source.now, "unplugged")
    source.supervisor.heard(np.float32([0, 1]), source.now)
    assert (source.state, source.detail) == ("recovering", "unplugged")


def test_what_is_told_of_a_gap_while_it_lasts_stays_true() -> None:
    """The next sample never lies before it, however early or late the first block is, and nothing adds up."""
    rng = np.random.default_rng(6)
    line = Timeline(RATE)
    now, told = 0.0, 0
    for _ in range(200):
        burst = int(rng.integers(1, 30))  # blocks that were recorded before they were asked for
        for i in range(100):
            now += 0.01 if i > burst else 0.0
            end = line.end
            lost = line.place(160, now + rng.uniform(0, 0.03), reopened=i == 0)
            assert i > 0 or end + lost >= told
        began, gone = now, rng.uniform(0.0, 3.0)
        told = line.end
        while now < began + gone:
            now += 0.1
            assert line.lost_until(now) >= told
            told = line.lost_until(now)
            assert line.end <= told <= max(line.end, line.end + round((now - began) * RATE))
    assert abs(line.end / RATE - now) < 0.5


def test_nothing_is_lost_before_the_first_sound() -> None:
    assert Timeline(RATE).lost_until(100.0) == 0


def test_a_late_block_of_a_source_that_was_given_up_comes_behind_what_was_told() -> None:
    line = Timeline(RATE)
    line.place(160, 1.0)
    told = line.lost_until(5.0)
    assert told == 160 + round(3.8 * RATE)
    assert line.place(160, 4.0) == told - 160
