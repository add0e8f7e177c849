"""What can be known of the state inside soxr, which cannot be read: enough to build an equal one.

soxr works in blocks. What comes out depends on the number of samples that went in (which decides where blocks begin,
and between which of its coefficients a sample falls), and on the last samples themselves, as far as its filter
reaches. So a new stream that took a number of zeros and then those last samples goes on to the bit like the old one,
if the two numbers of samples differ by a whole number of periods. Periods are found by looking at when samples
come out, and then proved with noise. Where rates have no short period, the new stream takes as many zeros as the old
one took samples, 100 million of them a second.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import soxr
from numpy.typing import NDArray

# Read by libsoxr whenever a stream is made (soxr.c, soxr_create): log2 of the length of its Fourier transforms.
BLOCK_VARIABLES = ("SOXR_MIN_DFT_SIZE", "SOXR_LARGE_DFT_SIZE")

LONGEST_PERIOD = 4_000_000  # input samples; to prove a longer one takes longer than it is worth
LONGEST_REPLAY = 1 << 28  # input samples that a stream without a period may have taken: 2 s of restoring
_PROOF = 1_000_000  # input samples before the proof begins, so that rounding errors had time to add up
_PIECE = 1 << 16
_STRIDE = 32  # samples between two looks, where a bound is enough


def new_stream(in_rate: int, out_rate: int, quality: str) -> soxr.ResampleStream:
    """One channel of float32."""
    return soxr.ResampleStream(in_rate, out_rate, 1, "float32", quality)


def memory(in_rate: int, out_rate: int, quality: str) -> int:
    """The most recent input samples that can still have an influence, and some more."""
    return _memory(in_rate, out_rate, quality, _setting())


def period(in_rate: int, out_rate: int, quality: str) -> int | None:
    """Input samples after which soxr is in the same state but for its memory; None if that is not to be had.

    Measured at the first call for a pair of rates, in some 0.1 s.
    """
    return _period(in_rate, out_rate, quality, _setting())


def rebuilt(
    in_rate: int, out_rate: int, quality: str, count: int, recent: NDArray[np.float32], period: int | None
) -> soxr.ResampleStream:
    """A stream equal to one that took ``count`` samples, the last of which are ``recent``.

    Args:
        recent: (n,) float32 with n = `memory`, or ``count`` where that is less.
        period: of these rates; None rebuilds by the whole count.
    """
    stream = new_stream(in_rate, out_rate, quality)
    zeros = count - len(recent)
    if period is not None and zeros:
        zeros %= period
    for size in _pieces(zeros):
        stream.resample_chunk(np.zeros(size, np.float32))
    stream.resample_chunk(recent)
    return stream


def _setting() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in BLOCK_VARIABLES)


@lru_cache(maxsize=256)
def _memory(in_rate: int, out_rate: int, quality: str, setting: tuple[str | None, ...]) -> int:
    """Twice what is taken before the first sample comes out, and three times what is taken between later ones."""
    stream = new_stream(in_rate, out_rate, quality)
    zeros = np.zeros(_STRIDE, np.float32)
    came, taken = [0], 0
    while len(came) < 4:
        taken += _STRIDE
        if len(stream.resample_chunk(zeros)):
            came.append(taken)
    return 2 * came[1] + 3 * max(b - a + _STRIDE for a, b in itertools.pairwise(came[1:]))


@lru_cache(maxsize=256)
def _period(in_rate: int, out_rate: int, quality: str, setting: tuple[str | None, ...]) -> int | None:
    found = _likely_period(in_rate, out_rate, quality)
    if found > LONGEST_PERIOD or not _proved(in_rate, out_rate, quality, found):
        return None
    return found


def _likely_period(in_rate: int, out_rate: int, quality: str) -> int:
    """The least number of samples with whole blocks of input, whole blocks of output, and a whole ratio."""
    divisor = math.gcd(in_rate, out_rate)
    down, up = in_rate // divisor, out_rate // divisor
    stream = new_stream(in_rate, out_rate, quality)
    zero = np.zeros(1, np.float32)
    at: list[int] = []
    sizes: list[int] = []
    taken = 0
    # A ratio that blocks keep exactly shows at once; others need some blocks of which no two are alike.
    while len(at) < 4 or (
        len(at) < 24 and ((at[-1] - at[0]) * up != sum(sizes[1:]) * down or len({*np.diff(at)}) > 1)
    ):
        taken += 1
        if came := len(stream.resample_chunk(zero)):
            at.append(taken)
            sizes.append(came)
    block_in = math.gcd(*(b - a for a, b in itertools.pairwise(at)))
    block_out = math.gcd(*sizes[1:]) if len(set(sizes[1:])) > 1 or block_in * up == sizes[1] * down else 1
    found = math.lcm(down, block_in)
    return found * (block_out // math.gcd(block_out, found // down * up))


def _proved(in_rate: int, out_rate: int, quality: str, period: int) -> bool:
    """Whether a rebuilt stream goes on like one that took noise for many periods."""
    reach = memory(in_rate, out_rate, quality)
    count = max(1, _PROOF // period) * period + reach + period // 3
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(_PIECE, np.float32)
    recent, following = rng.standard_normal(reach, np.float32), rng.standard_normal(2 * reach, np.float32)
    real = new_stream(in_rate, out_rate, quality)
    for size in _pieces(count - reach):
        real.resample_chunk(noise[:size])
    real.resample_chunk(recent)
    other = rebuilt(in_rate, out_rate, quality, count, recent, period)
    return np.array_equal(real.resample_chunk(following), other.resample_chunk(following))


def _pieces(count: int) -> Iterator[int]:
    for at in range(0, count, _PIECE):
        yield min(_PIECE, count - at)
