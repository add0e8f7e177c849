"""Causal slopes of feature frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.snapshot import Snapshot

_KIND = "deltas"


def regression_weights(width: int) -> NDArray[np.float32]:
    """(width,) float32: a slope is the sum of these times the last ``width`` values."""
    steps = np.arange(width) - (width - 1) / 2
    weights: NDArray[np.float32] = (steps / np.sum(steps**2)).astype(np.float32)
    return weights


class CausalDelta:
    """Slope of each coefficient over the last ``width`` frames, by linear regression.

    Equal to ``librosa.feature.delta(order=1)`` at the middle of that window, so it lags by (width - 1) / 2
    frames instead of looking ahead. Before the first frame the first frame is held.
    """

    def __init__(self, width: int, coefficients: int) -> None:
        self._slope = regression_weights(width)
        self._coefficients = coefficients
        self._past: NDArray[np.float32] | None = None  # (width - 1, coefficients)

    def reset(self) -> None:
        self._past = None

    def push(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, coefficients) frames to (T, coefficients) slopes per frame."""
        if not len(frames):
            return np.empty((0, self._coefficients), np.float32)
        width = len(self._slope)
        if self._past is None:
            self._past = np.repeat(frames[:1], width - 1, axis=0)
        line = np.concatenate([self._past, frames])
        slopes: NDArray[np.float32] = self._slope[0] * line[: len(frames)]
        for j in range(1, width):  # term by term: the order of the sum is the same for every chunk size
            slopes += self._slope[j] * line[j : j + len(frames)]
        self._past = line[len(frames) :].copy()
        return slopes

    def snapshot(self) -> Snapshot:
        """The state, as plain values."""
        return snapshots.begin(_KIND, past=None if self._past is None else self._past.copy())

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a stage of the same width."""
        values = snapshots.check(snapshot, _KIND)
        shape = (len(self._slope) - 1, self._coefficients)
        self._past = None if values.get("past") is None else snapshots.array(values, "past", "float32", shape)
