"""What a loop gives for each frame, where that is made of its new state alone: it is computed behind the loop."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.streaming.loops.forms import NoForm

_MOST = 24  # operators


@dataclass(frozen=True)
class Row:
    """An output of a loop.

    Attributes:
        output: its name outside.
        nodes: operators of the body that make it of h (N, H).
        state, result: tensors of the body: h, and what it becomes.
        arrays: constants of the body.
        axis: of time in the output.
        new_axis: of the output, of size 1, if a frame has one more than h; then that is all.
    """

    output: str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    state: str = ""
    result: str = ""
    arrays: list[onnx.TensorProto] = field(default_factory=list)
    axis: int = 0
    new_axis: int | None = None

    def written(self, rows: str, one: str, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
        """Operators that make the output of all values of h, (T, 1, N, H); constants go into the graph.

        Args:
            rows: the values.
            one: the axis of directions.
            graph: the one around the loop.
        """
        base = f"{self.output}.rows"
        if not self.nodes and not self.axis:
            return [helper.make_node("Squeeze", [rows, one], [self.output], name=self.output)]
        made = [helper.make_node("Squeeze", [rows, one], [f"{base}.h"], name=f"{base}.h")]
        if self.new_axis is not None:
            graph.initializer.append(
                numpy_helper.from_array(np.array([self.new_axis], np.int64), f"{base}.axis")
            )
            made.append(
                helper.make_node("Unsqueeze", [f"{base}.h", f"{base}.axis"], [self.output], name=self.output)
            )
            return made
        if self.axis:
            made.append(
                helper.make_node("Transpose", [f"{base}.h"], [f"{base}.t"], name=f"{base}.t", perm=[1, 0, 2])
            )
        first = f"{base}.t" if self.axis else f"{base}.h"
        if not self.nodes:
            made[-1].output[0] = self.output
            return made
        hidden = f"{base}.flat"
        end, whole = f"{base}.end", f"{base}.whole"
        graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), end))
        made += [
            helper.make_node("Shape", [first], [f"{base}.both"], name=f"{base}.both", start=0, end=2),
            helper.make_node("Concat", [f"{base}.both", end], [whole], name=whole, axis=0),
            helper.make_node("Flatten", [first], [hidden], name=hidden, axis=2),
        ]
        names = {self.state: hidden}
        for tensor in self.arrays:
            kept = onnx.TensorProto()
            kept.CopyFrom(tensor)
            kept.name = names[tensor.name] = f"{base}.{tensor.name}"
            graph.initializer.append(kept)
        for node in self.nodes:
            moved = onnx.NodeProto()
            moved.CopyFrom(node)
            moved.name = f"{base}.{node.output[0]}"
            names.update((name, f"{base}.{name}") for name in node.output)
            moved.input[:] = [names.get(name, name) for name in node.input]
            moved.output[:] = [names[name] for name in node.output]
            made.append(moved)
        made.append(helper.make_node("Reshape", [names[self.result], whole], [self.output], name=self.output))
        return made


def read_row(body: onnx.GraphProto, result: str, state: str, output: str, axis: int) -> Row:
    """An output of a loop.

    Args:
        body: of the loop.
        result: what it gives for a frame.
        state: the new h.
        output: the name outside.
        axis: of time outside.

    Raises:
        NoForm: it is made of more than h, or has another form than (N, C).
    """
    made = {name: node for node in body.node for name in node.output if name}
    stored = {tensor.name: tensor for tensor in body.initializer}
    while result in made and made[result].op_type == "Identity":
        result = made[result].input[0]
    while state in made and made[state].op_type == "Identity":
        state = made[state].input[0]
    if axis not in (0, 1):
        raise NoForm
    if result == state:
        return Row(output, axis=axis)
    last = made.get(result)
    if last is not None and last.op_type == "Unsqueeze" and last.input[0] == state:
        (new,) = numpy_helper.to_array(stored[last.input[1]]).reshape(-1).tolist()
        place = new % 3 if axis else new % 3 + 1
        if axis and place:
            raise NoForm
        return Row(output, axis=axis, new_axis=place)
    nodes: list[onnx.NodeProto] = []
    waiting, seen = [result], {state}
    arrays: dict[str, onnx.TensorProto] = {}
    while waiting:
        name = waiting.pop()
        if name in seen or not name:
            continue
        seen.add(name)
        if name in stored:
            arrays[name] = stored[name]
        elif name in made and made[name].op_type not in ("Unsqueeze", "Squeeze", "Reshape", "Transpose"):
            if made[name] not in nodes:
                nodes.append(made[name])
            waiting += made[name].input
        else:
            raise NoForm
    if len(nodes) > _MOST:
        raise NoForm
    order = [node for node in body.node if node in nodes]
    return Row(output, order, state, result, list(arrays.values()), axis)
