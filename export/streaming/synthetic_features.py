"""Synthetic features at the level of given ones, to compare networks where they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_MIN_DEVIATION = 1e-6  # of a feature over the example


def synthetic_features(example: Array, batch: int, frames: int, rng: np.random.Generator) -> Array:
    """Random features at the level of an example.

    Every frame is a mixture of two of the example's, so each feature stays within the range it really has (a
    logarithm in the network never meets a negative energy). An example that hardly varies is replaced by noise
    around it: with constant input many faults do not show.

    Args:
        example: (N, T, F).

    Returns:
        (batch, frames, F) float32.
    """
    rows = example.reshape(-1, example.shape[-1])
    if rows.std(axis=0).max() < _MIN_DEVIATION:
        return np.asarray(rows.mean(axis=0) + rng.standard_normal((batch, frames, rows.shape[1])), np.float32)
    first, second = rng.integers(0, len(rows), (2, batch, frames))
    share = rng.uniform(size=(batch, frames, 1))
    return np.asarray(share * rows[first] + (1 - share) * rows[second], np.float32)
