"""What microphones and network streams share, with a source that does what the test says, on the test's clock."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from stream.capture.live.live_source import LiveSource
from stream.capture.live.ring import WhenLate
from stream.capture.live.supervisor import Patience
from stream.messages import Chunk, SourceInfo

RATE = 1000


class Scripted(LiveSource):
    """A live source whose thread is the test itself."""

    def __init__(
        self, patience: Patience | None = None, *, reopen: bool = True, when_late: WhenLate = "drop-oldest"
    ) -> None:
        self.now = 50.0
        super().__init__(
            sample_rate=RATE,
            channel="mix",
            buffer_samples=5 * RATE,
            when_late=when_late,
            chunk_samples=1,
            longest_chunk_samples=100,
            heartbeat_seconds=0.01,
            patience=patience or Patience(),
            reopen=reopen,
            clock=lambda: self.now,
        )
        self.receiver = self._receiver
        self.ended = self._thread_ended
        self.opened = 0

    def info(self) -> SourceInfo:
        return SourceInfo("scripted", RATE, live=True)

    def open(self) -> None:
        self.receiver.opening()
        self.receiver.opened()
        self.opened += 1

    def hear(self, seconds: float, *, flat: bool = False) -> None:
        """Sound in blocks of 0.1 s, as time passes; the thread's step after each."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            block = np.zeros((RATE // 10, 1), np.float32)
            block[1::2] += 0 if flat else 0.5
            self.receiver.receive(block)
            self.step()

    def step(self) -> None:
        if self.receiver.step() == "open":
            self.open()

    def _open(self) -> bool:
        return False

    def _ask_to_stop(self) -> None:
        pass


def taken(source: LiveSource) -> list[Chunk]:
    """What there is to read, up to and without the first heartbeat that brings no news."""
    chunks: list[Chunk] = []
    for chunk in source:
        if (
            not len(chunk.samples)
            and chunks
            and (chunk.state, chunk.detail) == (chunks[-1].state, chunks[-1].detail)
        ):
            break
        chunks.append(chunk)
    return chunks


def story(chunks: list[Chunk]) -> list[tuple[str, str]]:
    """The (state, detail) pairs in order, each once."""
    return [pair for pair, _ in itertools.groupby((chunk.state, chunk.detail) for chunk in chunks)]


FLAT = ("silent", "the sound is a flat line")
WELL = ("listening", "")


def test_chunks_carry_what_was_true_of_their_samples_however_late_they_are_read() -> None:
    source = Scripted(Patience(flat=0.5))
    source.open()
    source.hear(1.0)
    source.hear(1.0, flat=True)
    source.hear(1.0)
    chunks = taken(source)
    assert story(chunks) == [WELL, FLAT, WELL]
    silent = [chunk for chunk in chunks if chunk.state == "silent"]
    assert (silent[0].start, silent[-1].end) == (1400, 2000)
    assert all(chunk.captured_at == pytest.approx(50 + chunk.end / RATE) for chunk in chunks)


def test_a_consumer_that_sleeps_changes_nothing() -> None:
    """The same sound, read as it comes or only at the end: the same states, actions and losses."""
    ways = []
    for reads in (True, False):
        source = Scripted(Patience(flat=0.5, flat_reopen=1.0, longest_flat_reopen=1.0, first_retry=0.2))
        source.open()
        chunks: list[Chunk] = []
        for _ in range(4):
            for flat in (False, True):
                source.hear(0.6, flat=flat)
                if reads:
                    chunks += taken(source)
        source.hear(4.0, flat=True)
        ways.append((source.opened, source.report(), story([*chunks, *taken(source)])[-4:]))
    assert ways[0][0] == ways[1][0] >= 2
    assert ways[0][2] == ways[1][2]
    assert FLAT in ways[0][2]


