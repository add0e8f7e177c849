"""Another channel for whole streams: level, spectral colour and bandwidth, one draw for each stream.

It works on mel energies in dB; MFCC with all coefficients are turned back into them. The whole mixture is changed,
so its labels stay true, and neither level nor bandwidth tells what is heard: most recordings at 8 kHz are of
speech, and a network that may will take a narrow band for a voice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.errors import SpecError
from stream.features.spec import MfccSpec
from stream.features.tables import dct_matrix, hz_to_mel, mel_to_hz

Array = NDArray[np.float32]

COLOUR_POINTS = 6  # over the bands, between which the colour is interpolated
FLUTTER_DB = 2.0  # standard deviation over time of what is left outside the passband


@dataclass(frozen=True, eq=False)
class ChannelParameters:
    """The channel of each of N streams.

    Attributes:
        gain_db: (N, 1, n_mels) float32, added.
        passband: (N, 1, n_mels) bool, bands that the channel lets through.
        floor_db: (N, 1, 1) float32, what is left in the other bands.
    """

    gain_db: Array
    passband: NDArray[np.bool_]
    floor_db: Array


class ChannelAugmentation:
    """Draws channels and applies them to features.

    Args:
        spec: log-mel, or MFCC with as many coefficients as bands; no deltas.
        gain_db: standard deviation of the level and of the smooth colour.
        narrow: share of streams that pass a narrow channel.

    Raises:
        SpecError: the features cannot be turned back into mel energies.
    """

    def __init__(self, spec: MfccSpec, gain_db: float, narrow: float) -> None:
        if spec.deltas or spec.n_mfcc not in (None, spec.n_mels):
            raise SpecError(
                f"n_mfcc {spec.n_mfcc}, deltas {spec.deltas}: channel augmentation needs log-mel energies, or all "
                f"{spec.n_mels} coefficients, and no deltas"
            )
        self.gain_db, self.narrow, self.bands = gain_db, narrow, spec.n_mels
        self.silence_db = 10 * np.log10(spec.log_floor) + 2
        edges = hz_to_mel(np.array([spec.f_min, spec.high]), spec.mel_scale)
        self.hertz = mel_to_hz(np.linspace(edges[0], edges[1], spec.n_mels + 2)[1:-1], spec.mel_scale)
        self.to_cepstra: Array | None = None
        if spec.n_mfcc is not None:
            self.to_cepstra = dct_matrix(spec.n_mels, spec.n_mels, spec.dct_norm).astype(np.float32)
            self.to_mel = np.linalg.inv(self.to_cepstra.astype(np.float64)).astype(np.float32)

    def draw(self, streams: int, rng: np.random.Generator) -> ChannelParameters:
        """A channel for each of so many streams."""
        points = rng.normal(0, self.gain_db, (streams, COLOUR_POINTS))
        at = np.linspace(0, COLOUR_POINTS - 1, self.bands)
        colour = np.stack([np.interp(at, np.arange(COLOUR_POINTS), row) for row in points])
        colour += rng.normal(0, self.gain_db, (streams, 1))
        narrow = rng.random((streams, 1)) < self.narrow
        top = np.where(rng.random((streams, 1)) < 0.6, rng.uniform(3300, 4200, (streams, 1)),
                       np.exp(rng.uniform(np.log(2500), np.log(7500), (streams, 1))))  # fmt: skip
        bottom = np.where(rng.random((streams, 1)) < 0.4, rng.uniform(100, 350, (streams, 1)), 0.0)
        passband = ~narrow | ((self.hertz < top) & (self.hertz > bottom))
        floor = rng.uniform(-97, -55, (streams, 1, 1))
        return ChannelParameters(
            colour[:, None].astype(np.float32), passband[:, None], floor.astype(np.float32)
        )

    def apply(self, parameters: ChannelParameters, features: Array, rng: np.random.Generator) -> Array:
        """(N, T, F) float32 features through their channels; digital silence stays what it is."""
        mel = features if self.to_cepstra is None else features @ self.to_mel.T
        silent = mel.max(axis=-1, keepdims=True) < self.silence_db
        flutter = rng.standard_normal((*mel.shape[:2], 1), dtype=np.float32) * np.float32(FLUTTER_DB)
        changed = np.where(parameters.passband, mel + parameters.gain_db, parameters.floor_db + flutter)
        out: Array = np.where(silent, mel, changed)
        return out if self.to_cepstra is None else out @ self.to_cepstra.T
