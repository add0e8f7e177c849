"""Which window of sound each row of a network is about, found out by running it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.errors import ModelError

Array = NDArray[np.float32]
MOST_SAMPLES = 65_536  # of a window: what a card may ask for
LENGTH_SECONDS, HOP_SECONDS = 0.96, 0.48  # where the network takes a stretch of any length as one
SHORTEST_HOP_SECONDS = 0.08  # more rows a second would cost much and say little
CHECKED_ROWS = 3
CLOSE = 1e-3  # of the largest number: the rounding of two ways to the same row


@dataclass(frozen=True, slots=True)
class Windows:
    """Row r is about the samples [r * hop, r * hop + length).

    Attributes:
        length, hop: samples.
    """

    length: int
    hop: int


def find_windows(run: Callable[[Array], Array], fixed: int | None, sample_rate: int) -> Windows:
    """The windows of a network.

    Args:
        run: (n,) -> (R, D), at any n from the length of a window on, or at ``fixed``.
        fixed: samples that it takes; None = any number.
        sample_rate: Hz.

    Raises:
        ModelError: a row is not about a window of its own, or windows are too long.
    """
    if fixed is not None:
        count = len(run(_noise(fixed)))
        if count != 1:
            raise ModelError(f"gives {count} rows of its {fixed} samples; want a network that gives one")
        if fixed > MOST_SAMPLES:
            raise ModelError(f"takes {fixed} samples; want {MOST_SAMPLES} at most")
        return Windows(fixed, max(1, fixed // 2))
    count = len(run(_noise(MOST_SAMPLES)))
    if count == len(run(_noise(2 * MOST_SAMPLES))):
        if count != 1:
            raise ModelError(
                f"gives {count} rows of a stretch of any length; want one, or one for each window"
            )
        return Windows(round(LENGTH_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate))
    first = _first_with_more(run, count, MOST_SAMPLES)
    hop = _first_with_more(run, count + 1, first) - first
    # A last window that is not full is left out, or it is filled up with silence.
    for length in (first - count * hop, first - 1 - (count - 1) * hop):
        if hop <= length <= MOST_SAMPLES and _stands_alone(run, length, hop):
            times = -(-round(SHORTEST_HOP_SECONDS * sample_rate) // hop)
            return Windows(length, min(length, hop * times))
    raise ModelError(
        f"gives a row every {hop} samples that is not about a window of its own, so it cannot be heard as sound "
        "comes; export it for one window of a fixed length"
    )


def _first_with_more(run: Callable[[Array], Array], count: int, begin: int) -> int:
    """The least number of samples, above ``begin``, of which there are more than ``count`` rows."""
    low, high = begin - 1, begin + MOST_SAMPLES
    if len(run(_noise(high))) <= count:
        raise ModelError(f"has windows more than {MOST_SAMPLES} samples apart")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if len(run(_noise(middle))) > count else (middle, high)
    return high


def _stands_alone(run: Callable[[Array], Array], length: int, hop: int) -> bool:
    """Whether the first rows of a stretch are those of its windows alone."""
    sound = _noise(length + CHECKED_ROWS * hop)
    together = run(sound)
    for row in range(CHECKED_ROWS):
        alone = run(sound[row * hop : row * hop + length])
        if len(alone) != 1 or len(together) <= row:
            return False
        if float(np.abs(alone[0] - together[row]).max()) > CLOSE * max(float(np.abs(alone).max()), 1e-6):
            return False
    return True


def _noise(n: int) -> Array:
    """(n,) that swells, so that no window is like another."""
    noise = np.random.default_rng(0).normal(0, 0.05, n)
    return (noise * (1.2 + np.sin(np.arange(n) / 3000))).astype(np.float32)