def test_why_it_is_gone_is_told_at_once_and_in_its_place() -> None:
    source = Scripted()
    source.open()
    source.hear(0.3)
    source.receiver.lost("unplugged")
    source.now += 2.0
    source.open()
    source.hear(0.3)
    chunks = taken(source)
    assert story(chunks) == [WELL, ("recovering", "unplugged"), WELL]
    gone = next(chunk for chunk in chunks if chunk.state == "recovering")
    assert (len(gone.samples), gone.start) == (0, 300)
    first_back = next(chunk for chunk in chunks if chunk.start > 300)
    assert first_back.start == 2300
    assert source.report().lost == 2000


def test_a_heartbeat_while_nothing_comes_says_what_is_going_on() -> None:
    source = Scripted()
    source.open()
    source.hear(0.2)
    chunks = iter(source)
    while len(next(chunks).samples):
        pass
    source.now += 0.7
    beat = next(chunks)
    assert (len(beat.samples), beat.start, beat.state, beat.detail) == (0, 200, "silent", "no sound arrives")
    assert beat.captured_at == source.now
    assert source.report().detail == "no sound arrives"


def test_what_arrived_before_the_end_is_given_then_it_ends() -> None:
    source = Scripted()
    source.open()
    source.hear(0.5)
    source.ended()
    chunks = list(source)
    assert sum(len(chunk.samples) for chunk in chunks) == 500
    assert all(len(chunk.samples) for chunk in chunks)


def test_what_ended_the_thread_is_raised_after_the_last_sample() -> None:
    source = Scripted()
    source.open()
    source.hear(0.5)
    source.ended(RuntimeError("a bug in the thread"))
    got: list[Chunk] = []
    with pytest.raises(RuntimeError, match="a bug in the thread"):
        got.extend(source)
    assert sum(len(chunk.samples) for chunk in got) == 500


def test_without_reopening_the_last_chunk_says_failed() -> None:
    source = Scripted(reopen=False)
    source.open()
    source.hear(0.2)
    source.receiver.lost("unplugged")
    assert source.receiver.step() == "give up"
    source.ended()
    *sound, last = list(source)
    assert sum(len(chunk.samples) for chunk in sound) == 200
    assert (last.state, last.detail, len(last.samples)) == ("failed", "unplugged", 0)


def test_closing_ends_an_iteration_that_waits() -> None:
    source = Scripted()
    source._heartbeat_seconds = 60.0
    source.open()
    chunks = iter(source)
    thread = threading.Thread(target=lambda: list(chunks), daemon=True)
    thread.start()
    source.close()
    thread.join(20)
    assert not thread.is_alive()


def test_a_late_consumer_is_reported() -> None:
    source = Scripted()
    source.open()
    source.hear(7.0)
    report = source.report()
    assert (report.lost, report.dropped, report.waiting) == (2000, 2000, 5000)
    assert next(iter(source)).start == 2000


def test_heartbeats_say_how_much_is_lost_while_it_is_gone() -> None:
    source = Scripted()
    source.open()
    source.hear(1.0)
    source.now += 1.5  # which the supervisor takes for its end
    chunks = iter(source)
    while len(next(chunks).samples):
        pass
    assert next(chunks).missing == 0  # an open source that gives nothing may have lost nothing
    source.step()
    assert source.health.state == "recovering"
    missing: list[int] = []
    for _ in range(30):
        source.now += 0.1
        while (chunk := next(chunks)).detail == "" or chunk.missing == (missing or [0])[-1]:
            pass
        assert (chunk.state, chunk.start, len(chunk.samples)) == ("recovering", RATE, 0)
        missing.append(chunk.missing)
    assert missing == sorted(missing)
    assert missing[-1] == pytest.approx(4.3 * RATE, abs=2)  # 4.5 s, less some caution
    source.open()
    source.hear(0.1)
    back = next(chunk for chunk in chunks if len(chunk.samples))
    assert back.start - RATE == pytest.approx(4.5 * RATE, abs=2)
    assert next(chunk for chunk in chunks if not len(chunk.samples)).missing == 0
