"""StateTable: the carried arrays of many streams of one model, a row each, and rows of it as engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.errors import SnapshotInvalid
from stream.inference.card import StateSpec
from stream.inference.session import Model, State
from stream.snapshot import Snapshot

BLOCK_FRAMES = 1024  # a call when many are waiting: enough to amortise it, small enough for the cache
Rows = slice | NDArray[np.intp]  # which streams

_KIND = "engine"


class HoldsRows(Protocol):
    """What holds the states of streams: a table, or something with one inside."""

    model: Model

    def rows_state(self, rows: Rows) -> State:
        """A copy of the state of some streams: the arrays of the card, batch axis as long as ``rows``."""
        ...

    def set_rows_state(self, rows: Rows, value: Sequence[NDArray[Any]]) -> None:
        """Give some streams the state that ``rows_state`` saved."""
        ...


class StateTable:
    """States of N streams. See `HoldsRows`.

    Memory of a row that was never set is not used, where the system gives it out by the page.

    Args:
        model: whose; every row is zeros until it is reset or set.
        streams: N.

    Attributes:
        streams: N.
        arrays: one per StateSpec of the card, batch axis of length N.
    """

    def __init__(self, model: Model, streams: int) -> None:
        self.model, self.streams = model, streams
        self.arrays: State = tuple(
            np.zeros(
                [streams if axis == spec.batch_axis else size for axis, size in enumerate(spec.shape)],
                spec.dtype,
            )
            for spec in model.card.states
        )

    def rows_state(self, rows: Rows) -> State:
        """See HoldsRows."""
        return tuple(
            array[_batch_index(spec, rows)].copy()
            if isinstance(rows, slice)
            else array[_batch_index(spec, rows)]
            for spec, array in zip(self.model.card.states, self.arrays, strict=True)
        )

    def set_rows_state(self, rows: Rows, value: Sequence[NDArray[Any]]) -> None:
        """See HoldsRows."""
        for spec, array, new in zip(self.model.card.states, self.arrays, value, strict=True):
            array[_batch_index(spec, rows)] = new


class SlabRow:
    """One row as an engine of its own: it can run ahead, be saved and moved while the others wait.

    Args:
        table: what holds the state.
        row: which stream.
    """

    def __init__(self, table: HoldsRows, row: int) -> None:
        self.model = table.model
        self._table = table
        self._rows = slice(row, row + 1)

    @property
    def state(self) -> State:
        return self._table.rows_state(self._rows)

    def run(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Engine. The other rows stay as they are."""
        probs, state = run_blocks(self.model, frames[None], self.state)
        self._table.set_rows_state(self._rows, state)
        rows: NDArray[np.float32] = probs[0]
        return rows

    def reset(self) -> None:
        """See Engine."""
        self._table.set_rows_state(self._rows, self.model.initial_state(1))

    def snapshot(self) -> Snapshot:
        """See Engine."""
        return saved(self.model, self.state)

    def restore(self, snapshot: Snapshot) -> None:
        """See Engine."""
        self._table.set_rows_state(self._rows, loaded(self.model, snapshot))


def run_blocks(model: Model, frames: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
    """``Model.step`` over any number of frames, in blocks that fit the cache: (N, T, F) to (N, T / stride, C)."""
    stride, count = model.card.stride, int(frames.shape[1])
    block = max(1, BLOCK_FRAMES // stride) * stride
    parts: list[NDArray[np.float32]] = []
    for at in range(0, count, block):
        probs, state = model.step(frames[:, at : at + block], state)
        parts.append(probs)
    if not parts:
        return np.empty((len(frames), 0, len(model.card.labels)), np.float32), state
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1), state


def _batch_index(spec: StateSpec, rows: Rows) -> tuple[Any, ...]:
    return (slice(None),) * spec.batch_axis + (rows,)


def saved(model: Model, state: State) -> Snapshot:
    """The state of one stream as an engine's snapshot."""
    names = [spec.input for spec in model.card.states]
    return snapshots.begin(_KIND, model=model.sha256, state=dict(zip(names, state, strict=True)))


def loaded(model: Model, snapshot: Snapshot) -> State:
    """What ``saved`` was given; SnapshotInvalid where it does not fit the model."""
    values = snapshots.check(snapshot, _KIND)
    snapshots.same(values, "model", model.sha256)
    state = snapshots.inner(values, "state")
    arrays = []
    for spec in model.card.states:
        shape = tuple(1 if i == spec.batch_axis else size for i, size in enumerate(spec.shape))
        array = state.get(spec.input)
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != spec.dtype:
            raise SnapshotInvalid(
                f"snapshot of 'engine': state {spec.input} does not fit the model; save it again"
            )
        arrays.append(array.copy())
    return tuple(arrays)
