"""Level: how loud it was in the last second."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.messages import RecentSound

LEVEL_SECONDS = 1.0
LOWEST_DBFS = -100.0


def level_dbfs(sound: RecentSound | None) -> float | None:
    """Root mean square of the newest second, dB below full scale; None where no sound is known."""
    import numpy as np

    if sound is None:
        return None
    end = sound.span[1]
    samples, _ = sound.read(end - max(1, round(LEVEL_SECONDS * sound.sample_rate)), end)
    samples = samples[np.isfinite(samples)]
    if not len(samples):
        return None
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return LOWEST_DBFS if power <= 0 else round(max(LOWEST_DBFS, 10 * math.log10(power)), 1)
