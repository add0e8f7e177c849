"""Engines: what runs a model for one stream and carries its state. Three backs of one interface.

``LoneEngine`` serves one stream on the CPU, ``SlabRow`` is a row of the many that a ``SlabEngine`` advances together,
and ``DeviceEngine`` keeps its state where the model runs, on a GPU. They give the same probabilities: to the bit
between the first two, to rounding on another device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.inference.options import run_options
from stream.inference.session import Model, State
from stream.inference.state_table import Rows, SlabRow, StateTable, loaded, run_blocks, saved
from stream.snapshot import Snapshot


class Engine(Protocol):
    """Runs a model for one stream.

    Attributes:
        model: what is run; shared, not changed.
    """

    model: Model

    @property
    def state(self) -> State:
        """A copy of the carried arrays, one per StateSpec of the card, batch axis of length 1."""
        ...

    def run(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Advance by T frames.

        Args:
            frames: (T, F) float32, T a multiple of the card's stride; not kept.

        Returns:
            (T / stride, C) float32, a new array.
        """
        ...

    def reset(self) -> None:
        """The initial state."""
        ...

    def snapshot(self) -> Snapshot:
        """The state, as plain values. Any engine of the same model can restore it."""
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an engine of the same model."""
        ...


def make_engine(model: Model) -> Engine:
    """The engine for one stream of a model, where the model runs."""
    return LoneEngine(model) if model.provider == "cpu" else DeviceEngine(model)


class LoneEngine:
    """One stream on the CPU, at the least cost of a live step.

    Args:
        model: shared.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._slab = SlabEngine(model, 1)

    @property
    def state(self) -> State:
        return self._slab.state

    def run(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Engine."""
        rows: NDArray[np.float32] = self._slab.run(frames[None])[0]
        return rows

    def reset(self) -> None:
        """See Engine."""
        self._slab.reset()

    def snapshot(self) -> Snapshot:
        """See Engine."""
        return saved(self.model, self.state)

    def restore(self, snapshot: Snapshot) -> None:
        """See Engine."""
        self._slab.state = loaded(self.model, snapshot)


class DeviceEngine:
    """One stream whose state stays on the device between two steps; only frames and probabilities travel.

    Args:
        model: shared.
        device: as ONNX Runtime names it; None = where the model runs.
    """

    def __init__(self, model: Model, device: str | None = None) -> None:
        self.model = model
        self._device = device or ("cpu" if model.provider == "cpu" else "cuda")
        self._values: list[Any] = []
        self.reset()

    @property
    def state(self) -> State:
        return tuple(np.array(value.numpy()) for value in self._values)

    def run(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Engine."""
        card, session = self.model.card, self.model.session
        if not len(frames):
            return np.empty((0, len(card.labels)), np.float32)
        binding = session.io_binding()
        binding.bind_cpu_input(card.input, np.ascontiguousarray(frames[None]))
        binding.bind_output(card.output, "cpu")
        for spec, value in zip(card.states, self._values, strict=True):
            binding.bind_ortvalue_input(spec.input, value)
            binding.bind_output(spec.output, self._device)
        try:
            session.run_with_iobinding(binding, run_options())
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            raise self.model.step_failed(error) from None
        probs, *self._values = binding.get_outputs()
        rows: NDArray[np.float32] = np.array(probs.numpy()[0])
        return rows

    def reset(self) -> None:
        """See Engine."""
        self._set(self.model.initial_state())

    def snapshot(self) -> Snapshot:
        """See Engine."""
        return saved(self.model, self.state)

    def restore(self, snapshot: Snapshot) -> None:
        """See Engine."""
        self._set(loaded(self.model, snapshot))

    def _set(self, state: State) -> None:
        import onnxruntime as ort

        self._values = [ort.OrtValue.ortvalue_from_numpy(array, self._device, 0) for array in state]


class SlabEngine:
    """N streams of one model, advanced together.

    ONNX Runtime spends longer on looking at the arguments of a call than a small recurrent net on a step. So inputs and
    outputs are bound once to arrays that live as long as the engine. State goes back and forth between two sets of
    arrays (a graph may not read and write the same one), so it is never copied.

    Args:
        model: shared; not changed.
        streams: N.

    Attributes:
        inputs: (N, stride, F) float32, what ``advance`` reads.
    """

    def __init__(self, model: Model, streams: int = 1) -> None:
        self.model = model
        self.streams = streams
        card = model.card
        self._stride = card.stride
        self.inputs = np.zeros((streams, card.stride, card.features.width), np.float32)
        self._probs: NDArray[np.float32] = np.zeros((streams, 1, len(card.labels)), np.float32)
        self._tables = (StateTable(model, streams), StateTable(model, streams))
        self._now = 0  # which of them holds the state
        self.reset()
        # Bound arrays are plain host memory; on a GPU session.run moves them itself.
        self._steps = [self._bind(0), self._bind(1)] if model.provider == "cpu" else []

    def _bind(self, source: int) -> Callable[[], object]:
        """One step, from the state arrays ``source`` to the others."""
        import onnxruntime as ort

        card, session = self.model.card, self.model.session
        binding = session.io_binding()

        def value(array: NDArray[Any]) -> Any:
            return ort.OrtValue.ortvalue_from_numpy(array)  # aliases the array on CPU

        binding.bind_ortvalue_input(card.input, value(self.inputs))
        binding.bind_ortvalue_output(card.output, value(self._probs))
        for spec, before, after in zip(
            card.states, self._tables[source].arrays, self._tables[1 - source].arrays, strict=True
        ):
            binding.bind_ortvalue_input(spec.input, value(before))
            binding.bind_ortvalue_output(spec.output, value(after))
        inner, handle = getattr(session, "_sess", None), getattr(binding, "_iobinding", None)
        if inner is None or handle is None:  # private names, which another ONNX Runtime may not have
            return partial(session.run_with_iobinding, binding)
        # All that the public method adds here is a look for WebGPU, 0.4 of 6 microseconds, 30 with options.
        return partial(inner.run_with_iobinding, handle, run_options())

    @property
    def state(self) -> State:
        """A copy of the state, batch axis of length N."""
        return tuple(array.copy() for array in self._tables[self._now].arrays)

    @state.setter
    def state(self, value: Sequence[NDArray[Any]]) -> None:
        self.set_rows_state(slice(None), value)

    def row(self, row: int) -> SlabRow:
        """One of the streams, as an engine of its own."""
        return SlabRow(self, row)

    def rows_state(self, rows: Rows) -> State:
        """A copy of the state of some streams."""
        return self._tables[self._now].rows_state(rows)

    def set_rows_state(self, rows: Rows, value: Sequence[NDArray[Any]]) -> None:
        """Give some streams the state that ``rows_state`` saved."""
        self._tables[self._now].set_rows_state(rows, value)

    def reset(self, row: int | None = None) -> None:
        """The initial state for all streams, or for one ``row``."""
        if row is None:
            self.state = self.model.initial_state(self.streams)
        else:
            self.set_rows_state(slice(row, row + 1), self.model.initial_state(1))

    def advance(self) -> NDArray[np.float32]:
        """Advance every stream by the one stride of frames that ``inputs`` holds.

        Returns:
            (N, 1, C) float32, overwritten by the next call.
        """
        if self._steps:
            try:
                self._steps[self._now]()
            except Exception as error:  # ONNX Runtime's own exceptions share no base class
                raise self.model.step_failed(error) from None
            self._now = 1 - self._now
        else:
            self._probs[...], self.state = self.model.step(self.inputs, self._tables[self._now].arrays)
        return self._probs

    def run(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Advance every stream by T frames.

        Args:
            frames: (N, T, F) float32, T a multiple of the card's stride; not kept.

        Returns:
            (N, T / stride, C) float32, a new array.
        """
        count = int(frames.shape[1])
        if count == self._stride:
            self.inputs[...] = frames
            probs: NDArray[np.float32] = self.advance().copy()
            return probs
        probs, self.state = run_blocks(self.model, frames, self._tables[self._now].arrays)
        return probs
