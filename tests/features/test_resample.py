"""The streaming resampler: one filter over the stream, exact in time, and clean behind every invalid stretch."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from stream import ClosedError, SnapshotInvalid, UsageError
from stream.features import soxr_state
from stream.features.resample import StreamingResampler, output_index

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


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("stretch", [(5_000, 5_001), (5_000, 5_800)])
def test_invalid_samples_come_out_invalid_and_nothing_else(
    rates: tuple[int, int], bad: float, stretch: tuple[int, int]
) -> None:
    samples = noise(20_000)
    samples[slice(*stretch)] = bad
    zeroed = np.where(np.isfinite(samples), samples, np.float32(0.0))
    got = resample(samples, rates, [20_000])
    invalid = np.flatnonzero(np.isnan(got))
    begin, end = output_index(stretch[0], *rates), output_index(stretch[1], *rates)
    assert abs(invalid[0] - begin) <= 1
    assert abs(invalid[-1] + 1 - max(end, begin + 1)) <= 1
    assert len(invalid) == invalid[-1] + 1 - invalid[0]
    expected = resample(zeroed, rates, [20_000])
    expected[invalid] = np.nan
    for sizes in ([20_000], [1], [5_003, 17]):
        np.testing.assert_array_equal(resample(samples, rates, sizes), expected)


def test_nothing_but_invalid_samples_is_still_the_right_length() -> None:
    got = resample(np.full(44_100, np.nan, np.float32), (44100, 16000), [100])
    assert len(got) == 16_000
    assert np.isnan(got).all()


# Saving and restoring.

IN_RATES = [8000, 11025, 12345, 22050, 24000, 32000, 44100, 44101, 48000, 96000, 192000]
PAIRS = [(a, b) for a in IN_RATES for b in (16000, 8000, 22050, 44100) if a != b]
HOUR = 3600
LONG = noise(1_000_003, seed=8)


def push(resampler: StreamingResampler, count: int, size: int) -> None:
    """Push ``count`` samples of noise, ``size`` at a time."""
    while count:
        piece = LONG[: min(size, count)]
        resampler.push(piece)
        count -= len(piece)


def goes_on_alike(resampler: StreamingResampler, rng: np.random.Generator) -> None:
    """Restore its snapshot into a new one and one that was used; all three must give the same from here on."""
    saved = resampler.snapshot()
    used = StreamingResampler(resampler.in_rate, resampler.out_rate)
    used.push(noise(999))
    others = [StreamingResampler(resampler.in_rate, resampler.out_rate), used]
    for other in others:
        other.restore(saved)
        assert (other.next_in, other.position) == (resampler.next_in, resampler.position)
    for number in range(12):
        piece = noise(int(rng.integers(1, resampler.in_rate // 20)), seed=number)
        piece[:: max(1, number * 50)] = np.nan if number in (3, 7) else piece[0]
        expected = resampler.push(piece)
        for other in others:
            np.testing.assert_array_equal(other.push(piece), expected)
            assert other.position == resampler.position
    expected = resampler.flush()
    for other in others:
        np.testing.assert_array_equal(other.flush(), expected)


@pytest.mark.parametrize("rates", [*PAIRS, (16000, 16000)])
def test_a_restored_resampler_goes_on_to_the_bit(rates: tuple[int, int]) -> None:
    rng = np.random.default_rng(rates)
    reach = soxr_state.memory(*rates, "HQ")
    for count in (0, 1, 5, int(rng.integers(reach)), reach, reach + 1, int(rng.integers(500_000))):
        resampler = StreamingResampler(*rates, start=int(rng.integers(2**40)))
        push(resampler, count, int(rng.integers(1, 50_000)))
        goes_on_alike(resampler, rng)


@pytest.mark.parametrize(
    "rates", [(44100, 16000), (48000, 16000), (11025, 16000), (44101, 16000), (8000, 44100)]
)
def test_after_an_hour_too(rates: tuple[int, int]) -> None:
    resampler = StreamingResampler(*rates)
    push(resampler, HOUR * rates[0] + 12_347, len(LONG))
    goes_on_alike(resampler, np.random.default_rng(1))


def test_usual_rates_have_a_period_and_odd_ones_are_replayed() -> None:
    """The first are restored in milliseconds however long the stream; the others by as many zeros as samples."""
    for rate in (8000, 11025, 12000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000):
        period = soxr_state.period(rate, 16000, "HQ")
        assert period is not None
        assert period <= 400_000, rate
    assert soxr_state.period(44101, 16000, "HQ") is None
    assert soxr_state.period(16000, 16001, "HQ") is None


def test_what_cannot_be_saved_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soxr_state, "LONGEST_REPLAY", 100_000)
    usual, odd = StreamingResampler(44100, 16000), StreamingResampler(44101, 16000)
    for resampler in (usual, odd):
        push(resampler, 100_000, 10_000)
        resampler.snapshot()
        resampler.push(noise(1))
    usual.snapshot()
    with pytest.raises(
        SnapshotInvalid, match=r"44101 to 16000 Hz after 100001 samples.*first 100000"
    ) as caught:
        odd.snapshot()
    assert "\n" not in str(caught.value)
    odd.reset()
    odd.snapshot()


def test_a_snapshot_is_restored_into_its_like_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    resampler = StreamingResampler(44100, 16000)
    resampler.push(noise(5000))
    saved = resampler.snapshot()
    for other in (StreamingResampler(48000, 16000), StreamingResampler(44100, 16000, "VHQ")):
        with pytest.raises(SnapshotInvalid, match="44100 to 16000 Hz at HQ"):
            other.restore(saved)
    for wrong in ({"kind": "detector"}, {"version": 2}):
        with pytest.raises(SnapshotInvalid, match="restore it"):
            resampler.restore({**saved, **wrong})
    for name in soxr_state.BLOCK_VARIABLES:
        monkeypatch.delenv(name)
    other = StreamingResampler(44100, 16000)
    with pytest.raises(SnapshotInvalid, match="set SOXR_MIN_DFT_SIZE and SOXR_LARGE_DFT_SIZE"):
        other.restore(saved)


def test_a_snapshot_stays_as_it_was_and_can_be_restored_twice() -> None:
    resampler = StreamingResampler(44100, 16000)
    resampler.push(noise(50_000))
    saved = resampler.snapshot()
    kept = {name: np.copy(value) if isinstance(value, np.ndarray) else value for name, value in saved.items()}
    first = resampler.push(noise(5000, seed=1))
    resampler.restore(saved)
    np.testing.assert_array_equal(resampler.push(noise(5000, seed=1)), first)
    for name, value in kept.items():
        np.testing.assert_array_equal(saved[name], value)


def test_a_flushed_one_stays_flushed() -> None:
    resampler = StreamingResampler(44100, 16000)
    resampler.push(noise(50_000))
    resampler.flush()
    other = StreamingResampler(44100, 16000)
    other.restore(resampler.snapshot())
    with pytest.raises(ClosedError):
        other.push(noise(1))
    other.reset()
    np.testing.assert_array_equal(other.push(noise(5000)), StreamingResampler(44100, 16000).push(noise(5000)))


def test_longer_blocks_are_the_same_but_for_rounding_and_the_environment_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A library user who sets no variable gets libsoxr's own blocks, a longer delay, and states that restore too."""
    short = resample(noise(100_000), (44100, 16000), [441])
    for name in soxr_state.BLOCK_VARIABLES:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    long = resample(noise(100_000), (44100, 16000), [441])
    np.testing.assert_allclose(long, short, rtol=0, atol=5e-7)
    assert not np.array_equal(long, short)
    for rates in ((44100, 16000), (48000, 16000)):
        resampler = StreamingResampler(*rates)
        push(resampler, 300_000, 1000)
        goes_on_alike(resampler, np.random.default_rng(2))
    assert dict(os.environ) == before
