"""Pulses: where a line sounds in one cycle, although a room sounds on after each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.teaching.beeps.pattern import Pulse
from export.teaching.beeps.spectrum import HOP_SECONDS

_APART = (0.25, 0.4, 0.55)  # of the usual level, by which it falls between two pulses, and rises again: the best of
_EACH_COSTS = 0.015  # correlation that another pulse must be worth
_LOUD = 0.5  # of the usual level: less is no pulse
_NEAR_DB, _FAR_DB = 4.0, 8.0  # below a pulse, between which its decay is measured
_WINDOW_SECONDS = 0.006  # that a window of 40 ms takes from one to the other where a pulse stops at once
_SHORTEST_SECONDS, _SHORTEST_GAP_SECONDS = 0.045, 0.035


def pulses_of(drawn: NDArray[np.float64]) -> tuple[Pulse, ...]:
    """The pulses of one cycle (P,) of levels, 1 being the usual one, every ``HOP_SECONDS``; the longest gap comes last.

    Onsets may lie beyond the end of the cycle.
    """
    origin = int(drawn.argmin())
    turned = np.roll(drawn, -origin)
    best, pulses = -np.inf, []
    for apart in _APART:
        tried = _clear(
            [(_onset(turned, *part, apart), _offset(turned, *part, apart)) for part in _parts(turned, apart)]
        )
        worth = _likeness(turned, tried) - _EACH_COSTS * len(tried)
        if tried and worth > best:
            best, pulses = worth, tried
    if not pulses:
        return ()
    n = len(drawn)
    ends = [pulses[-1][1] - n] + [end for _, end in pulses[:-1]]
    gaps = [begin - end for (begin, _), end in zip(pulses, ends, strict=True)]
    first = int(np.argmax(gaps))
    ordered = pulses[first:] + [(begin + n, end + n) for begin, end in pulses[:first]]
    return tuple(Pulse((origin + begin) * HOP_SECONDS, (end - begin) * HOP_SECONDS) for begin, end in ordered)


def _clear(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Joined where there is hardly a gap, and without what is too short for a pulse."""
    joined: list[tuple[float, float]] = []
    for begin, end in spans:
        if joined and (begin - joined[-1][1]) * HOP_SECONDS < _SHORTEST_GAP_SECONDS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return [(begin, end) for begin, end in joined if (end - begin) * HOP_SECONDS >= _SHORTEST_SECONDS]


def _likeness(turned: NDArray[np.float64], spans: list[tuple[float, float]]) -> float:
    """Correlation of a cycle with pulses of equal level."""
    at = np.arange(len(turned))
    sounds = np.any([(at >= begin - 0.5) & (at < end - 0.5) for begin, end in spans], axis=0) if spans else at < 0
    if sounds.all() or not sounds.any() or turned.std() < 1e-9:
        return -1.0
    return float(np.corrcoef(turned, sounds)[0, 1])


def _parts(turned: NDArray[np.float64], apart: float) -> list[tuple[int, int, int]]:
    """(valley before, top, valley after) of each pulse, in frames; the cycle begins where it is lowest."""
    parts: list[tuple[int, int, int]] = []
    valley, top, sounds = 0, 0, False
    for k, value in enumerate(np.append(turned, turned[0])):
        if sounds and value > _at(turned, top):
            top = k
        elif sounds and value <= _at(turned, top) - apart:
            parts.append((valley, top, k))
            valley, sounds = k, False
        elif not sounds and value <= _at(turned, valley):
            valley = k
            if parts:
                parts[-1] = (*parts[-1][:2], k)
        elif not sounds and value >= max(_at(turned, valley) + apart, _LOUD):
            top, sounds = k, True
    return parts


def _at(turned: NDArray[np.float64], k: int) -> float:
    return float(turned[k % len(turned)])


def _onset(turned: NDArray[np.float64], before: int, top: int, after: int, apart: float) -> float:
    """Where the level is half the pulse's, or half the way up to it from a valley that is not deep."""
    plateau = _plateau(turned, before, top, after, apart)
    low = _at(turned, before)
    level = (plateau + (low if low > plateau / 4 else 0.0)) / 2
    for k in range(before, top + 1):
        if _at(turned, k) >= level:
            below = _at(turned, k - 1)
            return k - (_at(turned, k) - level) / max(_at(turned, k) - below, 1e-9) if k > before else float(k)
    return float(top)


def _offset(turned: NDArray[np.float64], before: int, top: int, after: int, apart: float) -> float:
    """Where the pulse stops: a room's level falls by as many dB each moment, and is followed back to the pulse's."""
    plateau = _plateau(turned, before, top, after, apart)
    depth = min(40.0, 20 * float(np.log10(plateau / max(_at(turned, after), 1e-6))))
    near, far = min(_NEAR_DB, 0.35 * depth), min(_FAR_DB, 0.7 * depth)
    level, lower = (plateau * 10 ** (-decibels / 20) for decibels in (near, far))
    last = max(k for k in range(before, after + 1) if _at(turned, k) >= level or k == top)
    one, two = _falls(turned, last, after, level), _falls(turned, last, after, lower)
    room = max(0.0, two - one - _WINDOW_SECONDS / HOP_SECONDS)
    edge = one + 0.5 * _WINDOW_SECONDS / HOP_SECONDS
    return max(edge - room * near / max(far - near, 1e-9), float(before) + 1)


def _falls(turned: NDArray[np.float64], first: int, after: int, level: float) -> float:
    """Where the level falls below another one, in frames."""
    for k in range(first, after + 1):
        if _at(turned, k) < level:
            above = _at(turned, k - 1)
            return k - (level - _at(turned, k)) / max(above - _at(turned, k), 1e-9)
    return float(after)


def _plateau(turned: NDArray[np.float64], before: int, top: int, after: int, apart: float) -> float:
    """The usual level of a pulse."""
    values = np.array([_at(turned, k) for k in range(before, after + 1)])
    loud = values[values >= _at(turned, top) - apart]
    return float(np.median(loud))
