"""Scores as small blobs: one byte a point for curves, two for the peaks that thresholds are chosen by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CURVE_TOP, _NO_SCORE = 254, 255
_PEAK_TOP = 65535


def pack_curve(values: NDArray[np.float32]) -> bytes:
    """(P,) float32 probabilities, NaN where there is no score, to P bytes. Off by 0.002 at most."""
    known = ~np.isnan(values)
    packed = np.full(len(values), _NO_SCORE, np.uint8)
    packed[known] = np.rint(np.clip(values[known], 0, 1) * _CURVE_TOP).astype(np.uint8)
    return packed.tobytes()


def unpack_curve(blob: bytes) -> NDArray[np.float32]:
    """Inverse of `pack_curve`: (P,) float32."""
    packed = np.frombuffer(blob, np.uint8)
    values: NDArray[np.float32] = packed.astype(np.float32) / np.float32(_CURVE_TOP)
    values[packed == _NO_SCORE] = np.nan
    return values


def pack_peaks(values: NDArray[np.float32]) -> bytes:
    """(C,) float32 probabilities to 2 C bytes. Off by 0.00001 at most."""
    return np.rint(np.clip(values, 0, 1) * _PEAK_TOP).astype("<u2").tobytes()


def unpack_peaks(blob: bytes) -> NDArray[np.float32]:
    """Inverse of `pack_peaks`: (C,) float32. ValueError for half a number."""
    values: NDArray[np.float32] = np.frombuffer(blob, "<u2").astype(np.float32) / np.float32(_PEAK_TOP)
    return values
