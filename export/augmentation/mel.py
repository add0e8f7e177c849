"""Augmentation of log-mel energies, drawn anew at each use; then converted to the features of the network.

A small data set needs endless variety, and computing the features of augmented sound each time would cost more
than the training. Log-mel energies are the middle ground: other vocal tracts, noise and a second sound can be
simulated in them in microseconds, and one small matrix turns them into cepstra.
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
NOISE_GAMMA_SHAPE = 6.0  # noise power in a band varies from frame to frame by this gamma distribution


def mel_spec(spec: MfccSpec) -> MfccSpec:
    """The same frames as log-mel energies."""
    return msgspec.structs.replace(spec, n_mfcc=None, deltas=0)


class MelAugmentation(FeatureAugmentation):
    """Augmentation of log-mel energies (features of ``mel_spec(target)``) that returns features of ``target``."""

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
        """Augmented features.

        Args:
            features: (T, n_mels) float32, dB; not changed.
            rng: of every draw.
            other: (T', n_mels) another recording that may be mixed in, at least one frame.

        Returns:
            (T, target.width) float32.
        """
        a = self.augment
        mel = warped(features, np.exp(rng.uniform(-a.warp, a.warp))) if a.warp else features
        if other is not None and rng.random() < a.mix:
            start = int(rng.integers(len(other)))
            second = np.resize(np.roll(other, -start, axis=0), mel.shape)
            mel = mix(mel, second, rng.uniform(*a.snr))
        if a.high_pass and rng.random() < a.high_pass:
            mel = mel - self.attenuation(rng)
        if a.stationary_noise and rng.random() < a.stationary_noise:
            mel = mix(mel, self.noise(len(mel), rng), rng.uniform(*a.snr))
        return self.convert(np.maximum(super().__call__(mel, rng), self.floor))

    def times(self, frames: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """(T',) fractional frame numbers of a recording of ``frames`` frames: its frames at another speed."""
        speed = np.exp(rng.uniform(-self.augment.stretch, self.augment.stretch))
        times = np.minimum(np.arange(max(1, round(frames / speed))) * speed, frames - 1)
        return np.asarray(times, np.float32)

    def attenuation(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """(n_mels,) dB by which a high-pass filter attenuates: 1 to 5 dB a band below a random edge."""
        below = np.maximum(rng.uniform(0, self.base / 5) - np.arange(self.base), 0)
        return np.asarray(below * rng.uniform(1, 5), np.float32)

    def noise(self, frames: int, rng: np.random.Generator) -> Mel:
        """(frames, n_mels) stationary noise whose spectrum is smooth and random."""
        colour = rng.normal(0, 5, len(self.bands)) @ self.bands
        power = rng.gamma(NOISE_GAMMA_SHAPE, 1 / NOISE_GAMMA_SHAPE, (frames, self.base))
        return np.asarray(colour + 10 * np.log10(power + 1e-6), np.float32)

    def convert(self, mel: Mel) -> NDArray[np.float32]:
        """(T, target.width): what the front end would have computed from that sound."""
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
    """The spectrum with band k taken from band k * factor: a longer (above 1) or shorter vocal tract."""
    last = mel.shape[1] - 1
    at = np.minimum(np.arange(last + 1) * factor, last)
    low = np.minimum(at.astype(int), last - 1)
    share = (at - low).astype(np.float32)
    out: Mel = mel[:, low] * (1 - share) + mel[:, low + 1] * share
    return out


def mix(mel: Mel, other: Mel, snr: float) -> Mel:
    """Both sounds at once, ``other`` (same shape) with a mean power ``snr`` dB below that of ``mel``."""
    power, added = 10 ** (mel / 10), 10 ** (other / 10)
    share = power.mean() / max(float(added.mean()), 1e-30) * 10 ** (-snr / 10)
    out: Mel = (10 * np.log10(np.maximum(power + added * np.float32(share), 1e-37))).astype(np.float32)
    return out
