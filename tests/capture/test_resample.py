"""The streaming resampler: one filter over the stream, exact in time, and clean behind every hole."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream import ClosedError, UsageError
from stream.capture.source import ArraySource, SourceBase
from stream.features.resample import ResampledSource, StreamingResampler, output_index, resampled
from stream.messages import Chunk, SourceInfo, SourceState

RATES = [(44100, 16000), (48000, 16000), (8000, 16000), (22050, 16000), (16000, 16000)]
Samples = NDArray[np.float32]


def noise(n: int, seed: int = 0) -> Samples:
    return (0.3 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def cut(samples: Samples, sizes: list[int]) -> Iterator[Samples]:
    at = i = 0
    while at < len(samples):
        yield samples[at : at + sizes[i % len(sizes)]]
        at += sizes[i % len(sizes)]
        i += 1


def resample(samples: Samples, rates: tuple[int, int], sizes: list[int], start: int = 0) -> Samples:
    resampler = StreamingResampler(*rates, start=start)
    return np.concatenate([*(resampler.push(p) for p in cut(samples, sizes)), resampler.flush()])


class Chunks(SourceBase):
    """A source that gives what it was given."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.chunks = chunks
        self.sample_rate = chunks[0].sample_rate
        self.closed = False

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self.chunks)

    def info(self) -> SourceInfo:
        return SourceInfo("chunks", self.sample_rate)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize(
    "sizes", [[1], [7], [159], [160], [161], [400], [1280], [5, 1000, 0, 1, 333], [65536]]
)
def test_every_chunking_gives_the_same_bits(rates: tuple[int, int], sizes: list[int]) -> None:
    samples = noise(30_011)
    np.testing.assert_array_equal(resample(samples, rates, sizes), resample(samples, rates, [len(samples)]))


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 440, 441, 30_011])
def test_the_whole_equals_soxr_and_its_length_is_rounded_half_up(rates: tuple[int, int], n: int) -> None:
    got = resample(noise(n), rates, [1000])
    assert len(got) == output_index(n, *rates) == int(np.floor(n * rates[1] / rates[0] + 0.5))
    if n:
        whole = soxr.resample(noise(n), *rates, quality="HQ")  # in longer blocks, so rounded otherwise
        np.testing.assert_allclose(got, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("rate", "most"), [(44100, 0.018), (48000, 0.016), (8000, 0.053)])
