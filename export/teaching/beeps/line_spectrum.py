"""The spectrum of a recording over time, and how far each line of it stands out from what is beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
RATE = 16_000
HOP_SECONDS = 0.01
_WINDOW, _FFT, _HOP = 640, 1024, 160  # samples: 40 ms of sound every 10 ms
LOWEST_HERTZ, HIGHEST_HERTZ = 330.0, 7600.0
_BESIDE = (6, 20)  # bins on each side: near enough to be alike, too far for the window to leak
_FLOOR = 1e-10
_STEP = 4096  # frames that are transformed at once


@dataclass(frozen=True, eq=False, slots=True)
class Spectrum:
    """Levels of a recording.

    Attributes:
        decibels: (T, K) float32, of each frame and frequency.
        above: (T, K) float32, dB above the mean level of what is beside it.
        hertz: (K,) of the frequencies.
        seconds: (T,) the middle of each frame.
    """

    decibels: Array
    above: Array
    hertz: NDArray[np.float64]
    seconds: NDArray[np.float64]

    @classmethod
    def of(cls, samples: Array) -> Spectrum:
        """Of (n,) samples at 16 kHz; shorter than a window = no frame."""
        count = max(0, (len(samples) - _WINDOW) // _HOP + 1)
        window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
        bins = np.arange(_FFT // 2 + 1) * RATE / _FFT
        first, last = np.searchsorted(bins, (LOWEST_HERTZ, HIGHEST_HERTZ))
        low, high = int(first) - _BESIDE[1], int(last) + _BESIDE[1]
        frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP] if count else None
        decibels = np.empty((count, high - low), np.float32)
        for at in range(0, count, _STEP):
            assert frames is not None
            power = np.abs(np.fft.rfft(frames[at : at + _STEP] * window, _FFT)[:, low:high]) ** 2
            decibels[at : at + _STEP] = 10 * np.log10(np.maximum(power, _FLOOR))
        sums = np.cumsum(
            np.pad(decibels, ((0, 0), (1, 0))), axis=1, dtype=np.float64
        )  # of so many first bins
        near, far = _BESIDE
        inside = np.arange(far, decibels.shape[1] - far)
        beside = sums[:, inside - near + 1] - sums[:, inside - far]
        beside += sums[:, inside + far + 1] - sums[:, inside + near]
        middle = decibels[:, far:-far]
        above = (middle - beside / (2 * (far - near + 1))).astype(np.float32)
        seconds = (np.arange(count) * _HOP + _WINDOW / 2) / RATE
        return cls(np.ascontiguousarray(middle), above, bins[low + far : high - far], seconds)
