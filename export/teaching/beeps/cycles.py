"""Cycles: how long one takes, and one cycle drawn from all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.teaching.beeps.pattern import Pulse
from export.teaching.beeps.spectrum import HOP_SECONDS

SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 30.0  # of a cycle
LEAST_CYCLES, LEAST_PULSES = 2, 4
MOST_PULSES = 12
_ALIKE = 0.9  # of the best correlation: the shortest time with so much is the cycle, and not a multiple of it
_LEAST = 0.5
_REPEATED = 0.4  # share of what sounds that must have sounded a cycle before: half of two cycles
_FOUND_AGAIN = 0.5  # of a cycle's agreement with the others
_SHORTEST_PULSE = 0.045  # seconds
_ROOM_SECONDS = 0.12  # that a room sounds on at half the level, at most
_STEEP = 0.25  # share of the level by which it falls in 40 ms where a pulse stops


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
        contrast: dB from the gaps to the pulses.
    """

    pulses: tuple[Pulse, ...]
    cycle: float
    start: float
    cycles: int
    edge_spread: float
    cycle_spread: float
    contrast: float

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


def period_of(sounding: NDArray[np.bool_], blur: int) -> float | None:
    """Seconds after which what sounds sounds again, and what is silent is silent again; None = there are none.

    Args:
        sounding: (T,) frames.
        blur: frames over which edges are blurred.
    """
    at = np.flatnonzero(sounding)
    x = np.convolve(sounding[at[0] : at[-1] + 1], np.ones(blur) / blur, "same")
    n = len(x)
    size = 1 << (2 * n).bit_length()
    spectrum = np.fft.rfft(x, size)
    products = np.fft.irfft(np.abs(spectrum) ** 2, size)[:n]
    sums, squares = np.cumsum(x), np.cumsum(x * x)
    lags = np.arange(n)
    count = n - lags
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


def fold(
    amplitude: NDArray[np.float64], sounding: NDArray[np.bool_], cycle: float, seconds: NDArray[np.float64]
) -> Folded:
    """One cycle from all of them.

    Args:
        amplitude: (T,) of the line.
        sounding: (T,) whether it sounds.
        cycle: seconds, nearly.
        seconds: (T,) of the frames.

    Raises:
        NoCadence: says why there is none, to be read after "the line at 3100 Hz".
    """
    begin, end = _stretch(sounding, cycle, seconds)
    for _ in range(2):
        count = max(1, round((end - begin) / cycle + 0.5))
        drawn = _drawn(amplitude, seconds, begin, cycle, count, end)
        loud, quiet = float(np.quantile(drawn, 0.95)), float(np.quantile(drawn, 0.1))
        level = (loud + quiet) / 2
        pulses = _pulses(drawn, level)
        if not pulses or len(pulses) > MOST_PULSES:
            raise NoCadence(f"has {len(pulses)} pulses in a cycle of {cycle:.2f} s; want 1 to {MOST_PULSES}")
        begin += pulses[0].onset
        pulses = tuple(Pulse(p.onset - pulses[0].onset, p.length) for p in pulses)
        length = pulses[-1].onset + pulses[-1].length
        while begin - cycle >= seconds[0] - 0.05 and _sounds(sounding, seconds, begin - cycle, pulses) >= _FOUND_AGAIN:
            begin -= cycle
        while begin + cycle < end and _sounds(sounding, seconds, begin, pulses) < _FOUND_AGAIN:
            begin += cycle
        cycles = 0
        while begin + cycles * cycle + length <= seconds[-1] + 0.05 and (
            _sounds(sounding, seconds, begin + cycles * cycle, pulses) >= _FOUND_AGAIN
        ):
            cycles += 1
        if cycles < LEAST_CYCLES or cycles * len(pulses) < LEAST_PULSES:
            many = "s" * (cycles != 1)
            raise NoCadence(
                f"sounds {cycles * len(pulses)} times, in {cycles} whole cycle{many} of {cycle:.2f} s: want "
                f"{LEAST_CYCLES} cycles, and {LEAST_PULSES} pulses in them",
                cycles,
            )
        starts, spread = _edges(amplitude, seconds, begin, cycle, cycles, pulses, level)
        numbers = np.arange(cycles)
        slope, start = np.polyfit(numbers, starts, 1)
        cycle_spread = float(np.std(np.diff(starts))) if cycles > 2 else spread
        cycle, begin = float(slope), float(start)
        end = begin + (cycles - 1) * cycle + length
    contrast = 20 * float(np.log10(max(loud, 1e-9) / max(quiet, 1e-9)))
    rounded = tuple(Pulse(round(p.onset, 4), round(p.length, 4)) for p in pulses)
    return Folded(rounded, cycle, begin, cycles, spread, cycle_spread, contrast)


def _stretch(
    sounding: NDArray[np.bool_], cycle: float, seconds: NDArray[np.float64]
) -> tuple[float, float]:
    """The longest stretch in which each cycle is like the one before."""
    step = round(cycle / HOP_SECONDS)
    blurred = np.convolve(sounding, np.ones(5) / 5, "same") > 0
    again = np.zeros(len(sounding), bool)
    again[step:] = sounding[step:] & blurred[:-step]
    again[:-step] |= sounding[:-step] & blurred[step:]
    at = np.flatnonzero(again)
    if not len(at):
        at = np.flatnonzero(sounding)
    cuts = np.flatnonzero(np.diff(at) > 1.2 * step)
    parts = np.split(at, cuts + 1)
    longest = max(parts, key=len)
    return float(seconds[longest[0]]) - HOP_SECONDS, float(seconds[longest[-1]]) + HOP_SECONDS