def test_little_sound_is_held_back(rate: int, most: float) -> None:
    """libsoxr's own blocks would be more than twice as long."""
    resampler, came, longest = StreamingResampler(rate, 16000), 0, 0.0
    for n, piece in enumerate(cut(noise(rate), [rate // 1000])):
        came += len(resampler.push(piece))
        longest = max(longest, (n + 1) * (rate // 1000) / rate - came / 16000)
    assert 0.004 < longest < most


@pytest.mark.parametrize("given", [None, "17"])
def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    if given is None:
        monkeypatch.delenv("SOXR_LARGE_DFT_SIZE", raising=False)
    else:
        monkeypatch.setenv("SOXR_LARGE_DFT_SIZE", given)
    before = dict(os.environ)
    got = resample(noise(44100), (44100, 16000), [441])
    assert dict(os.environ) == before
    monkeypatch.delenv("SOXR_LARGE_DFT_SIZE", raising=False)
    np.testing.assert_array_equal(got, resample(noise(44100), (44100, 16000), [1000]))


def test_a_block_resampled_alone_is_not_the_same() -> None:
    """What this stage is for: the usual mistake is audible and measurable."""
    samples = noise(44_100)
    alone = np.concatenate([soxr.resample(p, 44100, 16000) for p in cut(samples, [441])])
    together = resample(samples, (44100, 16000), [441])
    assert np.abs(alone - together).max() > 0.01


@pytest.mark.parametrize("rates", RATES)
def test_the_output_for_a_prefix_is_a_prefix_of_the_output(rates: tuple[int, int]) -> None:
    samples = noise(20_000)
    prefix = StreamingResampler(*rates).push(samples[:9_999])
    np.testing.assert_array_equal(prefix, resample(samples, rates, [20_000])[: len(prefix)])


def test_reset_makes_it_new_and_without_reset_it_is_not() -> None:
    samples, resampler = noise(5_000), StreamingResampler(44100, 16000)
    first = np.concatenate([resampler.push(samples), resampler.flush()])
    resampler.reset()
    np.testing.assert_array_equal(np.concatenate([resampler.push(samples), resampler.flush()]), first)
    resampler.reset()
    resampler.push(noise(777, seed=5))
    assert not np.array_equal(resampler.push(samples)[:500], first[:500])


def test_two_streams_do_not_touch_each_other_and_inputs_and_outputs_stay_as_they_were() -> None:
    samples = noise(6_000)
    kept = samples.copy()
    a, b = StreamingResampler(48000, 16000), StreamingResampler(48000, 16000)
    pieces, copies = [], []
    for piece in cut(samples, [480]):
        out = a.push(piece)
        b.push(-piece)
        pieces.append(out)
        copies.append(out.copy())
    pieces.append(a.flush())
    np.testing.assert_array_equal(np.concatenate(pieces), resample(samples, (48000, 16000), [480]))
    np.testing.assert_array_equal(np.concatenate(pieces[:-1]), np.concatenate(copies))
    np.testing.assert_array_equal(samples, kept)


@pytest.mark.parametrize("rates", [(44100, 16000), (16000, 16000)])
def test_edges(rates: tuple[int, int]) -> None:
    resampler = StreamingResampler(*rates)
    assert len(resampler.push(np.empty(0, np.float32))) == 0
    resampler.push(noise(100))
    resampler.flush()
    assert len(resampler.flush()) == 0
    with pytest.raises(ClosedError, match="reset"):
        resampler.push(noise(1))
    with pytest.raises(UsageError, match="0"):
        StreamingResampler(0, 16000)


@settings(max_examples=40, deadline=None)
@given(
    rates=st.sampled_from(RATES[:4]),
    runs=st.lists(st.tuples(st.integers(1, 3_000), st.integers(1, 5_000)), min_size=1, max_size=5),
    first=st.integers(0, 2**33),
    size=st.integers(1, 2_000),
)
def test_gaps_keep_their_place_and_length(
    rates: tuple[int, int], runs: list[tuple[int, int]], first: int, size: int
) -> None:
    """A run [a, b) covers exactly the outputs [output_index(a), output_index(b)), whatever came before."""
    in_rate, out_rate = rates
    chunks, wanted, at = [], {}, first
    for number, (length, gap) in enumerate(runs):
        samples = noise(length, seed=number)
        chunks += [Chunk(samples[k : k + size], at + k, in_rate) for k in range(0, length, size)]
        wanted[output_index(at, *rates)] = resample(samples, rates, [length], start=at)
        assert len(wanted[output_index(at, *rates)]) == output_index(at + length, *rates) - output_index(
            at, *rates
        )
        at += length + gap
    got: dict[int, list[Samples]] = {}
    end = -1
    for chunk in resampled(Chunks(chunks), out_rate):
        assert chunk.sample_rate == out_rate
        if len(chunk.samples):
            assert chunk.start >= end
            if chunk.start != end:
                current = got.setdefault(chunk.start, [])
            current.append(chunk.samples)
            end = chunk.end
    joined: dict[int, Samples] = {}
    for start, pieces in wanted.items():  # runs that touch in the output count as one there
        last = next(reversed(joined), None)
        if last is not None and last + len(joined[last]) == start:
            joined[last] = np.concatenate([joined[last], pieces])
        elif len(pieces):
            joined[start] = pieces
    assert list(got) == list(joined)
    for start, expected in joined.items():
        np.testing.assert_array_equal(np.concatenate(got[start]), expected)


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("hole", [(5_000, 5_001), (5_000, 5_800)])
def test_missing_samples_leave_a_hole_of_their_length_and_nothing_else(
    rates: tuple[int, int], bad: float, hole: tuple[int, int]
) -> None:
    samples = noise(20_000)
    samples[slice(*hole)] = bad
    zeroed = np.where(np.isfinite(samples), samples, np.float32(0.0))
    got = resample(samples, rates, [20_000])
    missing = np.flatnonzero(np.isnan(got))
    begin, end = output_index(hole[0], *rates), output_index(hole[1], *rates)
    assert abs(missing[0] - begin) <= 1
    assert abs(missing[-1] + 1 - max(end, begin + 1)) <= 1
    assert len(missing) == missing[-1] + 1 - missing[0]
    expected = resample(zeroed, rates, [20_000])
    expected[missing] = np.nan
    for sizes in ([20_000], [1], [5_003, 17]):
        np.testing.assert_array_equal(resample(samples, rates, sizes), expected)


def test_nothing_but_missing_samples_is_still_the_right_length() -> None:
    got = resample(np.full(44_100, np.nan, np.float32), (44100, 16000), [100])
    assert len(got) == 16_000
    assert np.isnan(got).all()


def test_heartbeats_states_and_times_pass_and_never_look_like_a_gap() -> None:
    states: list[SourceState] = ["listening", "recovering", "recovering", "listening"]
    samples = noise(4_410)
    nothing = samples[:0]
    chunks = [
        Chunk(samples, 0, 44100, 0.1, states[0]),
        Chunk(nothing, 4_410, 44100, 0.2, states[1]),
        Chunk(nothing, 4_410, 44100, 0.3, states[2]),
        Chunk(samples, 44_100, 44100, 1.1, states[3]),
    ]
    out = list(resampled(Chunks(chunks), 16000))
    beats = [c for c in out if c.state == "recovering"]
    assert [c.captured_at for c in beats] == [0.2, 0.3]
    assert all(len(c.samples) == 0 and c.start == out[0].end for c in beats)
    runs = [c for c in out if len(c.samples)]
    gaps = [(a.end, b.start) for a, b in itertools.pairwise(runs) if a.end != b.start]
    assert gaps == [(1_600, 16_000)]
    assert runs[-1].end == 17_600


def test_equal_rates_need_no_resampler_and_closing_reaches_the_source() -> None:
    source = ArraySource(noise(10), 16000)
    assert resampled(source, 16000) is source
    inner = Chunks([Chunk(noise(10), 0, 8000)])
    with resampled(inner, 16000) as outer:
        assert isinstance(outer, ResampledSource)
        assert outer.sample_rate == 16000
        assert outer.info().sample_rate == 8000
    assert inner.closed


def test_positions_beyond_32_bits_stay_exact() -> None:
    start = 2**40 + 1
    chunks = list(resampled(ArraySource(noise(44_100), 44100, start=start), 16000))
    assert chunks[0].start == output_index(start, 44100, 16000)
    assert chunks[-1].end == output_index(start + 44_100, 44100, 16000)
