"""Run a streaming graph that has no card yet, chunk by chunk, and read its inner tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.streaming.probe import open_session
from stream.inference.card import StateSpec

Array = NDArray[Any]
State = tuple[Array, ...]


class StreamRunner:
    """A streaming graph with its states.

    Args:
        model: (features, states...) -> (output, states...).
        states: in the order of the graph.
        expose: names of further tensors to return from each step.
    """

    def __init__(
        self, model: onnx.ModelProto, states: Sequence[StateSpec], expose: Sequence[str] = ()
    ) -> None:
        self.states = tuple(states)
        self.expose = list(expose)
        self._features = model.graph.input[0].name
        self._outputs = [o.name for o in model.graph.output]
        if expose:
            changed = onnx.ModelProto()
            changed.CopyFrom(model)
            changed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in expose)
            model = changed
        self._session = open_session(model, optimise=not expose)

    def initial(self, streams: int) -> State:
        return tuple(state.initial(streams) for state in self.states)

    def step(self, x: Array, state: State) -> tuple[Array, State, list[Array]]:
        """One chunk (N, T, F): output (N, rows, C), the next state, exposed tensors."""
        feed = {self._features: x, **{s.input: v for s, v in zip(self.states, state, strict=True)}}
        values = self._session.run(self._outputs + self.expose, feed)
        count = 1 + len(self.states)
        return values[0], tuple(values[1:count]), values[count:]

    def run(self, x: Array, sizes: Sequence[int], state: State | None = None) -> tuple[Array, State]:
        """The whole of ``x`` (N, T, F) in chunks of these sizes, repeated as needed."""
        state = self.initial(len(x)) if state is None else state
        parts, at, turn = [], 0, 0
        while at < x.shape[1]:
            size = int(sizes[turn % len(sizes)])
            rows, state, _ = self.step(x[:, at : at + size], state)
            parts.append(rows)
            at += size
            turn += 1
        return np.concatenate(parts, axis=1), state
