"""Spectrum: what only a look at frequencies tells, hum of the mains and a band that ends too early."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAINS_HZ = (50, 60)
HARMONICS = 8
PROMINENT = 20.0  # a line above its surroundings, in power: 13 dB
LINE_HZ, SURROUNDINGS_HZ = 1, (5, 20)  # on each side of a line
HUM_DBFS, HUM_SHARE = -65.0, 0.3  # of what is heard while nothing else is
# Where the band of older rates ends, Hz; the last is that of telephones and of most headsets while they record.
BAND_ENDS_HZ = (11025.0, 8000.0, 5512.5, 4000.0)
CLIFF_DB = 25.0  # no sound of its own falls so steeply, only a filter
AUDIBLE_DB = -115.0  # of a band of 1 Hz below full scale; what is fainter ends in the noise of 16 bits
_FLOOR = 1e-15


def spectra(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Power in bands of 1 Hz, second by second.

    Args:
        samples: (n,) float32.
        sample_rate: Hz.

    Returns:
        (n // sample_rate, sample_rate // 2 + 1) float64; a row adds up to the power of its second, without its mean.
    """
    seconds = len(samples) // sample_rate
    frames = samples[: seconds * sample_rate].reshape(seconds, sample_rate).astype(np.float64)
    frames = frames - frames.mean(axis=1, keepdims=True)
    window = np.hanning(sample_rate)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    power[:, 1:-1] *= 2
    scaled: NDArray[np.float64] = power / (sample_rate * np.square(window).sum())
    return scaled


def mains_hum(power: NDArray[np.float64]) -> tuple[int, float] | None:
    """Frequency of the mains, Hz, and level of its hum, dBFS; None where there is none to speak of.

    Hum is steady, so it is looked for where nothing else is heard: in the quietest third of the seconds.

    Args:
        power: (seconds, bands) as `spectra` gives it.
    """
    if not len(power):
        return None
    quiet = power[np.argsort(power.sum(axis=1))[: max(1, len(power) // 3)]]
    found: tuple[int, float] | None = None
    for mains in MAINS_HZ:
        lines = []
        for harmonic in range(1, HARMONICS + 1):
            at = mains * harmonic
            near, far = SURROUNDINGS_HZ
            if at + far >= quiet.shape[1]:
                break
            around = np.concatenate([quiet[:, at - far : at - near], quiet[:, at + near : at + far]], axis=1)
            line = quiet[:, at - LINE_HZ : at + LINE_HZ + 1].sum(axis=1)
            if np.all(line > PROMINENT * (np.median(around, axis=1) + _FLOOR)):
                lines.append((harmonic, float(line.mean())))
        hum = sum(line for _, line in lines)
        level = 10 * np.log10(hum + _FLOOR)
        steady = len(lines) >= 2 and lines[0][0] <= 2  # one line alone may be anything
        loud = level > HUM_DBFS and hum > HUM_SHARE * quiet.sum(axis=1).mean()
        if steady and loud and (found is None or level > found[1]):
            found = mains, float(level)
    return found


def band_end(power: NDArray[np.float64]) -> float | None:
    """Where the sound ends as if cut off, Hz, one of `BAND_ENDS_HZ`; None where it does not.

    Args:
        power: (seconds, bands) as `spectra` gives it.
    """
    if not len(power):
        return None
    loud = power[np.argsort(power.sum(axis=1))[len(power) // 2 :]]
    level = 10 * np.log10(loud.mean(axis=0) + _FLOOR)
    found = None
    for end in BAND_ENDS_HZ:
        if 1.4 * end > len(level):
            continue
        below = float(np.median(level[round(0.7 * end) : round(0.9 * end)]))
        above = level[round(1.15 * end) :]
        if below > AUDIBLE_DB and below - float(np.percentile(above, 95)) > CLIFF_DB:
            found = end
    return found
