"""Frames of samples to features with NumPy, row by row.

Every operation works on each row alone and in one fixed order, so a row's bits do not depend on how many rows
are computed together: that is what makes live and offline equal. A dense ``power @ mel.T`` would be faster for
many rows, but BLAS rounds gemm and gemv differently; products here are one gemv a row.

Precision is librosa's: window and transform in float64, the spectrum kept as complex64, the rest in float32.
A float32 transform would put rounding noise above the logarithm's floor beside a full-scale tone (0.017 dB).

One row costs mostly what NumPy spends on looking at its arguments. So views are made once and kept, a single
row is computed on one-dimensional arrays (which ufuncs take without setting up an iterator), and nothing is
converted on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from stream.features.spec import MfccSpec
from stream.features.tables import band_groups, dct_matrix, hann

Product = Callable[..., Any]  # (a, b, out): a (..., n) times b (n, m) into out (..., m)


@cache
def _rfft_into(n_fft: int) -> Any:
    """A function (x (..., n_fft) float64, out (..., n_fft // 2 + 1) complex128) computing ``np.fft.rfft(x)``.

    ``np.fft.rfft`` spends as long in argument handling as in one 512-point transform, so the ufunc it calls is
    called directly where this NumPy has it; the transform is the same and so are the bits.
    """

    def public(x: NDArray[np.float64], out: NDArray[np.complex128]) -> None:
        np.fft.rfft(x, out=out)

    try:
        from numpy.fft import _pocketfft_umath as pocketfft  # type: ignore[attr-defined]

        ufunc = pocketfft.rfft_n_even if n_fft % 2 == 0 else pocketfft.rfft_n_odd
        one = np.array(1.0)

        def direct(x: NDArray[np.float64], out: NDArray[np.complex128]) -> None:
            ufunc(x, one, out)

        probe = np.linspace(-1, 1, n_fft)[None, :] ** 3
        got = np.empty((1, n_fft // 2 + 1), np.complex128)
        direct(probe, got)
    except (ImportError, AttributeError, TypeError):
        return public  # a NumPy with other insides
    return direct if np.array_equal(got, np.fft.rfft(probe)) else public


@cache
def _row_product(n: int, m: int) -> Product:
    """(n,) times (n, m): ``np.dot``, which starts sooner, where it rounds as a stacked ``np.matmul`` does."""
    rng = np.random.default_rng(n * m)
    stack = rng.standard_normal((8, 1, n)).astype(np.float32)
    matrix = np.asfortranarray(rng.standard_normal((n, m)).astype(np.float32))
    want = np.matmul(stack, matrix)
    same = all(np.array_equal(np.dot(row[0], matrix), out[0]) for row, out in zip(stack, want, strict=True))
    return np.dot if same else np.matmul


class _Views(NamedTuple):
    """The scratch of T rows; for a single row the leading axes are dropped."""

    framed: NDArray[np.float64]  # (T, n_fft)
    inner: NDArray[np.float64]  # (T, win_length) of framed
    spectrum: NDArray[np.complex128]  # (T, bins)
    single: NDArray[np.complex64]  # (T, bins)
    squares: NDArray[np.float32]  # (T, 2 * bins), the same memory as single: re, im, re, im ...
    real: NDArray[np.float32]  # (T, bins) of squares
    imag: NDArray[np.float32]  # (T, bins) of squares
    power: NDArray[np.float32]  # (T, bins)
    mel: NDArray[np.float32]  # (T, 1, n_mels)
    floor: NDArray[np.float32]  # as mel
    groups: list[tuple[Product, NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]
    dct: Product  # times the matrix, or times the decibel factor


class NumpyKernel:
    """The Kernel that runs everywhere.

    Args:
        spec: what to compute.
        rows: most frames per call of ``compute``.
    """

    # What the transform takes: nothing is converted on the way, and float32 samples are exact in it.
    dtype = np.dtype(np.float64)

    def __init__(self, spec: MfccSpec, rows: int) -> None:
        self.spec = spec
        self.rows = rows
        self.width = spec.n_mels if spec.n_mfcc is None else spec.n_mfcc
        left = (spec.n_fft - spec.win_length) // 2  # librosa centres a short window in n_fft
        self._span = slice(left, left + spec.win_length)
        self._window = hann(spec.win_length)
        self._groups = band_groups(spec)
        self._rfft = _rfft_into(spec.n_fft)
        # power_to_db from natural logarithms; folded into the DCT where there is one.
        decibel = 10.0 / math.log(10.0)
        self._last: NDArray[np.float32] = np.full(spec.n_mels, decibel, np.float32)
        if spec.n_mfcc is not None:
            matrix = decibel * dct_matrix(spec.n_mfcc, spec.n_mels, spec.dct_norm)
            self._last = np.ascontiguousarray(matrix.astype(np.float32)).T  # (n_mels, n_mfcc)
        bins = spec.n_fft // 2 + 1
        self._framed = np.zeros((rows, spec.n_fft))  # zero outside the span, always
        self._spectrum = np.empty((rows, bins), np.complex128)
        self._single = np.empty((rows, bins), np.complex64)
        self._power = np.empty((rows, bins), np.float32)
        self._mel = np.empty((rows, 1, spec.n_mels), np.float32)
        self._floor = np.full((rows, 1, spec.n_mels), spec.log_floor, np.float32)
        # Slicing costs as much as the arithmetic on one row.
        self._one = self._views(0)
        self._many: dict[int, _Views] = {}

    def _views(self, rows: int | slice) -> _Views:
        single = self._single[rows]
        squares = single.view(np.float32)
        power, mel = self._power[rows], self._mel[rows]
        one = isinstance(rows, int)
        if one:
            mel = mel[0]
        vectors = power if one else power[:, None]

        def product(n: int, m: int) -> Product:
            return _row_product(n, m) if one else np.matmul

        groups = [
            (product(*g.weights.shape), vectors[..., g.bins], g.weights, mel[..., g.bands])
            for g in self._groups
        ]
        return _Views(
            self._framed[rows],
            self._framed[rows][..., self._span],
            self._spectrum[rows],
            single,
            squares,
            squares[..., 0::2],
            squares[..., 1::2],
            power,
            mel,
            self._floor[rows][0] if one else self._floor[rows],
            groups,
            np.multiply if self.spec.n_mfcc is None else product(*self._last.shape),
        )

    def prepare(self, frame: NDArray[Any]) -> NDArray[Any]:
        """The part of the frame that lies under the window."""
        return frame[self._span]

    def compute(self, frames: NDArray[Any], out: NDArray[np.float32]) -> None:
        """See Kernel."""
        windows, count = frames[:, self._span], len(frames)
        if count == 1:
            self._apply(self._one, windows[0], out[0, 0])
            return
        views = self._many.get(count)
        if views is None:
            views = self._many[count] = self._views(slice(0, count))
        self._apply(views, windows, out)

    def compute_lines(
        self, lines: NDArray[Any], sound: NDArray[Any], scale: np.float32 | None, out: NDArray[np.float32]
    ) -> None:
        """See Kernel."""
        held, frames = lines.shape[1] - sound.shape[1], out.shape[1]
        if scale is None:
            lines[:, held:] = sound
        else:
            np.multiply(sound, scale, out=lines[:, held:], dtype=np.float32, casting="unsafe")
        hop, sample = self.spec.hop_length, lines.strides[1]
        for line, features in zip(lines, out, strict=True):
            places = as_strided(line, (frames, self.spec.n_fft), (hop * sample, sample), writeable=False)
            for at in range(0, frames, self.rows):
                self.compute(places[at : at + self.rows], features[at : at + self.rows, None])

    def compute_one(self, prepared: NDArray[Any]) -> NDArray[np.float32]:
        """See Kernel."""
        out = np.empty((1, self.width), np.float32)
        self._apply(self._one, prepared, out[0])
        return out

    def _apply(self, views: _Views, windows: NDArray[np.floating[Any]], out: NDArray[np.float32]) -> None:
        framed, inner, spectrum, single, squares, real, imag, power, mel, floor, groups, last = views
        np.multiply(windows, self._window, inner)
        self._rfft(framed, spectrum)
        single[...] = spectrum
        np.multiply(squares, squares, squares)
        np.add(real, imag, power)
        for product, bins, weights, bands in groups:
            product(bins, weights, bands)
        np.maximum(mel, floor, out=mel)
        np.log(mel, mel)
        last(mel, self._last, out)
