"""What a small count of rare events says about their rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

_NOTHING = 1e-30  # share of all cases


def upper_bound(count: int, hours: float, confidence: float = 0.95) -> float:
    """Events an hour that the true rate stays below with this confidence (exact, of a Poisson count); inf for 0 h.

    None in one hour: at most 3.0 an hour. None in six minutes: at most 30.
    """
    if hours <= 0:
        return math.inf
    return _mean(count, 1 - confidence) / hours


def lower_bound(count: int, hours: float, confidence: float = 0.95) -> float:
    """Events an hour that the true rate is above with this confidence; 0 where none was counted."""
    return _mean(count - 1, confidence) / hours if count and hours > 0 else 0.0


def _mean(count: int, share: float) -> float:
    """The mean at which ``count`` or fewer come in this share of cases."""
    low, high = 0.0, count + 10 + 10 * math.sqrt(count + 1)
    for _ in range(60):
        mean = (low + high) / 2
        if _at_most(count, mean) > share:
            low = mean
        else:
            high = mean
    return high


def _at_most(count: int, mean: float) -> float:
    """Probability of ``count`` events or fewer where ``mean`` are expected."""
    if mean == 0:
        return 1.0
    middle = min(count, int(mean))  # the likeliest of them; from there the others vanish on both sides
    return math.fsum([*_terms(mean, range(middle, -1, -1)), *_terms(mean, range(middle + 1, count + 1))])


def _terms(mean: float, counts: Iterable[int]) -> Iterator[float]:
    """Probabilities of counts, up to those that no longer matter."""
    for k in counts:
        term = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
        yield term
        if term < _NOTHING:
            return
