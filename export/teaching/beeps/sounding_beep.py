"""The measured beep made anew, as it would sound elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.scenes.cadence import Pulses
from export.scenes.sounder import Sounder, envelope
from export.teaching.beeps.pattern import Beep

Array = NDArray[np.float32]
_EDGE_SECONDS = 0.004


def sounded_beep(
    beep: Beep, seconds: float, sample_rate: int, rng: np.random.Generator | None = None, *, pitch: float = 1.0,
    tempo: float = 1.0,
) -> tuple[Array, Pulses]:  # fmt: skip
    """(n,) float32 of so many seconds with an RMS of about 1 while it sounds; and when it does.

    Args:
        beep: what was measured.
        seconds: how long.
        sample_rate: Hz.
        rng: jitters its edges and draws its phases; None = exact.
        pitch, tempo: how many times as high, and as slow.
    """
    n = round(seconds * sample_rate)
    pulses = beep.pulse_times(seconds, rng, tempo=tempo)
    time = np.arange(n) / sample_rate
    tone, power = np.zeros(n), 0.0
    for line in beep.lines:
        if line.hertz * pitch < 0.48 * sample_rate:
            gain = 10 ** (line.decibels / 20)
            phase = 0.0 if rng is None else rng.uniform(0, 2 * np.pi)
            tone += gain * np.sin(2 * np.pi * line.hertz * pitch * time + phase)
            power += gain**2 / 2
    gate = envelope(Sounder(beep.hertz, ((1, 1.0),), _EDGE_SECONDS, _EDGE_SECONDS), pulses, n, sample_rate)
    return (tone * gate / np.sqrt(max(power, 1e-9))).astype(np.float32), pulses
