"""Stepper: the carried state of a group of streams, and the quick way to advance it one hop.

A plain ``session.run`` spends more on checking and wrapping its arguments than a small GRU spends on arithmetic.
Here inputs and outputs are bound once to arrays that live as long as the stepper. State goes back and forth
between two sets of arrays (a graph may not read and write the same one), so it is never copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.inference.card import StateSpec
from stream.inference.options import run_options
from stream.inference.session import Model, State

BLOCK = 1024  # frames per call when many are waiting: enough to amortise the call, small enough for the cache


Rows = slice | NDArray[np.intp]  # which streams


def _place(spec: StateSpec, rows: Rows) -> tuple[Any, ...]:
    return (slice(None),) * spec.batch_axis + (rows,)


class Stepper:
    """State of N streams of one Model, advanced together.

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
        self.inputs = np.zeros((streams, card.stride, card.features.n_features), np.float32)
        self._probs: NDArray[np.float32] = np.zeros((streams, 1, len(card.labels)), np.float32)
        self._row, self._answer = self.inputs[0], self._probs[0]
        self._states = (model.initial_state(streams), model.initial_state(streams))
        self._now = 0  # which set of arrays holds the state
        self._session = model.session if streams > 1 or model.single is None else model.single
        # Bound arrays are plain host memory; on a GPU session.run moves them itself.
        self._steps = [self._bind(0), self._bind(1)] if model.provider == "cpu" else []

    def _bind(self, source: int) -> Callable[[], object]:
        """One step, from the state arrays ``source`` to the others."""
        import onnxruntime as ort

        card = self.model.card
        binding = self._session.io_binding()

        def value(array: NDArray[Any]) -> Any:
            return ort.OrtValue.ortvalue_from_numpy(array)  # aliases the array on CPU

        binding.bind_ortvalue_input(card.input, value(self.inputs))
        binding.bind_ortvalue_output(card.output, value(self._probs))
        for spec, before, after in zip(
            card.states, self._states[source], self._states[1 - source], strict=True
        ):
            binding.bind_ortvalue_input(spec.input, value(before))
            binding.bind_ortvalue_output(spec.output, value(after))
        inner, handle = getattr(self._session, "_sess", None), getattr(binding, "_iobinding", None)
        if inner is None or handle is None:  # private names, which another ONNX Runtime may not have
            return partial(self._session.run_with_iobinding, binding)
        # All that the public method adds here is a look for WebGPU, 0.4 of 6 microseconds, 30 with options.
        return partial(inner.run_with_iobinding, handle, run_options())

    @property
    def state(self) -> State:
        """A copy of the state, to keep, replay or send elsewhere."""
        return tuple(array.copy() for array in self._states[self._now])

    @state.setter
    def state(self, value: Sequence[NDArray[Any]]) -> None:
        for array, new in zip(self._states[self._now], value, strict=True):
            array[...] = new

    def rows_state(self, rows: Rows) -> State:
        """A copy of the state of some streams."""
        return tuple(
            array[_place(spec, rows)].copy()
            for spec, array in zip(self.model.card.states, self._states[self._now], strict=True)
        )

    def set_rows_state(self, rows: Rows, value: Sequence[NDArray[Any]]) -> None:
        """Give some streams the state that ``rows_state`` saved."""
        for spec, array, new in zip(self.model.card.states, self._states[self._now], value, strict=True):
            array[_place(spec, rows)] = new

    def reset(self, row: int | None = None) -> None:
        """Initial state for all streams, or for one ``row``."""
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
            self._steps[self._now]()
            self._now = 1 - self._now
        else:
            self._probs[...], self.state = self.model.step(self.inputs, self._states[self._now])
        return self._probs

    def run_one(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Advance the one stream by one stride: (stride, F) float32 to (1, C) float32, a new array."""
        self._row[...] = features
        if self._steps:  # as advance, without the call
            self._steps[self._now]()
            self._now = 1 - self._now
        else:
            self.advance()
        answer: NDArray[np.float32] = self._answer.copy()
        return answer

    def run(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Advance every stream by T frames.

        Args:
            features: (N, T, F) float32, T a multiple of the card's stride; not kept.

        Returns:
            (N, T / stride, C) float32, a new array.
        """
        frames = int(features.shape[1])
        if frames == self._stride:
            self.inputs[...] = features
            probs: NDArray[np.float32] = self.advance().copy()
            return probs
        if frames == 0:
            return np.empty((self.streams, 0, len(self.model.card.labels)), np.float32)
        block = max(1, BLOCK // self._stride) * self._stride
        parts: list[NDArray[np.float32]] = []
        state: State = self._states[self._now]
        for at in range(0, frames, block):
            probs, state = self.model.step(features[:, at : at + block], state)
            parts.append(probs)
        self.state = state
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
