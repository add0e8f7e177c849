"""Constant tables of the front end: window, mel bank, DCT. Built in float64, the way librosa defines them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.features.spec import FeatureSpec

_MEL_STEP = 200.0 / 3  # Hz a mel below 1 kHz on Slaney's scale
_MEL_BREAK = 1000.0 / _MEL_STEP  # mel at 1 kHz
_LOG_STEP = np.log(6.4) / 27.0  # natural log of frequency a mel above it


def hz_to_mel(hz: NDArray[np.float64] | float, scale: str) -> NDArray[np.float64]:
    """``librosa.hz_to_mel``: Slaney's Auditory Toolbox scale, or O'Shaughnessy's formula as HTK has it."""
    f = np.asarray(hz, dtype=np.float64)
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + f / 700.0))
    with np.errstate(divide="ignore"):
        return np.where(f < 1000.0, f / _MEL_STEP, _MEL_BREAK + np.log(f / 1000.0) / _LOG_STEP)


def mel_to_hz(mel: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Inverse of hz_to_mel."""
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    return np.where(mel < _MEL_BREAK, mel * _MEL_STEP, 1000.0 * np.exp(_LOG_STEP * (mel - _MEL_BREAK)))


def mel_bank(spec: FeatureSpec) -> NDArray[np.float64]:
    """(n_mels, n_fft // 2 + 1) triangular filters, as ``librosa.filters.mel``."""
    edges = np.linspace(
        float(hz_to_mel(spec.f_min, spec.mel_scale)),
        float(hz_to_mel(spec.high, spec.mel_scale)),
        spec.n_mels + 2,
    )
    hz = mel_to_hz(edges, spec.mel_scale)
    bins = np.arange(spec.n_fft // 2 + 1) * (spec.sample_rate / spec.n_fft)
    widths = np.diff(hz)
    ramps = hz[:, None] - bins[None, :]
    rising = -ramps[:-2] / widths[:-1, None]
    falling = ramps[2:] / widths[1:, None]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    if spec.mel_norm == "slaney":
        bank *= (2.0 / (hz[2:] - hz[:-2]))[:, None]
    return bank


def dct_matrix(n_out: int, n_in: int, norm: str | None) -> NDArray[np.float64]:
    """(n_out, n_in) DCT-II, as ``scipy.fft.dct(type=2, norm=norm)`` applied to the columns of n_in values."""
    k = np.arange(n_out)[:, None]
    n = np.arange(n_in)[None, :]
    matrix = 2.0 * np.cos(np.pi * k * (2 * n + 1) / (2 * n_in))
    if norm == "ortho":
        matrix *= np.sqrt(1.0 / (2 * n_in))
        matrix[0] *= np.sqrt(0.5)
    return matrix


def hann(length: int) -> NDArray[np.float64]:
    """(length,) periodic Hann window, as ``scipy.signal.get_window("hann", length)``."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)


class SparseBank:
    """A mel bank as runs of non-zero weights, one run a band, for ``np.add.reduceat``.

    Attributes:
        take: (K,) spectrum bin of each weight.
        weights: (K,) float32.
        offsets: (n_mels,) where each band's run begins.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        bank = mel_bank(spec).astype(np.float32)
        take: list[int] = []
        weights: list[float] = []
        offsets: list[int] = []
        for row in bank:
            offsets.append(len(take))
            used = np.flatnonzero(row)
            # A band narrower than a bin has no weight at all; one zero term keeps its run non-empty.
            bins = range(int(used[0]), int(used[-1]) + 1) if len(used) else range(1)
            take += bins
            weights += [float(row[k]) for k in bins]
        self.take = np.asarray(take, dtype=np.intp)
        self.weights = np.asarray(weights, dtype=np.float32)
        self.offsets = np.asarray(offsets, dtype=np.intp)
