"""Frames of plain samples, for models whose own front end is inside the graph."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from stream import snapshot as snapshots
from stream.errors import ClosedError, SnapshotInvalid
from stream.features.framing import frame_count
from stream.features.spec import WaveformSpec
from stream.snapshot import Snapshot

_KIND = "waveform"


class StreamingWaveform:
    """The FrontEnd of a WaveformSpec: frame t is the samples under it.

    Args:
        spec: frame and hop length.
        start: absolute index of the first sample.
    """

    def __init__(self, spec: WaveformSpec, start: int = 0) -> None:
        self.spec = spec
        self.sample_rate, self.hop_length = spec.sample_rate, spec.hop_length
        self.span, self.width = spec.span, spec.width
        self.position = start
        self._rest: NDArray[np.float32] = np.empty(0, np.float32)
        self._closed = False

    def push(self, samples: ArrayLike) -> NDArray[np.float32]:
        """See FrontEnd."""
        if self._closed:
            raise ClosedError("push after flush: call reset() to start a new stream")
        new = np.asarray(samples, dtype=np.float32)
        if new.ndim != 1:
            raise ValueError(f"samples of shape {new.shape}: want (n,), one channel")
        line = np.concatenate([self._rest, new])
        count = frame_count(len(line), self.spec)
        used = count * self.hop_length
        self._rest = line[used:].copy()
        self.position += used
        if not count:
            return np.empty((0, self.width), np.float32)
        frames = sliding_window_view(line, self.span)[:: self.hop_length][:count]
        return np.array(frames, np.float32)

    def flush(self) -> NDArray[np.float32]:
        """See FrontEnd."""
        self._closed = True
        self._rest = self._rest[:0]
        return np.empty((0, self.width), np.float32)

    def reset(self, start: int = 0) -> None:
        """See FrontEnd."""
        self._rest = self._rest[:0]
        self._closed = False
        self.position = start

    def snapshot(self) -> Snapshot:
        """See FrontEnd."""
        return snapshots.begin(
            _KIND, spec=self.spec.digest, position=self.position, rest=self._rest.copy(), closed=self._closed
        )

    def restore(self, snapshot: Snapshot) -> None:
        """See FrontEnd."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "spec", self.spec.digest)
        rest = snapshots.array(values, "rest", "float32", (-1,))
        if len(rest) >= self.span:
            raise SnapshotInvalid(
                f"snapshot of 'waveform': {len(rest)} samples are a whole frame; save it again"
            )
        self.reset(int(values["position"]))
        self._rest, self._closed = rest, bool(values["closed"])


class WaveformPicture:
    """Energies of equal frequency bands of the frames, for the dashboard.

    Args:
        spec: of the frames.
    """

    bands = 40

    def __init__(self, spec: WaveformSpec) -> None:
        self.depth = self.bands
        self._window = np.hanning(spec.frame_length).astype(np.float32)
        bins = spec.frame_length // 2 + 1
        self._edges = np.linspace(0, bins, self.bands + 1).astype(int)
        middles = (np.arange(self.bands) + 0.5) / self.bands
        self.centres: NDArray[np.float64] = np.asarray(middles * spec.sample_rate / 2, np.float64)

    def prepare(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Picture."""
        power = np.abs(np.fft.rfft(frames * self._window, axis=1)) ** 2
        total = np.concatenate([np.zeros((len(frames), 1)), np.cumsum(power, axis=1)], axis=1)
        low, high = self._edges[:-1], np.maximum(self._edges[1:], self._edges[:-1] + 1)
        high = np.minimum(high, power.shape[1])
        energy = (total[:, high] - total[:, low]) / np.maximum(high - low, 1)
        decibels: NDArray[np.float32] = (10 * np.log10(np.maximum(energy, 1e-10))).astype(np.float32)
        return decibels

    def show(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """See Picture."""
        return mean
