"""Cheap variety at training time: another level, another colour, a narrower band for every stream of every epoch.

It works on mel energies in dB; MFCC with all coefficients are turned back into them. What is changed is the
whole mixture, so nothing about the labels changes, and neither level nor bandwidth says what is heard: most
recordings at 8 kHz are of speech, and a network that may will take a narrow band for a voice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.errors import SpecError
from stream.features.spec import MfccSpec
from stream.features.tables import dct_matrix, hz_to_mel, mel_to_hz

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Disguise:
    """What is done to each of N streams.

    Attributes:
        colour: (N, 1, n_mels) dB added.
        kept: (N, 1, n_mels) bool, bands that the narrow channel lets through.
        floor: (N, 1, 1) dB, what is left in the others.
    """

    colour: Array
    kept: NDArray[np.bool_]
    floor: Array


class Shaker:
    """Draws disguises and puts them on features.

    Args:
        spec: log-mel, or MFCC with as many coefficients as bands; no deltas.
        decibels: deviation of the gain and of the smooth colouring.
        narrow: share of streams that pass a narrow channel.

    Raises:
        SpecError: the features cannot be turned back into mel energies.
    """

    def __init__(self, spec: MfccSpec, decibels: float, narrow: float) -> None:
        if spec.deltas or spec.n_mfcc not in (None, spec.n_mels):
            raise SpecError(
                f"n_mfcc {spec.n_mfcc}: shaking needs all {spec.n_mels} coefficients and no deltas"
            )
        self.decibels, self.narrow, self.bands = decibels, narrow, spec.n_mels
        self.dead = 10 * np.log10(spec.log_floor) + 2
        edges = hz_to_mel(np.array([spec.f_min, spec.high]), spec.mel_scale)
        self.hertz = mel_to_hz(np.linspace(edges[0], edges[1], spec.n_mels + 2)[1:-1], spec.mel_scale)
        self.forward: Array | None = None
        if spec.n_mfcc is not None:
            self.forward = dct_matrix(spec.n_mels, spec.n_mels, spec.dct_norm).astype(np.float32)
            self.back = np.linalg.inv(self.forward.astype(np.float64)).astype(np.float32)

    def draw(self, streams: int, rng: np.random.Generator) -> Disguise:
        points = rng.normal(0, self.decibels, (streams, 6))
        place = np.linspace(0, 5, self.bands)
        colour = np.stack([np.interp(place, np.arange(6), row) for row in points])
        colour += rng.normal(0, self.decibels, (streams, 1))
        narrow = rng.random((streams, 1)) < self.narrow
        top = np.where(rng.random((streams, 1)) < 0.6, rng.uniform(3300, 4200, (streams, 1)),
                       np.exp(rng.uniform(np.log(2500), np.log(7500), (streams, 1))))  # fmt: skip
        bottom = np.where(rng.random((streams, 1)) < 0.4, rng.uniform(100, 350, (streams, 1)), 0.0)
        kept = ~narrow | ((self.hertz < top) & (self.hertz > bottom))
        floor = rng.uniform(-97, -55, (streams, 1, 1))
        return Disguise(colour[:, None].astype(np.float32), kept[:, None], floor.astype(np.float32))

    def put_on(self, disguise: Disguise, features: Array, rng: np.random.Generator) -> Array:
        """(N, T, F) features in disguise; digital silence stays what it is."""
        mel = features if self.forward is None else features @ self.back.T
        silent = mel.max(axis=-1, keepdims=True) < self.dead
        flutter = rng.standard_normal((*mel.shape[:2], 1), dtype=np.float32) * 2
        heard = np.where(disguise.kept, mel + disguise.colour, disguise.floor + flutter)
        out = np.where(silent, mel, heard)
        return out if self.forward is None else out @ self.forward.T
