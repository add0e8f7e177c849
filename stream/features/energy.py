"""The energy of a run of samples: one number that also tells whether all of them are numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 8192  # samples; a longer dot product would wake BLAS's threads, which then spin for nothing


def energy(samples: NDArray[np.float32]) -> float:
    """Sum of squares of (n,) float32; NaN or infinite when any sample is, or when it does not fit float32."""
    if len(samples) <= MOST:
        return float(np.vdot(samples, samples))  # which, unlike dot, does not warn of an overflow
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.einsum("i,i->", samples, samples))
