"""Recordings of repeating beeps, made here: any cadence, any sound, near or in a room, over noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Cadence, pulse_times
from export.scenes.sounder import Sounder, sounded

RATE = 16_000
PIEZO = Sounder(3103.0, ((1, 1.0), (2, 0.1)))
LOW_SQUARE = Sounder(520.0, ((1, 1.0), (3, 1 / 3), (5, 1 / 5), (7, 1 / 7)))
TIMER = Cadence(5, 0.12, 0.2, 1.7)
LORRY = Cadence(1, 0.5, 0.45, 0.45)
BEEPS: dict[str, tuple[Cadence, Sounder]] = {
    "smoke": (SMOKE, PIEZO),
    "smoke, low": (SMOKE, LOW_SQUARE),
    "carbon monoxide": (CARBON_MONOXIDE, PIEZO),
    "timer": (TIMER, Sounder(2210.0, ((1, 1.0),))),
    "lorry": (LORRY, Sounder(1250.0, ((1, 1.0), (2, 0.5), (3, 0.3)))),
}


def beeping(
    cadence: Cadence, sounder: Sounder, seconds: float, *, snr: float = 60.0, rt60: float = 0.0, level: float = 0.1,
    lead: float = 1.3, seed: int = 0,
) -> NDArray[np.float32]:  # fmt: skip
    """(n,) float32 at 16 kHz: silence, the beep for so many seconds, silence; white noise ``snr`` dB below a pulse.

    Args:
        cadence, sounder: of the beep.
        seconds: that it sounds.
        snr: dB.
        rt60: seconds of a room in which its sound dies away by 60 dB, 6 dB below what comes directly; 0 = none.
        level: RMS of a pulse.
        lead: seconds of silence before it.
        seed: of edges, room and noise.
    """
    rng = np.random.default_rng(seed)
    sound = sounded(sounder, pulse_times(cadence, seconds, rng), round(seconds * RATE), RATE)
    if rt60:
        tail = rng.normal(0, 1, round(rt60 * RATE)) * np.exp(
            -6.9 * np.arange(round(rt60 * RATE)) / (rt60 * RATE)
        )
        tail *= 0.5 / np.sqrt(np.sum(tail**2))
        tail[0] += 1.0
        sound = np.convolve(sound, tail)[: len(sound)].astype(np.float32)
    whole = np.concatenate([np.zeros(round(lead * RATE), np.float32), sound, np.zeros(RATE, np.float32)])
    return (level * (whole + rng.normal(0, 10 ** (-snr / 20), len(whole)))).astype(np.float32)
