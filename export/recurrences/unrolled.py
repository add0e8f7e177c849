"""The graph of a network traced on a short sound, with the value of every tensor for 2 and for 3 streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from export.streaming.probe import open_session
from export.streaming.synthetic_features import synthetic_features

Array = NDArray[Any]
# Operators that make or move values and compute none.
_MOVES = {
    "Cast", "Concat", "ConstantOfShape", "Expand", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze",
    "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """One frame of a longer tensor, as a step of a loop reads it.

    Attributes:
        source: the longer tensor.
        axis: along which it is cut.
        index: of the frame; the first of them, if there are several.
        width: how many; 0 = one, without the axis.
    """

    source: str
    axis: int
    index: int
    width: int = 0


class Unrolled:
    """A traced graph.

    Args:
        model: with one input (N, T, F).
        example: (N, L, F), where L is the length it was traced with.

    Attributes:
        model: a copy without Constant nodes.
        nodes: those that compute, in order, without the ones that only cut out frames.
        frames: tensor -> which frame of which tensor it is.
        length: L.
    """

    def __init__(self, model: onnx.ModelProto, example: Array) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.length = example.shape[1]
        self._inline_constants()
        graph = self.model.graph
        self.feature = graph.input[0].name
        self._run(example)
        self.varying = {self.feature}
        for node in graph.node:
            if node.op_type not in ("Shape", "Size") and self.varying.intersection(node.input):
                self.varying.update(node.output)
        self.frames = self._frames()
        self.nodes = self._sequence()

    def _sequence(self) -> list[onnx.NodeProto]:
        """The product of a matrix and zeros, in the first step, is one of the operators as well."""
        computed: set[str] = set()
        nodes = []
        for node in self.model.graph.node:
            if self.varying.intersection(node.output):
                taken = not all(name in self.frames for name in node.output)
            else:
                two, three = self.values(node.output[0])
                grows = two.dtype == np.float32 and two.shape != three.shape
                taken = grows and (node.op_type not in _MOVES or bool(computed.intersection(node.input)))
            if taken:
                computed.update(node.output)
                nodes.append(node)
        return nodes

    def _inline_constants(self) -> None:
        graph = self.model.graph
        kept = []
        for node in graph.node:
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if node.op_type == "Constant" and value is not None:
                graph.initializer.append(
                    numpy_helper.from_array(numpy_helper.to_array(value), node.output[0])
                )
            else:
                kept.append(node)
        del graph.node[:]
        graph.node.extend(kept)

    def _run(self, example: Array) -> None:
        graph = self.model.graph
        stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        exposed = onnx.ModelProto()
        exposed.CopyFrom(self.model)
        names = [name for node in graph.node for name in node.output if name]
        del exposed.graph.output[:]
        exposed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
        session = open_session(exposed)
        noise = np.random.default_rng(7)
        self._values: list[dict[str, Array]] = []
        for streams in (2, 3):
            x = synthetic_features(example, streams, self.length, noise)
            values = session.run(None, {self.feature: x})
            self._values.append({**stored, self.feature: x, **dict(zip(names, values, strict=True))})

    def values(self, name: str) -> tuple[Array, Array]:
        """A tensor for 2 and for 3 streams."""
        return self._values[0][name], self._values[1][name]

    def batch_axis(self, name: str) -> int | None:
        """The axis with one row a stream; None if there is none."""
        two, three = self.values(name)
        for axis, (a, b) in enumerate(zip(two.shape, three.shape, strict=True)):
            if (a, b) == (2, 3):
                return axis
        return None

    def _frames(self) -> dict[str, Frame]:
        found: dict[str, Frame] = {}
        for node in self.model.graph.node:
            if not node.input or node.input[0] not in self.varying:
                continue
            frame = self._cut(node, found)
            if isinstance(frame, Frame):
                found[node.output[0]] = frame
            elif frame:
                found.update(dict(zip(node.output, frame, strict=True)))
        counts: dict[tuple[str, int], set[int]] = {}
        for frame in found.values():
            counts.setdefault((frame.source, frame.axis), set()).add(frame.index)
        size = {key: self.values(key[0])[0].shape[key[1]] for key in counts}
        return {
            name: frame
            for name, frame in found.items()
            if len(counts[frame.source, frame.axis]) > 0.6 * size[frame.source, frame.axis] >= 4
            and size[frame.source, frame.axis] > 0.6 * frame.width
        }

    def _cut(self, node: onnx.NodeProto, found: dict[str, Frame]) -> Frame | list[Frame] | None:
        attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        source = node.input[0]
        shape = self.values(source)[0].shape
        if any(name in self.varying for name in node.input[1:]):
            return None
        given = [self.values(name)[0].reshape(-1) if name else None for name in node.input[1:]]
        if node.op_type == "Gather":
            axis = int(attrs.get("axis", 0)) % len(shape)
            index = self.values(node.input[1])[0]
            if index.size != 1:
                return None
            return Frame(source, axis, int(index.reshape(-1)[0]) % shape[axis], int(index.ndim > 0))
        if node.op_type == "Slice":
            numbers = [int(g[0]) for g in given if g is not None and g.size == 1]
            if len(numbers) != len(given) or len(numbers) < 3:
                return None
            axis = numbers[2] % len(shape)
            step = numbers[3] if len(numbers) > 3 else 1
            first, last, step = slice(numbers[0], numbers[1], step).indices(shape[axis])
            short = step == 1 and 0 < last - first <= shape[axis] // 2
            return Frame(source, axis, first, last - first) if short else None
        if node.op_type == "Split" and len(node.output) > 4:
            axis = int(attrs.get("axis", 0)) % len(shape)
            if len(node.output) == shape[axis]:
                return [Frame(source, axis, i, 1) for i in range(shape[axis])]
        if node.op_type == "Squeeze" and source in found and given and given[0] is not None:
            cut = found[source]
            axes = [int(a) % len(shape) for a in given[0]]
            if axes == [cut.axis] and cut.width == 1:
                return Frame(cut.source, cut.axis, cut.index)
        return None
