"""Cycles: how long one takes, and one cycle drawn from all of them.

``level`` is (T,) the amplitude of a line every ``HOP_SECONDS``: 1 as usual, 0 where it is silent or drowned.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.teaching.beeps.line_spectrum import HOP_SECONDS
from export.teaching.beeps.pattern import MOST_PULSES, Pulse
from export.teaching.beeps.pulses import pulses_of

Level = NDArray[np.float64]
SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 30.0  # of a cycle
LEAST_CYCLES, LEAST_PULSES = 2, 4
_ALIKE = 0.9  # of the best correlation: the shortest time with so much is the cycle, and not a multiple of it
_LEAST = 0.5
_REPEATED = 0.4  # share of what sounds that must have sounded a cycle before: half of two cycles
_SAME = 0.6  # correlation of a cycle with the one that was drawn
_BLUR = 5  # frames over which pulses may move from cycle to cycle


class NoCadence(Exception):
    """There is no cycle.

    Attributes:
        cycles: how many there nearly were.
    """

    def __init__(self, why: str, cycles: int = 0) -> None:
        super().__init__(why)
        self.cycles = cycles


@dataclass(frozen=True, eq=False, slots=True)
class Folded:
    """One cycle drawn from all.

    Attributes:
        pulses: of the cycle, the first at 0.
        cycle: seconds.
        start: seconds of the first cycle's first pulse.
        cycles: how many.
        edge_spread, cycle_spread: standard deviations, seconds.
    """

    pulses: tuple[Pulse, ...]
    cycle: float
    start: float
    cycles: int
    edge_spread: float
    cycle_spread: float

    def inside(self, seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which times lie in one of the cycles, without the last one's pause."""
        last = self.start + (self.cycles - 1) * self.cycle + self.pulses[-1].onset + self.pulses[-1].length
        return (seconds >= self.start) & (seconds < last)

    def template(self, seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """At which times it should sound, from the first cycle to the last."""
        at = (seconds - self.start) % self.cycle
        sounds = np.zeros(len(seconds), bool)
        for pulse in self.pulses:
            sounds |= (at >= pulse.onset) & (at < pulse.onset + pulse.length)
        return sounds & self.inside(seconds)


def period_of(level: Level) -> float | None:
    """Seconds after which what sounds sounds again, and what is silent is silent again; None = there are none."""
    at = np.flatnonzero(level >= 0.5)
    x = np.convolve(level[at[0] : at[-1] + 1], np.ones(_BLUR) / _BLUR, "same")
    n = len(x)
    size = 1 << (2 * n).bit_length()
    spectrum = np.fft.rfft(x, size)
    products = np.fft.irfft(np.abs(spectrum) ** 2, size)[:n]
    sums, squares = np.cumsum(x), np.cumsum(x * x)
    count = n - np.arange(n)
    head, tail = sums[count - 1], sums[-1] - np.concatenate([[0.0], sums[: n - 1]])
    head_power, tail_power = squares[count - 1], squares[-1] - np.concatenate([[0.0], squares[: n - 1]])
    covariance = products - head * tail / count
    spread = (head_power - head**2 / count) * (tail_power - tail**2 / count)
    correlation = np.where(spread > 1e-9, covariance / np.sqrt(np.maximum(spread, 1e-9)), 0.0)
    correlation[products < _REPEATED * squares[-1]] = 0.0
    first, last = round(SHORTEST_SECONDS / HOP_SECONDS), min(n - 1, round(LONGEST_SECONDS / HOP_SECONDS))
    if last <= first + 1:
        return None
    inside = correlation[first - 1 : last + 1]
    peaks = np.flatnonzero((inside[1:-1] >= inside[:-2]) & (inside[1:-1] > inside[2:])) + first
    if not len(peaks) or correlation[peaks].max() < _LEAST:
        return None
    cycle = int(peaks[correlation[peaks] >= _ALIKE * correlation[peaks].max()][0])
    left, top, right = correlation[cycle - 1 : cycle + 2]
    bend = left - 2 * top + right
    return (cycle + (0.5 * (left - right) / bend if bend < -1e-9 else 0.0)) * HOP_SECONDS


def fold(level: Level, cycle: float, seconds: NDArray[np.float64]) -> Folded:
    """One cycle from all of them.

    Args:
        level: (T,) of the line.
        cycle: seconds, nearly.
        seconds: (T,) of the frames.

    Raises:
        NoCadence: says why there is none, to be read after "the line at 3100 Hz".
    """
    begin, end = _stretch(level, cycle, seconds)
    for _ in range(2):
        drawn = _drawn(level, seconds, begin, cycle, max(1, round((end - begin) / cycle + 0.5)), end)
        pulses = pulses_of(drawn)
        if not 1 <= len(pulses) <= MOST_PULSES:
            raise NoCadence(f"has {len(pulses)} pulses in a cycle of {cycle:.2f} s; want 1 to {MOST_PULSES}")
        shift = pulses[0].onset
        begin += shift
        pulses = tuple(Pulse(p.onset - shift, p.length) for p in pulses)
        drawn = np.interp(np.arange(len(drawn)) * HOP_SECONDS + shift, np.arange(2 * len(drawn)) * HOP_SECONDS,
                          np.tile(drawn, 2))  # fmt: skip
        length = pulses[-1].onset + pulses[-1].length
        drawn = drawn[: max(3, round(length / HOP_SECONDS) + _BLUR)]
        while begin - cycle >= seconds[0] - 0.05 and _same(level, seconds, begin - cycle, drawn) >= _SAME:
            begin -= cycle
        while begin + cycle < end and _same(level, seconds, begin, drawn) < _SAME:
            begin += cycle
        cycles = 0
        while begin + cycles * cycle + length <= seconds[-1] + 0.05 and (
            _same(level, seconds, begin + cycles * cycle, drawn) >= _SAME
        ):
            cycles += 1
        if cycles < LEAST_CYCLES or cycles * len(pulses) < LEAST_PULSES:
            many = "s" * (cycles != 1)
            raise NoCadence(
                f"sounds in {cycles} whole cycle{many} of {cycle:.2f} s, {cycles * len(pulses)} pulses in all: want "
                f"{LEAST_CYCLES} cycles, and {LEAST_PULSES} pulses in them",
                cycles,
            )
        starts, spread = _onsets(level, seconds, begin, cycle, cycles, pulses)
        slope, start = np.polyfit(np.arange(cycles), starts, 1)
        cycle_spread = float(np.std(np.diff(starts))) if cycles > 2 else spread
        cycle, begin = float(slope), float(start)
        end = begin + (cycles - 1) * cycle + length
    rounded = tuple(Pulse(round(p.onset, 4), round(p.length, 4)) for p in pulses)
    return Folded(rounded, cycle, begin, cycles, spread, cycle_spread)


def _stretch(level: Level, cycle: float, seconds: NDArray[np.float64]) -> tuple[float, float]:
    """The longest stretch in which each cycle is like the one before."""
    sounding = level >= 0.5
    step = round(cycle / HOP_SECONDS)
    blurred = np.convolve(sounding, np.ones(_BLUR), "same") > 0
    again = np.zeros(len(sounding), bool)
    again[step:] = sounding[step:] & blurred[:-step]
    again[:-step] |= sounding[:-step] & blurred[step:]
    at = np.flatnonzero(again)
    if not len(at):
        at = np.flatnonzero(sounding)
    cuts = np.flatnonzero(np.diff(at) > 1.2 * step)
    longest = max(np.split(at, cuts + 1), key=len)
    return float(seconds[longest[0]]) - HOP_SECONDS, float(seconds[longest[-1]]) + HOP_SECONDS


def _drawn(
    level: Level, seconds: NDArray[np.float64], begin: float, cycle: float, count: int, end: float
) -> Level:
    """(P,) the median of all cycles at each phase, every ``HOP_SECONDS``; of two, the lower."""
    phase = np.arange(round(cycle / HOP_SECONDS)) * HOP_SECONDS
    times = begin + np.arange(count)[:, None] * cycle + phase
    heard = times <= end + 0.5 * cycle
    rows = np.sort(np.where(heard, np.interp(times, seconds, level), np.inf), axis=0)
    middle = np.maximum(heard.sum(axis=0) - 1, 0) // 2
    drawn: Level = np.take_along_axis(rows, middle[None], axis=0)[0]
    return np.where(np.isfinite(drawn), drawn, 0.0)


def _same(level: Level, seconds: NDArray[np.float64], begin: float, drawn: Level) -> float:
    """Correlation of the stretch that begins at a time with what was drawn, and the silence before it."""
    lead = round(0.3 * len(drawn)) + 1
    wanted = np.concatenate([np.full(lead, drawn.min()), drawn])
    times = begin + (np.arange(len(wanted)) - lead) * HOP_SECONDS
    heard = np.interp(times, seconds, level, left=0.0, right=0.0)
    a, b = heard - heard.mean(), wanted - wanted.mean()
    power = float(np.sum(a * a) * np.sum(b * b))
    return float(np.sum(a * b)) / power**0.5 if power > 1e-9 else 0.0


def _onsets(
    level: Level,
    seconds: NDArray[np.float64],
    begin: float,
    cycle: float,
    cycles: int,
    pulses: tuple[Pulse, ...],
) -> tuple[NDArray[np.float64], float]:
    """(cycles,) seconds at which each begins, by the onsets of its pulses; and the spread of an onset."""
    gaps = [b.onset - a.onset - a.length for a, b in itertools.pairwise(pulses)]
    reach = 0.4 * min([p.length for p in pulses] + gaps + [cycle - pulses[-1].onset - pulses[-1].length, 0.3])
    reach = max(reach, 2 * HOP_SECONDS)
    moved = np.full((cycles, len(pulses)), np.nan)
    for number in range(cycles):
        for k, pulse in enumerate(pulses):
            at = begin + number * cycle + pulse.onset
            fine = np.arange(at - reach, at + reach, 0.002)
            above = np.interp(fine, seconds, level) >= 0.5
            crossed = np.flatnonzero(above[1:] & ~above[:-1])
            if len(crossed):
                moved[number, k] = fine[crossed[np.argmin(np.abs(fine[crossed] - at))]] + 0.001 - at
    shift = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in moved])
    left = moved - shift[:, None]
    left -= [np.mean(edge[np.isfinite(edge)]) if np.isfinite(edge).any() else 0.0 for edge in left.T]
    spread = float(np.nanstd(left)) if np.isfinite(left).any() else 0.0
    if len(pulses) == 1:
        spread = float(np.std(shift))  # there is nothing beside it in its cycle
    return begin + np.arange(cycles) * cycle + shift, spread
