"""Conditioner: runs at another rate keep their place and length; heartbeats never look like a gap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.features.conditioner import Conditioner
from stream.features.resample import output_index
from tests.features.test_resample import RATES, Samples, noise, resample


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
        chunks += [(samples[k : k + size], at + k) for k in range(0, length, size)]
        wanted[output_index(at, *rates)] = resample(samples, rates, [length], start=at)
        assert len(wanted[output_index(at, *rates)]) == output_index(at + length, *rates) - output_index(
            at, *rates
        )
        at += length + gap
    got: dict[int, list[Samples]] = {}
    end = -1
    stage = Conditioner(out_rate)
    for start, samples in itertools.chain(*(stage.push(s, at, in_rate) for s, at in chunks), stage.flush()):
        if len(samples):
            assert start >= end
            if start != end:
                current = got.setdefault(start, [])
            current.append(samples)
            end = start + len(samples)
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


def test_a_heartbeat_never_looks_like_a_gap_and_a_gap_has_its_length() -> None:
    samples = noise(4_410)
    stage = Conditioner(16000)
    runs = []
    gaps = []
    for part, start in ((samples, 0), (samples[:0], 4_410), (samples[:0], 4_410), (samples, 44_100)):
        new = stage.push(part, start, 44100)
        assert len(part) or not new
        runs += new
        gaps += stage.gaps
    runs += stage.flush()
    seams = [(a + len(x), b) for (a, x), (b, _) in itertools.pairwise(runs) if a + len(x) != b]
    assert seams == [(1_600, 16_000)]
    assert [(gap.start, gap.end, gap.reason) for gap in gaps] == [(1_600, 16_000, "lost")]
    assert runs[-1][0] + len(runs[-1][1]) == stage.end == 17_600


def test_sound_at_the_models_rate_is_not_copied_and_what_a_filter_holds_back_is_told() -> None:
    samples = noise(1_000)
    stage = Conditioner(16000)
    [(start, run)] = stage.push(samples, 7, 16000)
    assert (start, stage.held_back) == (7, 0)
    assert run is samples
    other = Conditioner(16000)
    runs = other.push(noise(4_410), 0, 44100)
    assert other.held_back == 1_600 - sum(len(run) for _, run in runs) > 0


def test_a_source_may_change_its_rate() -> None:
    """What was held back at the old rate still comes, and indices go on at the model's rate."""
    stage = Conditioner(16000)
    runs = stage.push(noise(44_100), 0, 44100)
    runs += stage.push(noise(48_000), 48_000, 48000)
    runs += stage.flush()
    assert not stage.gaps
    assert sum(len(run) for _, run in runs) == 32_000
    assert all(a + len(x) == b for (a, x), (b, _) in itertools.pairwise(runs))


def test_order_is_demanded_at_any_rate() -> None:
    for rate in (16000, 44100):
        stage = Conditioner(16000)
        stage.push(noise(1_000), 500, rate)
        for start in (0, 1_499):
            with pytest.raises(UsageError, match="1500: want them in order"):
                stage.push(noise(10), start, rate)
        stage.push(noise(10), 1_500, rate)  # a refused chunk changed nothing


def test_positions_beyond_32_bits_stay_exact() -> None:
    start = 2**40 + 1
    stage = Conditioner(16000)
    runs = stage.push(noise(44_100), start, 44100) + stage.flush()
    assert runs[0][0] == output_index(start, 44100, 16000)
    assert runs[-1][0] + len(runs[-1][1]) == output_index(start + 44_100, 44100, 16000)
