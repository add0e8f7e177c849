"""Changes to waveforms: room, noise, pitch, tempo, shift, bandwidth. Computed once for each variant and cached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.augmentation.settings import AugmentConfig

Samples = NDArray[np.float32]
Noise = Callable[[np.random.Generator, int], Samples]
"""(generator, n) -> (n,) float32 of background sound."""


@dataclass(frozen=True, slots=True)
class WaveformAugmentation:
    """Variant ``variant`` of every recording; a ``Change`` for ``build_store``."""

    augment: AugmentConfig
    variant: int
    sample_rate: int
    noise: Noise | None = None

    def __call__(self, samples: Samples, number: int) -> tuple[Samples, float, float]:
        """Changed samples, and scale and offset: what sounds at t was at t * scale + offset seconds."""
        a, rate = self.augment, self.sample_rate
        rng = np.random.default_rng((a.seed, self.variant, number))
        scale, offset = 1.0, 0.0
        if a.tempo or a.pitch:
            speed = 1.0 + rng.uniform(-a.tempo, a.tempo)
            samples = change_speed(samples, rate, speed, rng.uniform(-a.pitch, a.pitch))
            scale = speed
        if a.shift:
            moved = round(rng.uniform(-a.shift, a.shift) * rate)
            samples = shift(samples, moved, rng)
            offset = -moved / rate * scale
        if rng.random() < a.room:
            samples = add_room(samples, rate, rng.uniform(*a.rt60), rng)
        if self.noise is not None and rng.random() < a.noise:
            samples = add_noise(samples, self.noise(rng, len(samples)), rng.uniform(*a.snr))
        if rng.random() < a.narrow:
            samples = low_pass(samples, rate, rng.uniform(rate / 4, rate / 2))
        return np.clip(samples, -1.0, 1.0).astype(np.float32), scale, offset


def change_speed(samples: Samples, rate: int, speed: float, semitones: float) -> Samples:
    """Time stretch and pitch shift by librosa's phase vocoder; ``speed`` 2 is half as long."""
    import librosa

    window = 1 << round(np.log2(0.064 * rate))  # longer ones smear consonants
    n_fft = min(window, 1 << (len(samples).bit_length() - 2))  # librosa warns when it outgrows the sound
    if speed != 1.0:
        samples = librosa.effects.time_stretch(samples, rate=speed, n_fft=n_fft)
    if semitones:
        samples = librosa.effects.pitch_shift(samples, sr=rate, n_steps=semitones, n_fft=n_fft)
    out: Samples = samples.astype(np.float32)
    return out


def shift(samples: Samples, by: int, rng: np.random.Generator) -> Samples:
    """The sound ``by`` samples later (earlier if negative), same length; the gap holds faint white noise."""
    by = int(np.clip(by, -len(samples), len(samples)))
    floor = rng.normal(0, 1e-4, abs(by)).astype(np.float32)
    return np.concatenate((floor, samples[: len(samples) - by]) if by >= 0 else (samples[-by:], floor))


def add_noise(samples: Samples, noise: Samples, snr: float) -> Samples:
    """``samples`` with ``noise`` (same length) scaled to ``snr`` dB below them; silence is left alone."""
    power, disturbance = float(np.mean(samples**2)), float(np.mean(noise**2))
    if power <= 1e-12 or disturbance <= 1e-12:
        return samples
    out: Samples = samples + noise * np.float32(np.sqrt(power / disturbance / 10 ** (snr / 10)))
    return out


def add_room(samples: Samples, rate: int, rt60: float, rng: np.random.Generator) -> Samples:
    """Convolution with an exponentially decaying noise tail (60 dB in ``rt60`` s) after the direct sound.

    Level and length stay as they were.
    """
    n = max(2, round(rt60 * rate))
    tail = rng.normal(0, 1, n) * np.exp(-6.9078 * np.arange(n) / n)
    tail *= rng.uniform(0.2, 1.0) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    size = 1 << (len(samples) + n - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    level = np.sqrt(np.mean(samples**2) / max(float(np.mean(wet**2)), 1e-12))
    out: Samples = (wet * level).astype(np.float32)
    return out


def low_pass(samples: Samples, rate: int, cutoff: float) -> Samples:
    """Nothing above ``cutoff`` Hz, as from a telephone or an old recording."""
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(len(samples), 1 / rate) > cutoff] = 0
    out: Samples = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
    return out
