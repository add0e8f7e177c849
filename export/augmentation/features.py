"""Changes to features: gain, filter and masks, drawn anew at each use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.augmentation.settings import AugmentConfig
from stream.features.spec import MfccSpec
from stream.features.tables import dct_matrix


class FeatureAugmentation:
    """Gain, filter and masks on features (T, F), drawn anew at each call."""

    def __init__(self, augment: AugmentConfig, spec: MfccSpec) -> None:
        self.augment, self.spec = augment, spec
        self.base = spec.n_mels if spec.n_mfcc is None else spec.n_mfcc
        self.log_mel = spec.n_mfcc is None
        # dB in each mel band -> change of the features; slow cosines over the bands make a smooth filter
        self.bands = np.cos(np.pi * np.outer(np.arange(1, 5), (np.arange(spec.n_mels) + 0.5) / spec.n_mels))
        self.to_features = (
            np.eye(spec.n_mels) if self.log_mel else dct_matrix(self.base, spec.n_mels, spec.dct_norm)
        )

    def offset(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """(base,) float32 to add to every frame's static features."""
        a = self.augment
        decibels = rng.normal(0, a.gain) + rng.normal(0, 0.7 * a.tilt, 4) @ self.bands
        return (self.to_features @ decibels).astype(np.float32)

    def __call__(self, features: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """A changed copy."""
        a = self.augment
        out = np.array(features)
        if a.gain or a.tilt:
            out[:, : self.base] += self.offset(rng)
        if a.time_mask and rng.random() < a.time_mask and len(out) > 2:
            width = int(rng.integers(1, min(a.mask_frames, len(out) // 2) + 1))
            at = int(rng.integers(0, len(out) - width + 1))
            out[at : at + width] = out.mean(0)
        if self.log_mel and a.band_mask and rng.random() < a.band_mask:
            width = int(rng.integers(1, self.base // 5 + 1))
            at = int(rng.integers(0, self.base - width + 1))
            out[:, at : at + width] = out[:, at : at + width].mean()
        return out
