"""Changes that only log-mel energies show: drawn anew at each use, then on to the features a network hears.

Few recordings need endless variety, and computing features of changed sounds anew each time would cost more
than the training. Log-mel energies are the middle ground: other vocal tracts, noise and a second sound can be
put into them in microseconds, and one small matrix makes cepstra of them.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.augmentation.features import FeatureAugmentation
from export.augmentation.settings import AugmentConfig
from stream.features.deltas import CausalDelta
from stream.features.spec import MfccSpec
from stream.features.tables import dct_matrix

Mel = NDArray[np.float32]
"""(T, n_mels) float32, dB."""
RIPPLE = 6.0  # shape of the gamma distribution that noise power in a band follows from frame to frame


def mel_spec(spec: MfccSpec) -> MfccSpec:
    """The same frames as log-mel energies."""
    return msgspec.structs.replace(spec, n_mfcc=None, deltas=0)


class MelAugmentation(FeatureAugmentation):
    """Feature changes on log-mel energies, given on as the features of ``target``: its ``mel_spec`` in, it out."""

    def __init__(self, augment: AugmentConfig, target: MfccSpec) -> None:
        super().__init__(augment, mel_spec(target))
        self.target = target
        self.floor = np.float32(10 * np.log10(target.log_floor))
        self.cepstra = (
            None
            if target.n_mfcc is None
            else dct_matrix(target.n_mfcc, target.n_mels, target.dct_norm).T.astype(np.float32)
        )

    def __call__(
        self, features: Mel, rng: np.random.Generator, other: Mel | None = None
    ) -> NDArray[np.float32]:
        """A changed copy (T, target.width); ``other``: what may be put beneath, at least one frame."""
        a = self.augment
        mel = warped(features, np.exp(rng.uniform(-a.warp, a.warp))) if a.warp else features
        if other is not None and rng.random() < a.under:
            start = int(rng.integers(len(other)))
            beneath = np.resize(np.roll(other, -start, axis=0), mel.shape)
            mel = sum_of(mel, beneath, rng.uniform(*a.snr))
        if a.thin and rng.random() < a.thin:
            mel = mel - self.fall(rng)
        if a.hiss and rng.random() < a.hiss:
            mel = sum_of(mel, self.noise(len(mel), rng), rng.uniform(*a.snr))
        return self.finish(np.maximum(super().__call__(mel, rng), self.floor))

    def times(self, frames: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Where in a recording of ``frames`` each frame of it at another speed lies; frame numbers, not whole."""
        speed = np.exp(rng.uniform(-self.augment.stretch, self.augment.stretch))
        return np.minimum(np.arange(max(1, round(frames / speed))) * speed, frames - 1).astype(np.float32)

    def fall(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """(n_mels,) dB that a high-pass filter takes: 1 to 5 dB a band below a random edge."""
        below = np.maximum(rng.uniform(0, self.base / 5) - np.arange(self.base), 0)
        return (below * rng.uniform(1, 5)).astype(np.float32)

    def noise(self, frames: int, rng: np.random.Generator) -> Mel:
        """(frames, n_mels) stationary noise whose spectrum is smooth and random."""
        colour = rng.normal(0, 5, len(self.bands)) @ self.bands
        power = rng.gamma(RIPPLE, 1 / RIPPLE, (frames, self.base))
        return (colour + 10 * np.log10(power + 1e-6)).astype(np.float32)

    def finish(self, mel: Mel) -> NDArray[np.float32]:
        """(T, target.width): what the front end would have given."""
        static = mel if self.cepstra is None else mel @ self.cepstra
        parts = [static]
        for _ in range(self.target.deltas):
            parts.append(CausalDelta(self.target.delta_width, static.shape[1]).push(parts[-1]))
        return np.concatenate(parts, axis=1)


def at_times(mel: Mel, times: NDArray[np.float32]) -> Mel:
    """(len(times), n_mels): energies between the frames of ``mel``, linearly in dB."""
    low = np.minimum(times.astype(int), max(len(mel) - 2, 0))
    share = (times - low)[:, None]
    out: Mel = mel[low] * (1 - share) + mel[np.minimum(low + 1, len(mel) - 1)] * share
    return out


def warped(mel: Mel, factor: float) -> Mel:
    """The spectrum with band k where band k * factor was, as a longer (above 1) or shorter vocal tract gives it."""
    last = mel.shape[1] - 1
    at = np.minimum(np.arange(last + 1) * factor, last)
    low = np.minimum(at.astype(int), last - 1)
    share = (at - low).astype(np.float32)
    out: Mel = mel[:, low] * (1 - share) + mel[:, low + 1] * share
    return out


def sum_of(mel: Mel, other: Mel, snr: float) -> Mel:
    """Two sounds at a time, ``other`` (same shape) with its mean power ``snr`` dB below that of ``mel``."""
    power, beneath = 10 ** (mel / 10), 10 ** (other / 10)
    share = power.mean() / max(float(beneath.mean()), 1e-30) * 10 ** (-snr / 10)
    out: Mel = (10 * np.log10(np.maximum(power + beneath * np.float32(share), 1e-37))).astype(np.float32)
    return out
