"""Slab: many streams in lockstep, one hop of each at a time, for a fraction of what each alone would cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.errors import SpecError, UsageError
from stream.features.batch import BatchFrontEnd
from stream.features.conditioner import MAX_GAP_SECONDS
from stream.inference.engine import SlabEngine
from stream.inference.session import Model
from stream.snapshot import Snapshot

_KIND = "slab row"


class Slab:
    """N streams of one Model, each given one hop a push. A row's probabilities are, to the bit, those of a
    StreamClassifier of its own that hears the same samples.

    Rows join, leave, wait and lose sound on their own, without changing the others. A hop must be clean sound: what may
    hold invalid samples goes through a Conditioner first. All rows are computed, whether they have sound or not: keep a
    slab about as large as the number of its streams.

    Args:
        model: shared; any model, of any stride and front end.
        streams: N. All have joined at the start.
        max_gap: longest gap over which a row's state is carried, seconds.

    Raises:
        SpecError: fewer than one stream.

    Attributes:
        hop_length: samples a stream a push.
    """

    def __init__(self, model: Model, streams: int, *, max_gap: float = MAX_GAP_SECONDS) -> None:
        if streams < 1:
            raise SpecError(f"streams {streams}: must be 1 or more")
        spec = model.card.features
        self.model = model
        self.streams = streams
        self.hop_length = spec.hop_length
        self._max_gap = round(max_gap * spec.sample_rate)
        self._engine = SlabEngine(model, streams)
        self._front_end = BatchFrontEnd(spec, streams)
        self._stride = model.card.stride
        self._frames_held = np.zeros(streams, np.int64)  # of a row's next stride
        self._joined = np.ones(streams, np.bool_)
        self._steady = False  # every row has joined and gives a row of probabilities a push
        self._direct = self._stride == 1 and self._front_end.plain  # frames go straight to the engine

    def __repr__(self) -> str:
        return f"Slab({self.model.id}, {int(self._joined.sum())} of {self.streams} streams)"

    def join(self, row: int) -> None:
        """A new stream in ``row``, as new, in place of any that was there."""
        self._clear(row)
        self._joined[row] = True

    def leave(self, row: int) -> None:
        """No stream in ``row`` until something joins there."""
        self._clear(row)
        self._joined[row] = False

    def gap(self, row: int, samples: int) -> None:
        """The stream in ``row`` lost ``samples`` samples before its next hop: as in a StreamClassifier, no frame spans
        the gap, and the state is carried over a short gap and reset after a long one."""
        if samples < 1:
            raise UsageError(f"gap of {samples} samples: must be 1 or more")
        self._front_end.reset(row)
        self._frames_held[row] = 0
        self._steady = False
        if samples > self._max_gap:
            self._engine.reset(row)

    def push(self, hops: NDArray[np.float32], active: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Take the next hop of every stream.

        Args:
            hops: (N, hop_length) float32, clean; not kept. Rows without a stream are not looked at.
            active: (N,) bool, False for streams that have no hop this time; they wait as they are. None = all.

        Returns:
            (N, C) float32, a new array; NaN where a row has nothing to say: no stream, not active, not yet a whole
            frame, or not yet a whole stride of frames.
        """
        if hops.shape != (self.streams, self.hop_length):
            raise UsageError(f"hops of shape {hops.shape}: want {(self.streams, self.hop_length)}")
        if self._steady and active is None:
            self._front_end.push_all(hops, self._engine.inputs)
            probs: NDArray[np.float32] = self._engine.advance()[:, 0].copy()
            return probs
        return self._push_some(hops, self._joined if active is None else self._joined & active)

    def snapshot(self, row: int) -> Snapshot:
        """The stream in ``row`` as plain values, to go on in another row, slab or process."""
        held = int(self._frames_held[row])
        return snapshots.begin(
            _KIND,
            front_end=self._front_end.snapshot(row),
            engine=self._engine.row(row).snapshot(),
            held=self._engine.inputs[row, :held].copy()
            if self._stride > 1
            else self._engine.inputs[row, :0].copy(),
        )

    def restore(self, row: int, snapshot: Snapshot) -> None:
        """Join ``row`` with a stream that ``snapshot`` saved; SnapshotInvalid if it is of another model."""
        values = snapshots.check(snapshot, _KIND)
        held = snapshots.array(values, "held", "float32", (-1, self.model.card.features.width))
        self._engine.row(row).restore(snapshots.inner(values, "engine"))
        self._front_end.restore(row, snapshots.inner(values, "front_end"))
        self._engine.inputs[row, : len(held)] = held
        self._frames_held[row] = len(held)
        self._joined[row] = True
        self._steady = False

    def _push_some(self, hops: NDArray[np.float32], active: NDArray[np.bool_]) -> NDArray[np.float32]:
        """As ``push``, and put back every row that has no stride of frames this time."""
        ready = self._front_end.push(hops, active)
        rows = np.flatnonzero(ready)
        inputs = self._engine.inputs
        inputs[rows, self._frames_held[rows]] = self._front_end.frames[rows, 0]
        self._frames_held[rows] += 1
        complete = self._frames_held == self._stride
        answers = np.full((self.streams, len(self.model.labels)), np.nan, np.float32)
        if complete.any():
            silent = np.flatnonzero(~complete)
            before = self._engine.rows_state(silent)
            probs = self._engine.advance()[:, 0]
            self._engine.set_rows_state(silent, before)
            answers[complete] = probs[complete]
            self._frames_held[complete] = 0
        self._steady = self._direct and bool(self._joined.all()) and self._front_end.steady
        return answers

    def _clear(self, row: int) -> None:
        self._engine.reset(row)
        self._front_end.reset(row)
        self._frames_held[row] = 0
        self._steady = False
