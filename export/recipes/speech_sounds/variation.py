"""The same speech by other people, faster and slower, in other rooms, over noise, through telephones: on mel bands."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

FLOOR = -80.0  # dB
BANDS = 40
TEMPO, TRACT = 0.12, 0.07  # deviations of the logarithm
BEFORE, AFTER = (5, 40), 20  # frames of silence around
LEVEL, TILT, COLOUR = 6.0, 3.0, 5.0  # dB
QUIETER = -3.0  # dB: recordings are stored loud
ROOMS, NOISES, OTHERS, NARROW = 0.4, 0.6, 0.15, 0.5  # shares of the utterances
TAIL, TAIL_LEVEL = 64, 0.12  # of a room: frames, and its power at first
NARROW_BANDS = (23, 28)  # the first that a telephone lacks: 3.0 to 4.3 kHz

Array = NDArray[np.float32]


def other_speaker(features: Array, rng: np.random.Generator) -> Array:
    """(T, F) -> (T', F): another tempo, and a vocal tract of another length (VTLP, Jaitly and Hinton 2013)."""
    frames, bands = features.shape
    count = max(8, round(frames / math.exp(rng.normal(0, TEMPO))))
    at_other = _between(features, np.linspace(0, frames - 1, count))
    places = np.clip(np.arange(bands) * math.exp(rng.normal(0, TRACT)), 0, bands - 1)
    return _between(at_other.T, places).T


def _between(rows: Array, places: NDArray[np.float64]) -> Array:
    """Rows at fractional places, interpolated."""
    below = np.floor(places).astype(int)
    share = (places - below)[:, None].astype(np.float32)
    mixed: Array = rows[below] * (1 - share) + rows[np.minimum(below + 1, len(rows) - 1)] * share
    return mixed


def padded(utterances: list[Array], before: list[int]) -> Tensor:
    """(N, T, F) with silence before and after each; T is a multiple of 4."""
    longest = max(len(x) + b for x, b in zip(utterances, before, strict=True)) + AFTER
    out = np.full((len(utterances), -(-longest // 4) * 4, utterances[0].shape[1]), FLOOR, np.float32)
    for row, x, b in zip(out, utterances, before, strict=True):
        row[b : b + len(x)] = x
    return torch.from_numpy(out)


def other_place(x: Tensor) -> Tensor:
    """(N, T, F) dB -> the same: level, filter, room, noise, other speech beneath, and half of them by telephone."""
    count, frames, bands = x.shape
    waves = torch.from_numpy(np.cos(np.pi * np.arange(1, 5)[:, None] * np.linspace(0, 1, bands))).float()
    x = x + LEVEL * torch.randn(count, 1, 1) + QUIETER + (TILT * torch.randn(count, 4) @ waves)[:, None]
    power = _roomed(10 ** (x / 10))
    colour = 10 ** ((COLOUR * torch.randn(count, 4) @ waves)[:, None] / 10)
    noise = colour * torch.distributions.Gamma(4.0, 4.0).sample((count, frames, bands))
    loud = power.mean((1, 2), keepdim=True) / noise.mean((1, 2), keepdim=True)
    power = power + _chosen(NOISES, count) * noise * loud * _ratio(5, 35, count)
    power = power + _chosen(OTHERS, count) * power[torch.randperm(count)] * _ratio(8, 28, count)
    x = 10 * torch.log10(power.clamp_min(1e-8))
    cut = torch.randint(*NARROW_BANDS, (count, 1, 1))
    beyond = (_chosen(NARROW, count) > 0) & (torch.arange(bands) >= cut)
    return torch.where(beyond, FLOOR, x).clamp_min(FLOOR)


def _roomed(power: Tensor) -> Tensor:
    """With an exponential tail after every frame, in some."""
    count, _, _ = power.shape
    decay = 0.06 + 0.25 * torch.rand(count, 1)
    tail = TAIL_LEVEL * torch.exp(-decay * torch.arange(1, TAIL + 1))
    tail = tail * _chosen(ROOMS, count)[:, 0]
    by_band = functional.pad(power.permute(2, 0, 1), (TAIL, 0))[..., :-1]
    late = functional.conv1d(by_band, tail.flip(1)[:, None], groups=count)
    return power + late.permute(1, 2, 0)


def _chosen(share: float, count: int) -> Tensor:
    return (torch.rand(count, 1, 1) < share).float()


def _ratio(low: float, high: float, count: int) -> Tensor:
    """Factors of power of something ``low`` to ``high`` dB below."""
    return 10 ** (-(low + (high - low) * torch.rand(count, 1, 1)) / 10)
