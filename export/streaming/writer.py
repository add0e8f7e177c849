"""Writer: collects nodes, constants and states of the streaming graph."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stream.inference.card import StateSpec, pack_array

Array = NDArray[Any]
END = np.iinfo(np.int64).max
_ELEMENT = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
# Axes of a streaming tensor: whether streams ("N") and frames ("T") are in each, and the size of the rest.
Dims = list[tuple[frozenset[str], int]]


class Writer:
    """A graph under construction. Tensor names are made here and are unique."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.states: list[StateSpec] = []
        self.clock_input: str | None = None
        self._updates: dict[str, str] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._arrays: dict[str, Array] = {}
        self._used: set[str] = {""}
        self._once: dict[tuple[str, ...], str] = {}
        self._reshaped: dict[str, tuple[Dims, Dims]] = {}

    def fresh(self, hint: str) -> str:
        name, number = hint, 0
        while name in self._used:
            number += 1
            name = f"{hint}.{number}"
        self._used.add(name)
        return name

    def emit(self, op: str, inputs: list[str], hint: str, count: int = 1, **attrs: Any) -> list[str]:
        """Add a node; returns the names of its outputs."""
        outputs = [self.fresh(hint if i == 0 else f"{hint}.{i}") for i in range(count)]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attrs))
        return outputs

    def once(self, op: str, inputs: list[str], hint: str, **attrs: Any) -> str:
        """As ``one``; the node that is there already if it is the same."""
        key = (op, *inputs, str(attrs))
        if key not in self._once:
            self._once[key] = self.one(op, inputs, hint, **attrs)
        return self._once[key]

    def one(self, op: str, inputs: list[str], hint: str, **attrs: Any) -> str:
        return self.emit(op, inputs, hint, **attrs)[0]

    def transpose(self, name: str, perm: list[int], hint: str = "transposed") -> str:
        """Transpose, joined with the transposition that made ``name`` if there is one; nothing if that cancels.

        Where ``name`` was reshaped behind the axes that change places, it is turned before that, for the same reason.
        """
        source = self.made(name)
        if name in self._reshaped and source is not None:
            start, after = self._reshaped[name]
            pairs = list(zip(start, after, strict=False))
            same = next((i for i, (before, now) in enumerate(pairs) if before != now), len(pairs))
            moved = [place for place, axis in enumerate(perm) if place != axis]
            sizes = [prod(size for _, size in dims[same:]) for dims in (start, after)]
            fixed = not any(names for names, _ in start[same:] + after[same:])
            if moved and moved[-1] < same and fixed and sizes[0] == sizes[1]:  # else frames were stacked
                rest = list(range(same, len(start)))
                inner = self.transpose(source.input[0], perm[:same] + rest, hint)
                changed = [after[axis] for axis in perm]
                shape = [0] * same + [size for _, size in after[same:]]
                return self.reshape(inner, shape, hint, ([*changed[:same], *start[same:]], changed))
        if source is not None and source.op_type == "Transpose":
            before = list(source.attribute[0].ints)
            perm, name = [before[axis] for axis in perm], source.input[0]
        return name if perm == sorted(perm) else self.one("Transpose", [name], hint, perm=perm)

    def reshape(
        self, name: str, shape: list[int], hint: str = "reshaped", dims: tuple[Dims, Dims] | None = None
    ) -> str:
        """Reshape, of what reshapings before it started from; nothing if that has the shape already.

        Args:
            shape: a size of 0 keeps that of the input's axis.
            dims: axes of ``name`` and of the result, where they are known.
        """
        start = dims[0] if dims is not None else None
        while (source := self.made(name)) is not None and source.op_type == "Reshape":
            before = self._arrays.get(source.input[1])
            kept = [place for place, size in enumerate(shape) if size == 0]
            if kept and (before is None or any(before[place] for place in kept)):
                break
            start = self._reshaped[name][0] if name in self._reshaped and start is not None else None
            name = source.input[0]
            if dims is not None and start == dims[1]:
                return name
        made = self.one("Reshape", [name, self.ints(*shape)], hint)
        if dims is not None and start is not None:
            self._reshaped[made] = start, dims[1]
        return made

    def beneath(self, name: str, emit: Callable[[str], str]) -> str:
        """Emit an operator that works on each value alone before its input is reshaped and turned, not after.

        Then what moved the values can meet what moves them on, and cancel; and a Relu stands behind its product.
        """
        source = self.made(name)
        if source is None or source.op_type not in ("Reshape", "Transpose"):
            return emit(name)
        inner = self.beneath(source.input[0], emit)
        attrs = {a.name: helper.get_attribute_value(a) for a in source.attribute}
        moved = self.one(source.op_type, [inner, *source.input[1:]], "moved", **attrs)
        if name in self._reshaped:
            self._reshaped[moved] = self._reshaped[name]
        return moved

    def made(self, name: str) -> onnx.NodeProto | None:
        """The node that makes a tensor; None for inputs and constants."""
        return next((node for node in reversed(self.nodes) if name in node.output), None)

    def constant(self, value: Any, hint: str = "c") -> str:
        """Store an array once and return its name."""
        array = np.array(value, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self.fresh(hint)
            self._constants[key] = name
            self._arrays[name] = array
        return self._constants[key]

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def slice(self, name: str, start: int, end: int, axis: int, hint: str, step: int = 1) -> str:
        steps = [self.ints(step)] if step != 1 else []
        return self.one("Slice", [name, self.ints(start), self.ints(end), self.ints(axis), *steps], hint)

    def state(self, shape: tuple[int, ...], init: Array) -> str:
        """Declare a carried tensor; returns the graph input that holds it.

        Args:
            shape: dimensions with the batch as -1.
            init: start value, float32 or int64, of ``shape`` without the batch axis.
        """
        number = len(self.states)
        names = self.fresh(f"h{number}"), self.fresh(f"h{number}_out")
        level = init.flat[0] if init.size else 0.0
        uniform = bool(np.all(init == level)) and bool(np.isfinite(level))
        self.states.append(
            StateSpec(
                input=names[0],
                output=names[1],
                shape=shape,
                batch_axis=shape.index(-1),
                dtype="int64" if init.dtype == np.int64 else "float32",
                init=float(level) if uniform else pack_array(init),
            )
        )
        return names[0]

    def update(self, state: str, tensor: str) -> None:
        """Name the tensor that becomes the state of the next step."""
        self._updates[state] = tensor

    def model(
        self, feature_input: str, n_features: int, result: str, output: str, n_classes: int
    ) -> onnx.ModelProto:
        """Assemble the graph: (features, states...) -> (``result`` named ``output``, states...), no unused nodes."""
        made = {name for node in self.nodes for name in node.output}
        wanted: dict[str, str] = {}
        finals = [(result, output)] + [(self._updates[s.input], s.output) for s in self.states]
        for tensor, final in finals:
            if tensor not in made or tensor in wanted:
                tensor = self.one("Identity", [tensor], "copy")
            wanted[tensor] = final
        nodes = _reachable(self.nodes, set(wanted))
        for node in nodes:
            node.input[:] = [wanted.get(name, name) for name in node.input]
            node.output[:] = [wanted.get(name, name) for name in node.output]
        used = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes,
            "stream",
            [helper.make_tensor_value_info(feature_input, TensorProto.FLOAT, ["N", "T", n_features])]
            + [_declare(s, s.input) for s in self.states],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", "rows", n_classes])]
            + [_declare(s, s.output) for s in self.states],
            [numpy_helper.from_array(a, name) for name, a in self._arrays.items() if name in used],
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=8 if self.opset < 19 else 10,
            producer_name="stream-classify",
        )


def _declare(state: StateSpec, name: str) -> onnx.ValueInfoProto:
    shape = ["N" if d == -1 else d for d in state.shape]
    return helper.make_tensor_value_info(name, _ELEMENT[state.dtype], shape)


def _reachable(nodes: list[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]
