"""ManyMfcc: the next frames of many `StreamingMfcc` at once, equal to the bit to those that each would give alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.features.kernel import make_kernel
from stream.features.mfcc import StreamingMfcc
from stream.features.spec import FeatureSpec, MfccSpec


class ManyMfcc:
    """Keeps what streams hold side by side, a row each, from ``enter`` to ``leave``.

    It computes in two steps, so that a model may fail in between: the streams stay as they are until ``commit``. One
    thread at a time uses it.

    Args:
        spec: of all streams; see ``can``.
        rows: of which each may be a stream.

    Attributes:
        held: (rows,) int64, samples of each that no frame has used up.
    """

    def __init__(self, spec: MfccSpec, rows: int) -> None:
        self._n_fft, self._hop = spec.n_fft, spec.hop_length
        self._kernel = make_kernel(spec)
        self._rest = np.zeros((rows, spec.n_fft), self._kernel.dtype)
        self.held = np.zeros(rows, np.int64)
        self._memory = np.empty(0, self._kernel.dtype)
        self._rests = self._memory.reshape(1, 0)  # of the last ``compute``: what no frame has used up

    @staticmethod
    def can(spec: FeatureSpec) -> bool:
        """Whether it computes these features: a frame depends on nothing but its samples."""
        return isinstance(spec, MfccSpec) and not spec.deltas and not spec.pre_emphasis

    def enter(self, row: int, stream: StreamingMfcc) -> None:
        """Go on from where a stream is."""
        rest = stream.rest
        self.held[row] = len(rest)
        self._rest[row, : len(rest)] = rest

    def leave(self, row: int, stream: StreamingMfcc, frames: int) -> None:
        """Let it go on from here, after ``frames`` since it entered."""
        stream.move_on(self._rest[row, : self.held[row]].copy(), frames)

    def frames(self, held: int, count: int) -> int:
        """How many frames ``count`` samples complete for a stream that holds ``held``."""
        total = held + count
        return 0 if total < self._n_fft else 1 + (total - self._n_fft) // self._hop

    def compute(
        self, rows: NDArray[np.intp], sound: NDArray[Any], scale: np.float32 | None
    ) -> NDArray[np.float32]:
        """What ``push`` of each stream would give.

        Args:
            rows: (N,) different ones that hold equally many samples.
            sound: (N, n) the next samples of each; float32, or integers where there is a scale.
            scale: by which integers become float32.

        Returns:
            (N, T, F) float32, a new array, T at least 1.
        """
        count, held = sound.shape[1], int(self.held[rows[0]])
        frames = self.frames(held, count)
        lines = self._lines(len(rows), held + count)
        if held:
            lines[:, :held] = self._rest[rows, :held]
        self._rests = lines[:, frames * self._hop :]
        out = np.empty((len(rows), frames, self._kernel.width), np.float32)
        self._kernel.compute_lines(lines, sound, scale, out)
        return out

    def commit(self, rows: NDArray[np.intp]) -> None:
        """The streams of the last ``compute`` have moved on."""
        held = self._rests.shape[1]
        self.held[rows] = held
        self._rest[rows, :held] = self._rests

    def _lines(self, rows: int, length: int) -> NDArray[Any]:
        if len(self._memory) < rows * length:
            self._memory = np.empty(rows * length, self._kernel.dtype)
        return self._memory[: rows * length].reshape(rows, length)