def _drawn(
    amplitude: NDArray[np.float64], seconds: NDArray[np.float64], begin: float, cycle: float, count: int, end: float
) -> NDArray[np.float64]:
    """(P,) the median of all cycles at each phase, every ``HOP_SECONDS``; of two, the lower."""
    phase = np.arange(round(cycle / HOP_SECONDS)) * HOP_SECONDS
    times = begin + np.arange(count)[:, None] * cycle + phase
    rows = np.interp(times, seconds, amplitude)
    rows[times > end + 0.5 * cycle] = np.nan
    drawn: NDArray[np.float64] = np.nanquantile(rows, 0.5, axis=0, method="lower")
    return drawn


def _pulses(drawn: NDArray[np.float64], level: float) -> tuple[Pulse, ...]:
    """Where a cycle is above a level, the longest gap last; edges between the frames."""
    n = len(drawn)
    above = drawn >= level
    if above.all() or not above.any():
        return ()
    # From the middle of a gap, so that no pulse is cut.
    gaps = _runs(np.roll(~above, -int(np.argmax(above))))
    longest = max(gaps, key=lambda run: run[1] - run[0])
    origin = (int(np.argmax(above)) + longest[0]) % n
    turned = np.roll(drawn, -origin)
    found = []
    for begin, end in _runs(turned >= level):
        rise = begin - _between(turned[begin], turned[begin - 1], level)
        fall = _stop(turned, rise, end - 1 + _between(turned[end - 1], turned[end % n], level))
        if (fall - rise) * HOP_SECONDS >= _SHORTEST_PULSE:
            found.append(Pulse((origin + rise) * HOP_SECONDS, (fall - rise) * HOP_SECONDS))
    return tuple(found)


def _stop(drawn: NDArray[np.float64], rise: float, fall: float) -> float:
    """When a pulse stops, in frames: where it falls fastest, for a room sounds on; ``fall`` where it falls nowhere so."""
    first, last = max(round((rise + fall) / 2), round(fall - _ROOM_SECONDS / HOP_SECONDS)), round(fall) + 2
    at = np.arange(first, last + 1)
    slope = drawn[(at + 2) % len(drawn)] - drawn[(at - 2) % len(drawn)]
    k = int(slope.argmin())
    if slope[k] > -_STEEP * drawn.max() or not 0 < k < len(at) - 1:
        return fall
    bend = slope[k - 1] - 2 * slope[k] + slope[k + 1]
    return min(fall, float(at[k] + (0.5 * (slope[k - 1] - slope[k + 1]) / bend if bend > 1e-12 else 0.0)))


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int))).reshape(-1, 2)
    return [(int(a), int(b)) for a, b in edges]


def _between(inside: float, outside: float, level: float) -> float:
    """How far from a frame above a level towards one below it the level is crossed."""
    return float((inside - level) / max(inside - outside, 1e-12))


def _sounds(
    sounding: NDArray[np.bool_], seconds: NDArray[np.float64], begin: float, pulses: tuple[Pulse, ...]
) -> float:
    """The least share of a pulse that sounds, and of a gap between two that does not, in one cycle."""
    shares = []
    for k, pulse in enumerate(pulses):
        shares.append(_share(sounding, seconds, begin + pulse.onset, begin + pulse.onset + pulse.length))
        if k + 1 < len(pulses):
            gap = (begin + pulse.onset + pulse.length, begin + pulses[k + 1].onset)
            shares.append(1 - _share(sounding, seconds, *gap))
    return min(shares)


def _share(sounding: NDArray[np.bool_], seconds: NDArray[np.float64], begin: float, end: float) -> float:
    first, last = np.searchsorted(seconds, (begin, end))
    return float(np.mean(sounding[first:last])) if last > first else 0.0


def _edges(
    amplitude: NDArray[np.float64], seconds: NDArray[np.float64], begin: float, cycle: float, cycles: int,
    pulses: tuple[Pulse, ...], level: float,
) -> tuple[NDArray[np.float64], float]:  # fmt: skip
    """(cycles,) seconds at which each begins, by its edges; and the spread of the edges."""
    reach = 0.4 * min(
        [p.length for p in pulses]
        + [b.onset - a.onset - a.length for a, b in zip(pulses, pulses[1:], strict=False)]
        + [cycle - pulses[-1].onset - pulses[-1].length, 0.3]
    )
    moved = np.full((cycles, 2 * len(pulses)), np.nan)
    for number in range(cycles):
        for k, edge in enumerate(e for p in pulses for e in (p.onset, p.onset + p.length)):
            at = begin + number * cycle + edge
            fine = np.arange(at - reach, at + reach, 0.002)
            values = np.interp(fine, seconds, amplitude) >= level
            if k % 2:
                values = ~values
            crossed = np.flatnonzero(values[1:] & ~values[:-1])
            if len(crossed):
                moved[number, k] = fine[crossed[np.argmin(np.abs(fine[crossed] - at))]] + 0.001 - at
    shift = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in moved])
    left = moved - shift[:, None]
    left -= [np.mean(edge[np.isfinite(edge)]) if np.isfinite(edge).any() else 0.0 for edge in left.T]
    return begin + np.arange(cycles) * cycle + shift, float(np.nanstd(left)) if np.isfinite(left).any() else 0.0
