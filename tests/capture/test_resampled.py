"""A source at another rate: gaps, heartbeats and positions of the chunks that come out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.capture.resample import ResampledSource, resampled
from stream.capture.source import ArraySource, SourceBase
from stream.features.resample import output_index
from stream.messages import Chunk, SourceInfo, SourceState
from tests.features.test_resample import RATES, Samples, noise, resample


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
