"""The history of a source: what is kept, where it stands, and what is said of what is gone."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from stream import SoundHistory, SpecError, UsageError
from stream.messages import Chunk

RATE = 8_000


def ramp(start: int, stop: int) -> Chunk:
    """A chunk whose samples are their own indices."""
    return Chunk(np.arange(start, stop, dtype=np.float32), start, RATE)


@pytest.mark.parametrize("sizes", [[1], [7], [1000, 3], [800], [799, 801], [5000]])
def test_the_last_seconds_are_there_and_older_ones_are_not(sizes: list[int]) -> None:
    history, at, i = SoundHistory(RATE, 0.1), 123, 0
    while at < 6_000:
        history.append(ramp(at, at + sizes[i % len(sizes)]))
        at += sizes[i % len(sizes)]
        i += 1
        oldest, end = history.span
        assert (oldest, end) == (max(123, at - 800), at)
        samples, first = history.read(0, at + 50)
        assert first == oldest
        np.testing.assert_array_equal(samples, np.arange(oldest, end, dtype=np.float32))
    samples, first = history.read(end - 20, end - 10)
    assert first == end - 20
    np.testing.assert_array_equal(samples, np.arange(end - 20, end - 10, dtype=np.float32))
    for start, stop in ((0, 100), (end, end + 10), (end + 5, end + 10), (end - 10, end - 20)):
        assert len(history.read(start, stop)[0]) == 0


@pytest.mark.parametrize("gap", [1, 100, 799, 800, 801, 10**12])
def test_gaps_are_nan_of_their_length_however_long(gap: int) -> None:
    history = SoundHistory(RATE, 0.1)
    history.append(ramp(0, 500))
    history.append(ramp(500 + gap, 600 + gap))
    samples, first = history.read(0, 600 + gap)
    assert first == history.span[0] == max(0, gap - 200)
    expected = np.arange(first, 600 + gap, dtype=np.float64)
    expected[max(0, 500 - first) : len(expected) - 100] = np.nan
    np.testing.assert_array_equal(samples, expected.astype(np.float32))


def test_a_stretch_at_another_rate_covers_every_sample_it_touches() -> None:
    history = SoundHistory(44_100, 1.0)
    history.append(Chunk(np.arange(44_100, dtype=np.float32), 0, 44_100))
    samples, first = history.between(1601, 3199, 16_000)
    assert first == 4412  # 4412.76 rounded down
    assert first + len(samples) == 8818  # 8817.24 rounded up


def test_what_is_read_belongs_to_the_reader() -> None:
    history = SoundHistory(RATE, 0.1)
    history.append(ramp(0, 800))
    kept, _ = history.read(0, 800)
    history.append(ramp(800, 1600))
    np.testing.assert_array_equal(kept, np.arange(800, dtype=np.float32))


def test_an_empty_chunk_and_an_empty_history() -> None:
    history = SoundHistory(RATE, 0.1)
    assert history.span == (0, 0)
    assert len(history.read(0, 100)[0]) == 0
    history.append(ramp(70, 70))
    assert history.span == (70, 70)
    history.append(ramp(70, 80))
    assert history.span == (70, 80)


def test_refusals() -> None:
    history = SoundHistory(RATE, 0.1)
    history.append(ramp(0, 100))
    with pytest.raises(UsageError, match="sample 99, the previous one ended at 100"):
        history.append(ramp(99, 120))
    with pytest.raises(UsageError, match="16000 Hz: this history keeps 8000 Hz"):
        history.append(Chunk(np.zeros(1, np.float32), 100, 16_000))
    for rate, seconds in ((8000, 0.0), (8000, float("nan")), (8000, -1.0), (0, 1.0), (8000, float("inf"))):
        with pytest.raises(SpecError, match="one sample or more"):
            SoundHistory(rate, seconds)


def test_reading_beside_the_writer_never_sees_half_a_write() -> None:
    history, stop = SoundHistory(RATE, 0.1), threading.Event()
    wrong: list[int] = []

    def read() -> None:
        while not stop.is_set():
            oldest, end = history.span
            samples, first = history.read(oldest, end)
            if not np.array_equal(samples, np.arange(first, first + len(samples), dtype=np.float32)):
                wrong.append(first)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    for at in range(0, 1_000_000, 370):
        history.append(ramp(at, at + 370))
    stop.set()
    for reader in readers:
        reader.join(20)
    assert not wrong
