"""The same sound in other places: what a few examples would be like when they are heard again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from export.scenes.negatives import Kind, Negatives

Array = NDArray[np.float32]
LEVEL_DBFS = (-45.0, -8.0)
SNR_DB = (3.0, 35.0)
RT60_SECONDS = (0.1, 0.7)
ROOM_SHARE, NOISE_SHARE = 0.5, 0.6
TILT_DB = 2.1  # of each slow cosine over the frequencies
SPEED = 0.06  # 0.94 to 1.06 times as fast and as high
LEAD_SECONDS, TAIL_SECONDS = 0.5, 0.5
_POINTS = 256  # of the filter's curve
_UNDER: tuple[Kind, ...] = ("noise", "noise", "noise", "music", "speech")


@dataclass(frozen=True, eq=False, slots=True)
class Heard:
    """A sound as a microphone may hear it.

    Attributes:
        samples: (n,) float32.
        begin, end: samples in which the sound is there, without the room's tail.
    """

    samples: Array
    begin: int
    end: int


def heard_again(
    sound: Array,
    sample_rate: int,
    other: Negatives,
    rng: np.random.Generator,
    *,
    level: tuple[float, float] = LEVEL_DBFS,
    snr: tuple[float, float] = SNR_DB,
    lead: float = LEAD_SECONDS,
    tail: float = TAIL_SECONDS,
) -> Heard:
    """``sound`` (n,) at another level and distance, a little faster or slower, mostly with something under it.

    Args:
        sound: what sounds.
        sample_rate: Hz.
        other: draws what is under it.
        rng: decides everything.
        level: (lowest, highest) level of the sound, dBFS.
        snr: (least, most) that it is above what is under it, dB.
        lead, tail: seconds before it, and after it at least.
    """
    sound = at_speed(sound, sample_rate, float(np.exp(rng.uniform(-SPEED, SPEED))))
    wet = in_place(sound, sample_rate, rng)
    n = len(sound)
    wet = wet * np.float32(10 ** (rng.uniform(*level) / 20) / max(_rms(wet[:n]), 1e-7))
    begin = round(lead * sample_rate)
    length = begin + max(len(wet), n + round(tail * sample_rate))
    out = np.array(other.draw("silence", rng, length), np.float32)
    power = float(np.mean(wet[:n] ** 2))
    if rng.random() < NOISE_SHARE:
        under = other.draw(_UNDER[int(rng.integers(len(_UNDER)))], rng, length)
        loudness = float(np.mean(under**2))
        if loudness > 1e-14:
            out += under * np.float32(np.sqrt(power / loudness / 10 ** (rng.uniform(*snr) / 10)))
    floor = float(np.mean(out**2))
    if floor > power / 2:  # the microphone's own noise would drown it
        out *= np.float32(np.sqrt(power / 10 / floor))
    out[begin : begin + len(wet)] += wet
    return Heard(np.clip(out, -1, 1), begin, begin + n)


def at_speed(sound: Array, sample_rate: int, factor: float) -> Array:
    """``sound`` played ``factor`` times as fast, so that it is higher too: other voices, other machines."""
    faster: Array = soxr.resample(sound, sample_rate * factor, sample_rate, quality="LQ").astype(np.float32)
    return faster


def in_place(sound: Array, sample_rate: int, rng: np.random.Generator) -> Array:
    """(n,) through a smooth random filter, and (n + m - 1,) in a room, if it is drawn; faded in and out."""
    response = _room(sample_rate, rng) if rng.random() < ROOM_SHARE else np.ones(1, np.float32)
    length = len(sound) + len(response) - 1
    size = _fast(length + 64)
    spectrum = np.fft.rfft(sound, size) * np.fft.rfft(response, size)
    curve = np.sqrt(
        np.linspace(0, 1, _POINTS)
    )  # slow cosines over a warped axis, as loudspeakers colour a sound
    decibels = rng.normal(0, TILT_DB, 4) @ np.cos(np.pi * np.arange(1, 5)[:, None] * curve)
    gains = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, _POINTS), 10 ** (decibels / 20))
    out: Array = np.fft.irfft(spectrum * gains, size)[:length].astype(np.float32)
    fade = min(len(out) // 2, sample_rate // 200)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        out[:fade] *= ramp
        out[-fade:] *= ramp[::-1]
    return out


def _room(sample_rate: int, rng: np.random.Generator) -> Array:
    """The direct sound, and a tail that falls by 60 dB in the reverberation time."""
    n = max(2, round(rng.uniform(*RT60_SECONDS) * sample_rate))
    tail = rng.normal(0, 1, n) * np.exp(-6.9078 * np.arange(n) / n)
    tail[: round(rng.uniform(0.002, 0.02) * sample_rate)] = 0
    tail *= 10 ** (rng.uniform(-14, 3) / 20) / max(float(np.sqrt(np.sum(tail**2))), 1e-9)
    tail[0] = 1.0
    return np.asarray(tail / np.sqrt(np.sum(tail**2)), np.float32)


def _fast(n: int) -> int:
    """A length of ``n`` or more that a Fourier transform is quick at: 2, 3, 4, 5 or 6 times a power of two."""
    power = 1 << max(0, n.bit_length() - 3)
    return next(power * k for k in (2, 3, 4, 5, 6, 8, 16) if power * k >= n)


def _rms(samples: Array) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
