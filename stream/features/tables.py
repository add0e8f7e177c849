"""Constant tables of the front end: window, mel bank, DCT. Built in float64, the way librosa defines them."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.features.spec import MfccSpec

# OpenBLAS hands a matrix-vector product of 9216 elements or more to its threads, which wake and spin.
MAX_BLOCK = 8192

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


def mel_edges(spec: MfccSpec) -> NDArray[np.float64]:
    """(n_mels + 2,) Hz: filter b begins at edge b, is highest at edge b + 1 and ends at edge b + 2."""
    low = float(hz_to_mel(spec.f_min, spec.mel_scale))
    high = float(hz_to_mel(spec.high, spec.mel_scale))
    return mel_to_hz(np.linspace(low, high, spec.n_mels + 2), spec.mel_scale)


def mel_bank(spec: MfccSpec) -> NDArray[np.float64]:
    """(n_mels, n_fft // 2 + 1) triangular filters, as ``librosa.filters.mel``."""
    hz = mel_edges(spec)
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


class BandGroup(NamedTuple):
    """Neighbouring mel bands as one small dense product.

    Attributes:
        bands: which bands, columns of the mel spectrum.
        bins: the spectrum bins that any of them weighs.
        weights: (bins, bands) float32, Fortran order: BLAS then has no slow remainder of bands.
    """

    bands: slice
    bins: slice
    weights: NDArray[np.float32]


@cache
def band_groups(spec: MfccSpec) -> tuple[BandGroup, ...]:
    """The mel bank cut into as few groups of neighbouring bands as keep each product small, and those balanced.

    A triangular bank is nearly diagonal, so a few blocks hold all of it with far fewer zeros than one matrix.
    """
    bank = mel_bank(spec).astype(np.float32)
    used = [np.flatnonzero(row) for row in bank]
    # A band narrower than a bin has no weight at all; it borrows bin 0 so that every band has a place.
    lows = [int(u[0]) if len(u) else 0 for u in used]
    highs = [int(u[-1]) + 1 if len(u) else 1 for u in used]

    def cut(limit: int) -> list[tuple[int, int]]:
        groups: list[tuple[int, int]] = []
        first = 0
        for band in range(1, spec.n_mels + 1):
            full = band == spec.n_mels
            if not full:
                width = max(highs[first : band + 1]) - min(lows[first : band + 1])
                full = width * (band + 1 - first) > limit
            if full:
                groups.append((first, band))
                first = band
        return groups

    few, limit = len(cut(MAX_BLOCK)), MAX_BLOCK
    while limit > 64 and len(cut(limit * 15 // 16)) == few:
        limit = limit * 15 // 16
    out = []
    for first, last in cut(limit):
        low, high = min(lows[first:last]), max(highs[first:last])
        weights = np.ascontiguousarray(bank[first:last, low:high])
        out.append(BandGroup(slice(first, last), slice(low, high), weights.T))
    return tuple(out)
