"""FrontEnd: clean samples in, feature frames out. MFCC is one front end of several."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.features.mfcc import MfccPicture, StreamingMfcc
from stream.features.spec import FeatureSpec, MfccSpec
from stream.features.waveform import StreamingWaveform, WaveformPicture
from stream.snapshot import Snapshot


class FrontEnd(Protocol):
    """Turns the clean samples of one stream into feature frames, the same for any chunking.

    Attributes:
        sample_rate: Hz.
        hop_length: samples between frames.
        span: samples that a frame covers.
        width: F, features in a frame.
        position: absolute index of the first sample of the next frame.
    """

    sample_rate: int
    hop_length: int
    span: int
    width: int
    position: int

    def push(self, samples: ArrayLike) -> NDArray[np.float32]:
        """Take any number of samples (n,), return every frame that is now complete, (T, F) float32, a new array.

        Raises:
            ClosedError: after flush.
        """
        ...

    def flush(self) -> NDArray[np.float32]:
        """No more input. An incomplete frame is not a frame: returns (0, F)."""
        ...

    def reset(self, start: int = 0) -> None:
        """As new, the next sample being number ``start``. Also the answer to a gap: no frame spans it."""
        ...

    def snapshot(self) -> Snapshot:
        """The state, as plain values."""
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a front end with the same specification."""
        ...


class Picture(Protocol):
    """How feature frames are shown as a spectrogram.

    Frames are prepared and summed by column of the picture; what is shown is made from the mean.

    Attributes:
        depth: K, numbers kept of a frame.
        bands: B, rows of the picture.
        centres: (B,) float64, the middle of each band in Hz, lowest first.
    """

    depth: int
    bands: int
    centres: NDArray[np.float64]

    def prepare(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, F) frames to the (T, K) numbers that are averaged."""
        ...

    def show(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """(T, K) means to (T, B) energies in dB, lowest band first; NaN stays NaN."""
        ...


def make_front_end(spec: FeatureSpec, start: int = 0) -> FrontEnd:
    """The front end that a specification describes.

    Args:
        spec: usually ``card.features``.
        start: absolute index of the first sample.
    """
    return StreamingMfcc(spec, start) if isinstance(spec, MfccSpec) else StreamingWaveform(spec, start)


def extract(samples: ArrayLike, spec: FeatureSpec) -> NDArray[np.float32]:
    """Features of a whole recording: one push of a new front end.

    Args:
        samples: (n,) mono, nominal [-1, 1], at ``spec.sample_rate``.
        spec: what to compute.

    Returns:
        (T, F) float32, time first; T = frame_count(n, spec).
    """
    return make_front_end(spec).push(samples)


def picture(spec: FeatureSpec) -> Picture:
    """How frames of these features are drawn."""
    return MfccPicture(spec) if isinstance(spec, MfccSpec) else WaveformPicture(spec)
