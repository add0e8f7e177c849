"""How loud a sound is while it sounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK_SECONDS = 0.02
_FEW = 0.01  # of the loudest block: what is nearly always silent is as loud as its rare moments


def active_rms(samples: NDArray[np.float32], sample_rate: int, range_db: float = 30.0) -> float:
    """RMS of the blocks of 20 ms that are less than ``range_db`` below the loud ones; 0 for silence."""
    block = round(_BLOCK_SECONDS * sample_rate)
    whole = len(samples) // block * block
    if not whole:
        return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
    power = np.mean(np.square(samples[:whole].reshape(-1, block), dtype=np.float64), axis=1)
    loud = max(float(np.percentile(power, 95)), _FEW * float(power.max()))
    active = power[power >= loud * 10 ** (-range_db / 10)]
    return float(np.sqrt(active.mean())) if loud > 0 else 0.0
