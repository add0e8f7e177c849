"""Waveform and spectrum of some seconds of sound, by column of a picture."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

WINDOW_SECONDS = 0.032
LOWEST_HERTZ = 60.0
FLOOR = 1e-12


def band_edges(sample_rate: int, bands: int) -> NDArray[np.float64]:
    """(bands + 1,) Hz, from 60 Hz to half the rate, in equal steps of pitch."""
    high = sample_rate / 2
    return np.asarray(np.geomspace(min(LOWEST_HERTZ, high / 4), high, bands + 1))


def spectrum(sound: NDArray[np.float32], sample_rate: int, columns: int, bands: int) -> NDArray[np.float32]:
    """Energy by band and column.

    Args:
        sound: (n,), NaN where there is none.

    Returns:
        (bands, columns) float32 dB, lowest band first; NaN where a column holds sound that is missing.
    """
    size = min(len(sound), max(16, round(WINDOW_SECONDS * sample_rate)))
    hertz = np.fft.rfftfreq(size, 1 / sample_rate)
    edges = band_edges(sample_rate, bands)
    shape = np.hanning(size)
    out = np.full((bands, columns), np.nan, np.float32)
    # The bins of each band; a low band that has none takes the nearest.
    bins = [np.flatnonzero((hertz >= low) & (hertz < high)) for low, high in itertools.pairwise(edges)]
    bins = [
        each if len(each) else np.array([int(np.argmin(np.abs(hertz - low)))])
        for each, low in zip(bins, edges, strict=False)
    ]
    for column in range(columns):
        middle = int((column + 0.5) * len(sound) / columns)
        start = max(0, min(middle - size // 2, len(sound) - size))
        piece = sound[start : start + size]
        if np.isfinite(piece).all():
            power = np.abs(np.fft.rfft(shape * piece)) ** 2 / size
            out[:, column] = [10 * np.log10(power[each].mean() + FLOOR) for each in bins]
    return out


def envelope(sound: NDArray[np.float32], columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(columns,) lowest and highest sample of each column; NaN where all of it is missing."""
    edges = np.linspace(0, len(sound), columns + 1).astype(int)
    low, high = np.full(columns, np.nan, np.float32), np.full(columns, np.nan, np.float32)
    for column, (start, stop) in enumerate(itertools.pairwise(edges)):
        piece = sound[start : max(stop, start + 1)]
        piece = piece[np.isfinite(piece)]
        if len(piece):
            low[column], high[column] = piece.min(), piece.max()
    return low, high


def folded(
    at: NDArray[np.float64], values: NDArray[np.float32], begin: float, end: float, columns: int
) -> NDArray[np.float32]:
    """(T, C) rows at their seconds as (C, columns), the highest of each column; NaN where there is none.

    A column between two rows has the value of the row before it: rows may be fewer than columns.
    """
    out = np.full((values.shape[1], columns), np.nan, np.float32)
    if not len(at):
        return out
    place = np.clip(((at - begin) / (end - begin) * columns).astype(int), 0, columns - 1)
    np.fmax.at(out.T, place, values)
    step = float(np.median(np.diff(at))) if len(at) > 1 else 0.0
    for _ in range(int(np.ceil(step / (end - begin) * columns))):
        empty = np.isnan(out[:, 1:])
        out[:, 1:][empty] = out[:, :-1][empty]
    return out
