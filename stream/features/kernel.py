"""Windows of samples to features, row by row.

Every operation works on each row alone and in one fixed order, so a row's bits do not depend on how many rows
are computed together: that is what makes live and offline equal. A dense ``power @ mel.T`` would be faster for
many rows, but BLAS rounds gemm and gemv differently.

Precision is librosa's: window and transform in float64, the spectrum kept as complex64, the rest in float32.
A float32 transform would put rounding noise above the logarithm's floor beside a full-scale tone (0.017 dB).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.features.spec import FeatureSpec
from stream.features.tables import SparseBank, dct_matrix, hann

ROWS = 64  # rows computed together: scratch stays in the second-level cache


def _rfft_into(n_fft: int) -> Any:
    """A function (x (T, n_fft) float64, out (T, n_fft // 2 + 1) complex128) computing ``np.fft.rfft(x)``.

    ``np.fft.rfft`` spends as long in argument handling as in one 512-point transform, so the ufunc it calls is
    called directly where this NumPy has it; the transform is the same and so are the bits.
    """

    def public(x: NDArray[np.float64], out: NDArray[np.complex128]) -> None:
        np.fft.rfft(x, out=out)

    try:
        from numpy.fft import _pocketfft_umath as pocketfft  # type: ignore[attr-defined]

        ufunc = pocketfft.rfft_n_even if n_fft % 2 == 0 else pocketfft.rfft_n_odd
        one = np.float64(1)

        def direct(x: NDArray[np.float64], out: NDArray[np.complex128]) -> None:
            ufunc(x, one, out=out)

        probe = np.linspace(-1, 1, n_fft)[None, :] ** 3
        got = np.empty((1, n_fft // 2 + 1), np.complex128)
        direct(probe, got)
    except (ImportError, AttributeError, TypeError):
        return public  # a NumPy with other insides
    return direct if np.array_equal(got, np.fft.rfft(probe)) else public


class Kernel:
    """Static features (no deltas) of windows. Holds scratch: one per stream or thread, never shared.

    Args:
        spec: what to compute.
        rows: most windows per call of ``compute``.
    """

    def __init__(self, spec: FeatureSpec, rows: int = ROWS) -> None:
        self.spec = spec
        self.rows = rows
        self.width = spec.n_mels if spec.n_mfcc is None else spec.n_mfcc
        left = (spec.n_fft - spec.win_length) // 2  # librosa centres a short window in n_fft
        self._span = slice(left, left + spec.win_length)
        self._window = hann(spec.win_length)
        bank = SparseBank(spec)
        self._take, self._weights, self._offsets = bank.take, bank.weights, bank.offsets
        self._floor = np.float32(spec.log_floor)
        self._rfft = _rfft_into(spec.n_fft)
        decibel = 10.0 / math.log(
            10.0
        )  # power_to_db from natural logarithms; folded into the DCT where there is one
        self._decibel = np.float32(decibel)
        self._dct: NDArray[np.float32] | None = None
        if spec.n_mfcc is not None:
            matrix = decibel * dct_matrix(spec.n_mfcc, spec.n_mels, spec.dct_norm)
            self._dct = np.ascontiguousarray(matrix.T.astype(np.float32))  # (n_mels, n_mfcc)
        bins = spec.n_fft // 2 + 1
        self._framed = np.zeros((rows, spec.n_fft))  # zero outside the span, for ever
        self._spectrum = np.empty((rows, bins), np.complex128)
        self._single = np.empty((rows, bins), np.complex64)
        self._power = np.empty((rows, bins), np.float32)
        self._terms = np.empty((rows, len(self._take)), np.float32)
        self._mel = np.empty((rows, 1, spec.n_mels), np.float32)
        # Views for a given row count are reused: slicing costs as much as the arithmetic on one row.
        self._views: dict[int, tuple[NDArray[Any], ...]] = {}

    def _slices(self, count: int) -> tuple[NDArray[Any], ...]:
        views = self._views.get(count)
        if views is None:
            framed = self._framed[:count]
            single = self._single[:count]
            squares = single.view(np.float32)  # re, im, re, im ...
            mel = self._mel[:count]
            views = (
                framed,
                framed[:, self._span],
                self._spectrum[:count],
                single,
                squares,
                squares[:, 0::2],
                squares[:, 1::2],
                self._power[:count],
                self._terms[:count],
                mel,
                mel[:, 0],
            )
            self._views[count] = views
        return views

    def compute(self, windows: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Features of each row.

        Args:
            windows: (T, n_fft) float32, T <= rows; may be a strided view; not changed.
            out: (T, 1, width) float32, C order, written.
        """
        framed, inner, spectrum, single, squares, re2, im2, power, terms, mel3, mel = self._slices(
            len(windows)
        )
        np.multiply(windows[:, self._span], self._window, out=inner)
        self._rfft(framed, spectrum)
        single[...] = spectrum
        np.multiply(squares, squares, out=squares)
        np.add(re2, im2, out=power)
        power.take(self._take, axis=1, out=terms, mode="clip")
        np.multiply(terms, self._weights, out=terms)
        np.add.reduceat(terms, self._offsets, axis=1, out=mel)
        np.maximum(mel, self._floor, out=mel)
        np.log(mel, out=mel)
        if self._dct is None:
            np.multiply(mel3, self._decibel, out=out)
        else:
            # Stacked (1, n_mels) @ (n_mels, n_mfcc): one gemv a row, whatever the number of rows.
            np.matmul(mel3, self._dct, out=out)
