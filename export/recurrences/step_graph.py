"""ONNX graphs with their own states as offline graphs: their step becomes the body of a Scan over frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.recurrences.state_names import Pairing, pair_states
from export.streaming.normalise import at_opset
from export.streaming.probe import open_session
from stream.errors import NotStreamable

Array = NDArray[Any]
_PREFIX = "step"


class StepGraph:
    """A graph (features, states...) -> (scores, states...).

    Args:
        model: features (N, F), or (N, T, F) with T free or 1; states with one row a stream, on one axis.
        width: F.
        output_index: which of the outputs that are no states.
        opset: of the offline graph.

    Raises:
        NotStreamable: which outputs are the next states cannot be told, or it does not run so.
    """

    def __init__(self, model: onnx.ModelProto, width: int, output_index: int, opset: int) -> None:
        paired = pair_states(model.graph)
        if isinstance(paired, str):
            raise NotStreamable(f"the graph has several inputs, and {paired}")
        self.pairing: Pairing = paired
        if not -len(paired.outputs) <= output_index < len(paired.outputs):
            raise NotStreamable(
                f"output_index {output_index}: the graph has {len(paired.outputs)} output(s) besides states"
            )
        self.output = paired.outputs[output_index]
        self.model = at_opset(model, opset)
        self.width = width
        self._session = open_session(model)
        inputs = {value.name: value for value in model.graph.input}
        self._chunked = len(inputs[paired.features].type.tensor_type.shape.dim) == 3
        self._values = {name: inputs[name].type.tensor_type for name, _ in paired.states}
        self._shapes = {name: self._shape(name) for name, _ in paired.states}
        self._prove()

    def _shape(self, name: str) -> tuple[int, ...]:
        """Shape of a state with its batch axis as -1."""
        sizes = [d.dim_value or -1 for d in self._values[name].shape.dim]
        if sizes.count(-1) != 1:
            raise NotStreamable(
                f"state {name!r} has the shape {sizes} with -1 for what is free: exactly its axis of streams must be "
                "free; export it with a dynamic batch axis, and fixed sizes otherwise"
            )
        return tuple(sizes)

    def initial(self, streams: int) -> dict[str, Array]:
        """States of new streams: zeros."""
        return {
            name: np.zeros(
                [streams if d == -1 else d for d in shape],
                helper.tensor_dtype_to_np_dtype(self._values[name].elem_type),
            )
            for name, shape in self._shapes.items()
        }

    def run(self, x: Array) -> Array:
        """(N, T, F) -> (N, T, C), a frame at a time, with the states fed back."""
        state, rows = self.initial(len(x)), []
        for t in range(x.shape[1]):
            scores, state = self._step(x[:, t : t + 1], state)
            rows.append(scores)
        return np.concatenate(rows, axis=1)

    def _step(self, x: Array, state: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        names = [self.output, *(after for _, after in self.pairing.states)]
        given = x if self._chunked else x[:, 0]
        scores, *after = self._session.run(names, {self.pairing.features: given, **state})
        scores = scores if self._chunked and scores.ndim == 3 else scores[:, None]
        return scores, dict(zip(state, after, strict=True))

    def _prove(self) -> None:
        """Run it: states keep their shapes, streams do not influence each other."""
        x = np.random.default_rng(3).standard_normal((3, 4, self.width)).astype(np.float32)
        try:
            rows, state = self._step(x[:, :1], self.initial(3))
            _, again = self._step(x[:, 1:2], state)
            together, alone = self.run(x), self.run(x[1:2])
        except Exception as error:  # ORT's own exception classes derive from Exception only
            reason = str(error).strip().splitlines()[-1][:200]
            raise NotStreamable(
                f"the graph does not run with its states, a frame at a time ({reason})"
            ) from error
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in again.items()}:
            raise NotStreamable("the states of the graph change their shapes from step to step; keep them")
        if rows.ndim != 3 or rows.shape[:2] != (3, 1):
            raise NotStreamable(
                f"the graph gives scores of shape {list(rows.shape)} for one frame; give (N, C)"
            )
        if not np.allclose(together[1:2], alone, rtol=0, atol=1e-5):
            raise NotStreamable(
                "the streams of a batch influence each other in the graph; keep them independent"
            )

    def offline(self) -> onnx.ModelProto:
        """(N, T, F) -> (N, T, C)."""
        body = onnx.GraphProto()
        body.CopyFrom(self.model.graph)
        rename = {
            name: f"{_PREFIX}.{name}" for node in body.node for name in [*node.input, *node.output] if name
        }
        rename.update({v.name: f"{_PREFIX}.{v.name}" for v in [*body.input, *body.output, *body.initializer]})
        for node in body.node:
            node.input[:] = [rename.get(name, name) for name in node.input]
            node.output[:] = [rename.get(name, name) for name in node.output]
        for tensor in body.initializer:
            tensor.name = rename[tensor.name]
        features, scores = rename[self.pairing.features], rename[self.output]
        frame, row = features, scores
        if self._chunked:
            frame, axis = f"{_PREFIX}.frame", f"{_PREFIX}.time"
            body.initializer.append(numpy_helper.from_array(np.array([1], np.int64), axis))
            body.node.insert(0, helper.make_node("Unsqueeze", [frame, axis], [features]))
            row = f"{_PREFIX}.row"
            body.node.append(helper.make_node("Squeeze", [scores, axis], [row]))
        kinds = {name: self._values[name].elem_type for name, _ in self.pairing.states}
        del body.input[:], body.output[:], body.value_info[:]
        body.input.extend(_declared(rename[name], kinds[name]) for name, _ in self.pairing.states)
        body.input.append(_declared(frame, TensorProto.FLOAT))
        body.output.extend(_declared(rename[after], kinds[name]) for name, after in self.pairing.states)
        body.output.append(_declared(row, TensorProto.FLOAT))
        body.name = _PREFIX
        nodes, starts, arrays = self._starts()
        finals = [f"final.{k}" for k in range(len(starts))]
        nodes.append(
            helper.make_node(
                "Scan",
                [*starts, "features"],
                [*finals, "offline"],
                name="step of the graph",
                body=body,
                num_scan_inputs=1,
                scan_input_axes=[1],
                scan_output_axes=[1],
            )
        )
        graph = helper.make_graph(
            nodes,
            "offline",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", "T", self.width])],
            [helper.make_tensor_value_info("offline", TensorProto.FLOAT, None)],
            arrays,
        )
        imports = list(self.model.opset_import)
        return helper.make_model(graph, opset_imports=imports, ir_version=self.model.ir_version)

    def _starts(self) -> tuple[list[onnx.NodeProto], list[str], list[onnx.TensorProto]]:
        """Zeros for every stream."""
        nodes = [helper.make_node("Shape", ["features"], ["streams"], start=0, end=1)]
        arrays, names = [], []
        for k, (name, state) in enumerate(self.initial(1).items()):
            shape = self._shapes[name]
            parts = []
            for at, size in enumerate(shape):
                parts.append("streams" if size == -1 else f"start.{k}.{at}")
                if size != -1:
                    arrays.append(numpy_helper.from_array(np.array([size], np.int64), f"start.{k}.{at}"))
            arrays.append(
                numpy_helper.from_array(state.reshape(-1)[:1].reshape([1] * len(shape)), f"start.{k}.zero")
            )
            nodes.append(helper.make_node("Concat", parts, [f"start.{k}.shape"], axis=0))
            nodes.append(helper.make_node("Expand", [f"start.{k}.zero", f"start.{k}.shape"], [f"start.{k}"]))
            names.append(f"start.{k}")
        return nodes, names, arrays


def _declared(name: str, kind: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, None)
