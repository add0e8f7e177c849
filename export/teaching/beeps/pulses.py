"""Pulses: where a line sounds in one cycle, although a room sounds on after each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.teaching.beeps.line_spectrum import HOP_SECONDS
from export.teaching.beeps.pattern import Pulse

_APART = (
    0.25,
    0.4,
    0.55,
)  # of the usual level, by which it falls between two pulses, and rises again: the best of
_EACH_COSTS = 0.015  # correlation that another pulse must be worth
_LOUD = 0.5  # of the usual level: less is no pulse
_REACH = 4  # frames on each side of an edge
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
            [(_onset(turned, *part, apart), _offset(turned, *part)) for part in _parts(turned, apart)]
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
    sounds = (
        np.any([(at >= begin - 0.5) & (at < end - 0.5) for begin, end in spans], axis=0) if spans else at < 0
    )
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
            return (
                k - (_at(turned, k) - level) / max(_at(turned, k) - below, 1e-9) if k > before else float(k)
            )
    return float(top)


def _offset(turned: NDArray[np.float64], before: int, top: int, after: int) -> float:
    """Where the level falls most within some frames: a room sounds on, and may even come near to the pulse again."""
    values = np.array([_at(turned, k) for k in range(before - _REACH + 2, after + _REACH + 1)])
    means = np.convolve(values, np.full(_REACH, 1 / _REACH), "valid")  # of the frames from each on
    falls = means[:-_REACH] - means[_REACH:]
    k = int(falls.argmax())
    edge = _crossing(turned, before + 2 + k, float(means[k] + means[k + _REACH]) / 2)
    return max(edge, before + 1.0)


def _crossing(turned: NDArray[np.float64], k: int, level: float) -> float:
    """Where the level is crossed downwards nearest to a frame, or the frame."""
    found = [
        j + (_at(turned, j) - level) / max(_at(turned, j) - _at(turned, j + 1), 1e-9)
        for j in range(k - _REACH, k + _REACH)
        if _at(turned, j) >= level > _at(turned, j + 1)
    ]
    return min(found, key=lambda at: abs(at - (k - 0.5))) if found else float(k)


def _plateau(turned: NDArray[np.float64], before: int, top: int, after: int, apart: float) -> float:
    """The usual level of a pulse."""
    values = np.array([_at(turned, k) for k in range(before, after + 1)])
    loud = values[values >= _at(turned, top) - apart]
    return float(np.median(loud))
