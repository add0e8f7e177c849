"""BatchFrontEnd: the front ends of many streams in lockstep, one hop of each at a time.

A row's frames equal, to the bit, those of a front end of its own that is given the same samples.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.errors import SnapshotInvalid
from stream.features.deltas import regression_weights
from stream.features.kernel import ROWS, Kernel, make_kernel
from stream.features.spec import FeatureSpec, MfccSpec
from stream.snapshot import Snapshot

# Hops between two moves of the sample buffer: few, so that the samples of all rows stay in the cache.
_SPARE_HOPS = 4
_KIND = "batch front end row"


class BatchFrontEnd:
    """N front ends of one specification.

    Args:
        spec: what to compute.
        rows: N.

    Attributes:
        frames: (N, 1, F) float32, the newest frame of every row, overwritten by the next push.
        hop_length: samples a row a push.
        hops_a_frame: pushes until a row has its first frame.
        plain: True when a frame is what the kernel gives, without deltas: ``push_all`` may then write elsewhere.
    """

    def __init__(self, spec: FeatureSpec, rows: int) -> None:
        self.spec = spec
        self.rows = rows
        self.hop_length = hop = spec.hop_length
        self.hops_a_frame = -(-spec.span // hop)
        mfcc = isinstance(spec, MfccSpec)
        self._kernel: Kernel | _CopyKernel = (
            make_kernel(spec, min(rows, ROWS)) if isinstance(spec, MfccSpec) else _CopyKernel(spec.span)
        )
        self._emphasis = np.float32(spec.pre_emphasis) if isinstance(spec, MfccSpec) else np.float32(0)
        deltas = spec.deltas if isinstance(spec, MfccSpec) else 0
        width = self._kernel.width
        self._deltas = [_RowDeltas(spec.delta_width, width, rows) for _ in range(deltas)] if mfcc else []  # type: ignore[union-attr]
        self.plain = not self._deltas
        self.frames = np.zeros((rows, 1, spec.width), np.float32)
        self._static = self.frames if self.plain else np.zeros((rows, 1, width), np.float32)
        self._buffer = np.zeros((rows, (self.hops_a_frame + _SPARE_HOPS) * hop), self._kernel.dtype)
        # Where frames can begin, hop by hop: (_SPARE_HOPS + 1, N, span).
        row, sample = self._buffer.strides
        self._windows = as_strided(
            self._buffer, (_SPARE_HOPS + 1, rows, spec.span), (hop * sample, row, sample), writeable=False
        )
        self._blocks = [slice(at, min(at + ROWS, rows)) for at in range(0, rows, ROWS)]
        self._at = 0  # which of those windows is next
        self._last = np.zeros(rows, np.float32)  # newest sample of each row, for the emphasis
        self._heard = np.zeros(rows, np.int64)  # pushes since the row was reset, up to enough for a frame

    @property
    def steady(self) -> bool:
        """Whether every row has had enough sound for a frame, so that each push gives one."""
        return bool((self._heard >= self.hops_a_frame).all())

    def push_all(self, hops: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> None:
        """Take a hop of every row, all of them steady.

        Args:
            hops: (N, hop_length) float32, clean; not kept.
            out: (N, 1, F) float32 to write to instead of ``frames``; for ``plain`` features only.
        """
        self._make_room()
        emphasised = self._emphasised(hops)
        static = self._static if out is None else out
        end = (self._at + self.hops_a_frame) * self.hop_length
        windows = self._windows[self._at]
        for block in self._blocks:  # a block's samples are used while they are in the cache
            self._buffer[block, end - self.hop_length : end] = emphasised[block]
            self._kernel.compute(windows[block], static[block])
        self._at += 1
        if self._emphasis:
            self._last[:] = hops[:, -1]
        self._append_deltas(slice(None))

    def push(self, hops: NDArray[np.float32], active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Take a hop of some rows; the others wait as they are.

        Args:
            hops: (N, hop_length) float32, clean in the active rows; not kept.
            active: (N,) bool.

        Returns:
            (N,) bool, the rows that have a new frame in ``frames``.
        """
        self._make_room()
        waiting = np.flatnonzero(~active)
        begin = self._at * self.hop_length
        past = slice(begin, begin + (self.hops_a_frame - 1) * self.hop_length)
        held = self._buffer[waiting, past]
        quiet = hops.copy()
        quiet[waiting] = 0
        last = self._last.copy()
        self._heard[active] = np.minimum(self._heard[active] + 1, self.hops_a_frame)
        ready = active & (self._heard >= self.hops_a_frame)
        emphasised = self._emphasised(quiet)
        end = past.stop + self.hop_length
        for block in self._blocks:
            self._buffer[block, end - self.hop_length : end] = emphasised[block]
            self._kernel.compute(self._windows[self._at][block], self._static[block])
        self._at += 1
        # The window has moved on for all; what a waiting row had moves with it.
        self._buffer[waiting, past.start + self.hop_length : end] = held
        last[active] = quiet[active, -1]
        self._last = last
        self._append_deltas(np.flatnonzero(ready))
        return ready

    def reset(self, row: int) -> None:
        """A row as new: also the answer to a gap in it."""
        self._buffer[row] = 0
        self._heard[row] = 0
        self._last[row] = 0
        for stage in self._deltas:
            stage.fresh[row] = True

    def snapshot(self, row: int) -> Snapshot:
        """The state of a row, as plain values."""
        keep = (self.hops_a_frame - 1) * self.hop_length
        at = self._at * self.hop_length
        return snapshots.begin(
            _KIND,
            spec=self.spec.digest,
            past=self._buffer[row, at : at + keep].copy(),
            heard=int(self._heard[row]),
            last=self._last[row : row + 1].copy(),
            deltas=[None if s.fresh[row] else s.past[row].copy() for s in self._deltas],
        )

    def restore(self, row: int, snapshot: Snapshot) -> None:
        """Continue a row from a snapshot of any row of the same features."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "spec", self.spec.digest)
        keep = (self.hops_a_frame - 1) * self.hop_length
        past, deltas = np.asarray(values.get("past")), values.get("deltas")
        last, heard = snapshots.array(values, "last", "float32", (1,)), snapshots.number(values, "heard")
        fits = past.shape == (keep,) and isinstance(deltas, list) and len(deltas) == len(self._deltas)
        if not fits or not 0 <= heard <= self.hops_a_frame:
            raise SnapshotInvalid("snapshot of a batch row does not fit these features; save it again")
        self.reset(row)
        at = self._at * self.hop_length
        self._buffer[row, at : at + keep] = past
        self._heard[row], self._last[row] = heard, last[0]
        for stage, slopes in zip(self._deltas, deltas or [], strict=True):
            if slopes is not None:
                stage.past[row], stage.fresh[row] = slopes, False

    def _make_room(self) -> None:
        if self._at > _SPARE_HOPS:
            keep = (self.hops_a_frame - 1) * self.hop_length
            self._buffer[:, :keep] = self._buffer[:, self._at * self.hop_length :][:, :keep].copy()
            self._at = 0

    def _emphasised(self, hops: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._emphasis:
            return hops
        y: NDArray[np.float32] = hops.copy()
        y[:, 1:] -= self._emphasis * hops[:, :-1]
        y[:, 0] -= self._emphasis * self._last
        return y

    def _append_deltas(self, rows: slice | NDArray[np.intp]) -> None:
        if self.plain:
            return
        width = self._kernel.width
        values = self._static[rows, 0]
        self.frames[rows, 0, :width] = values
        for order, stage in enumerate(self._deltas, 1):
            values = stage.push(values, rows)
            self.frames[rows, 0, order * width : (order + 1) * width] = values


class _RowDeltas:
    """CausalDelta for many rows, one frame of each at a time."""

    def __init__(self, width: int, coefficients: int, rows: int) -> None:
        self._weights = regression_weights(width)
        self.past = np.zeros((rows, width - 1, coefficients), np.float32)
        self.fresh = np.ones(rows, np.bool_)

    def push(self, values: NDArray[np.float32], rows: slice | NDArray[np.intp]) -> NDArray[np.float32]:
        """(R, K) newest values of some rows to their (R, K) slopes."""
        past, fresh = self.past[rows], self.fresh[rows]
        past = np.where(fresh[:, None, None], values[:, None], past)
        line = np.concatenate([past, values[:, None]], axis=1)
        slopes: NDArray[np.float32] = self._weights[0] * line[:, 0]
        for j in range(1, len(self._weights)):  # term by term, as CausalDelta
            slopes += self._weights[j] * line[:, j]
        self.past[rows] = line[:, 1:]
        self.fresh[rows] = False
        return slopes


class _CopyKernel:
    """The Kernel of plain samples."""

    dtype = np.dtype(np.float32)

    def __init__(self, width: int) -> None:
        self.width = width

    def compute(self, frames: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        out[:, 0] = frames
