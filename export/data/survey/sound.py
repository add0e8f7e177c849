"""What is measured of one recording. Everything is relative to full scale, so that it does not depend on the format."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import DEFAULT_CHANNEL, pick_channel
from stream.capture.decoding import Decoder, open_decoder
from stream.errors import DataError, UnreadableAudio

MOST_SECONDS = 300.0  # of a recording that are measured; its length counts whole
QUIETEST_DBFS = -120.0  # what digital silence counts as
_FRAME_SECONDS = 0.02
_SILENT_DBFS, _SILENT_BELOW_LOUDEST_DB = -60.0, 40.0
_FLAT_TOP, _FLAT_TOP_PEAK = 0.99, 0.1
_SPECTRUM_SAMPLES, _MOST_SPECTRA = 1024, 500
_BEYOND_BAND = (
    1e-6  # share of the power that may lie above the bandwidth: above the noise of 16 bits, below sound
)


@dataclass(frozen=True, slots=True)
class Sound:
    """One recording as it was heard.

    Attributes:
        seconds: its length.
        sample_rate: Hz.
        level: RMS of what is not silence, dBFS; -120 for digital silence.
        silence: share of frames below -60 dBFS, or 40 dB below the loudest.
        clipped: share of samples on flat tops.
        bandwidth: Hz, above which there is nothing; 0 for digital silence.
        content: digest of the samples: the same for the same sound in another lossless format.
    """

    seconds: float
    sample_rate: int
    level: float
    silence: float
    clipped: float
    bandwidth: float
    content: str


def measure(path: Path) -> Sound:
    """Listen to a recording.

    Raises:
        DataError: it cannot be decoded, or has no samples. The message does not name the file.
    """
    try:
        decoder = open_decoder(path)
    except (UnreadableAudio, OSError) as error:
        raise DataError(str(error)) from None
    try:
        samples, length = _read(decoder)
    finally:
        decoder.close()
    if not np.isfinite(samples).any():
        raise DataError(decoder.problem or ("has no valid sample" if len(samples) else "holds no sound"))
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    frames = _frame_levels(samples, max(1, round(_FRAME_SECONDS * decoder.sample_rate)))
    silent = frames < max(_SILENT_DBFS, float(frames.max()) - _SILENT_BELOW_LOUDEST_DB)
    heard = 10 ** (frames[~silent] / 10)
    return Sound(
        seconds=length / decoder.sample_rate,
        sample_rate=decoder.sample_rate,
        level=float(10 * np.log10(heard.mean())) if len(heard) else float(frames.max()),
        silence=float(silent.mean()),
        clipped=_clipped(samples),
        bandwidth=_bandwidth(samples, decoder.sample_rate),
        content=hashlib.blake2b(samples.tobytes() + str(length).encode(), digest_size=16).hexdigest(),
    )


def _read(decoder: Decoder) -> tuple[NDArray[np.float32], int]:
    """Mono samples of the first minutes, and how many there are in all."""
    most = round(MOST_SECONDS * decoder.sample_rate)
    kept: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    length = 0
    for block in decoder.blocks():
        if length < most:
            kept.append(pick_channel(block, DEFAULT_CHANNEL)[: most - length])
        length += len(block)
        if length >= most and decoder.frames:
            length = max(length, decoder.frames)
            break
    return np.concatenate(kept), length


def _frame_levels(samples: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    """RMS of frames of ``size`` samples, dBFS; of a recording that is shorter, of all of it."""
    whole = (
        samples[: len(samples) // size * size].reshape(-1, size) if len(samples) >= size else samples[None]
    )
    power = np.einsum("ij,ij->i", whole, whole, dtype=np.float64) / whole.shape[1]
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 10 ** (QUIETEST_DBFS / 10)))
    return levels


def _clipped(samples: NDArray[np.float32]) -> float:
    """Share of samples that were cut off: flat at the peak, or beyond full scale as decoders of MP3 and OGG give it."""
    size = np.abs(samples)
    peak = float(size.max())
    if peak < _FLAT_TOP_PEAK:
        return 0.0
    flat = (samples[1:] == samples[:-1]) & (size[1:] >= _FLAT_TOP * peak)
    return float((np.count_nonzero(flat) + np.count_nonzero(size > 1.0)) / len(samples))


def _bandwidth(samples: NDArray[np.float32], sample_rate: int) -> float:
    """The frequency in Hz above which a recording has next to no power."""
    size = min(_SPECTRUM_SAMPLES, len(samples))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)
    step = max(size // 2, len(frames) // _MOST_SPECTRA)
    # A window without side lobes that would reach as far as what is looked for: Blackman's fall below -58 dB and on.
    power = np.square(np.abs(np.fft.rfft(frames[::step] * np.blackman(size)))).sum(0)
    below = np.cumsum(power)
    if not below[-1]:
        return 0.0
    edge = int(np.searchsorted(below, (1 - _BEYOND_BAND) * below[-1]))
    return min(edge + 1, size // 2) * sample_rate / size
