"""Another pitch with the same vocal tract: what makes one voice sound like another beside its size.

Resampling moves pitch and formants together, and so does warping the frequency axis. Speakers differ in both, each
on its own. Here the spectral envelope is divided out (homomorphic deconvolution, Oppenheim and Schafer 1968), what
remains, the excitation, is resampled, and the envelope put back.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

_WINDOW_SECONDS = 0.032
_LONGEST_QUEFRENCY_SECONDS = 0.002  # of the envelope: what repeats at 500 Hz and below is pitch
_FLOOR = 1e-3  # of the envelope, below its maximum: noise is not raised to speech


def with_pitch(samples: NDArray[np.float32], sample_rate: int, factor: float) -> NDArray[np.float32]:
    """A sound with its pitch times ``factor``, its formants where they were; ``factor`` times as fast.

    Args:
        samples: (n,) float32.
        sample_rate: Hz.
        factor: above 0, best between 0.6 and 1.6.

    Returns:
        (about n / factor,) float32. Sounds shorter than a window are only resampled.
    """
    size = 1 << (round(_WINDOW_SECONDS * sample_rate) - 1).bit_length()
    if len(samples) < 2 * size:
        return resampled(samples, factor)
    frames = _analysed(samples, size)
    envelope = _envelope(frames, sample_rate, size)
    excitation = _synthesised(frames / envelope, len(samples), size)
    moved = resampled(excitation, factor)
    again = _analysed(moved, size)
    # The frame of the old envelope at the same moment of the sound.
    moment = np.minimum(np.rint(np.arange(len(again)) * factor).astype(int), len(envelope) - 1)
    return _synthesised(again * envelope[moment], len(moved), size)


def resampled(samples: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """``samples`` played ``factor`` times as fast: pitch, formants and speed change together."""
    out: NDArray[np.float32] = soxr.resample(samples, factor, 1.0, quality="LQ").astype(np.float32)
    return out


def _window(size: int) -> NDArray[np.float32]:
    """Its square, shifted by a quarter of the window again and again, adds up to 3/2."""
    return np.hanning(size + 1)[:-1].astype(np.float32)


def _analysed(samples: NDArray[np.float32], size: int) -> NDArray[np.complex64]:
    """(T, size / 2 + 1) spectra of windows a quarter apart; zeros before and after."""
    padded = np.pad(samples, (size - size // 4, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 4]
    return np.fft.rfft(frames * _window(size), axis=1).astype(np.complex64)


def _synthesised(frames: NDArray[np.complexfloating], length: int, size: int) -> NDArray[np.float32]:
    """(length,) float32, the inverse of ``_analysed``."""
    hop = size // 4
    parts = np.fft.irfft(frames, size, axis=1).astype(np.float32) * (_window(size) / np.float32(1.5))
    out = np.zeros((len(frames) + 3) * hop, np.float32)
    for quarter in range(4):
        piece = parts[:, quarter * hop : (quarter + 1) * hop].reshape(-1)
        out[quarter * hop : quarter * hop + len(piece)] += piece
    return out[size - hop :][:length]


def _envelope(frames: NDArray[np.complex64], sample_rate: int, size: int) -> NDArray[np.float32]:
    """(T, size / 2 + 1) float32, the smoothed magnitude."""
    magnitude = np.abs(frames)
    floor = max(float(magnitude.max(initial=0.0)) * 1e-5, 1e-9)
    cepstrum = np.fft.irfft(np.log(np.maximum(magnitude, floor)), size, axis=1)
    kept = round(_LONGEST_QUEFRENCY_SECONDS * sample_rate)
    cepstrum[:, kept : size - kept + 1] = 0
    smooth = np.exp(np.fft.rfft(cepstrum, axis=1).real)
    found: NDArray[np.float32] = np.maximum(smooth, _FLOOR * smooth.max(axis=1, keepdims=True)).astype(
        np.float32
    )
    return found
