"""One repetition of a loop as a graph of its own: the body of an ONNX Scan, which refers to nothing outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.recurrences.iterations import Mismatch
from export.recurrences.unrolled import Array, Unrolled

Cut = tuple[str, int, int]  # source, axis, offset: a sequence that is read frame by frame


class Body:
    """A graph under construction.

    Args:
        graph: the unrolled graph.
        prefix: of every name, so that none is one of the graph around.
    """

    def __init__(self, graph: Unrolled, prefix: str) -> None:
        self.graph = graph
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.cuts: dict[Cut, str] = {}
        self._stored: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._emitted: dict[tuple[object, ...], list[str]] = {}
        self._number = 0

    def fresh(self, hint: str) -> str:
        self._number += 1
        return f"{self.prefix}.{hint}.{self._number}"

    def constant(self, value: Any) -> str:
        array = np.array(value, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._stored:
            self._stored[key] = self.fresh("c")
            self._initializers.append(numpy_helper.from_array(array, self._stored[key]))
        return self._stored[key]

    def emit(self, proto: onnx.NodeProto, inputs: list[str]) -> list[str]:
        """A copy of an operator with other inputs; the same one twice is one."""
        attributes = tuple(sorted((a.name, a.SerializeToString()) for a in proto.attribute))
        key = (proto.op_type, tuple(inputs), attributes, len(proto.output))
        if key not in self._emitted:
            copy = onnx.NodeProto()
            copy.CopyFrom(proto)
            copy.name = self.fresh(proto.op_type)
            copy.input[:] = inputs
            copy.output[:] = [self.fresh("v") if name else "" for name in proto.output]
            self.nodes.append(copy)
            self._emitted[key] = list(copy.output)
        return self._emitted[key]

    def one(self, op: str, inputs: list[str], **attrs: Any) -> str:
        return self.emit(helper.make_node(op, inputs, ["out"], **attrs), inputs)[0]

    def frame(self, source: str, axis: int, offset: int, width: int) -> str:
        """Frame t + offset of a sequence; ``width`` of them along their axis, or without it for 0."""
        names = []
        for k in range(max(width, 1)):
            cut = (source, axis, offset + k)
            names.append(self.cuts.setdefault(cut, f"{self.prefix}.frame.{len(self.cuts)}"))
        if width == 0:
            return names[0]
        at = self.constant(np.array([axis], np.int64))
        kept = [self.one("Unsqueeze", [name, at]) for name in names]
        return kept[0] if width == 1 else self.one("Concat", kept, axis=axis)

    def fixed(self, name: str) -> str:
        """A tensor that depends on nothing, or on the number of streams alone."""
        two, three = self.graph.values(name)
        if two.shape == three.shape and np.array_equal(two, three):
            return self.constant(two)
        if two.shape == three.shape and np.issubdtype(two.dtype, np.integer):
            return self._sizes(two, three)
        axes = [i for i, (a, b) in enumerate(zip(two.shape, three.shape, strict=True)) if a != b]
        if len(axes) != 1 or not _same_rows(two, three, axes[0]):
            raise Mismatch("it reads values that depend on the number of streams")
        row = two.take([0], axis=axes[0])
        shape = [np.array([a], np.int64) for a in two.shape]
        parts = [
            self._sizes(shape[i], np.array([three.shape[i]], np.int64))
            if i in axes
            else self.constant(shape[i])
            for i in range(two.ndim)
        ]
        return self.one("Expand", [self.constant(row), self.one("Concat", parts, axis=0)])

    def _sizes(self, two: Array, three: Array) -> str:
        """Whole numbers that are either the same for any number of streams or a multiple of it."""
        changing = two != three
        if np.any(changing & ((two * 3 != three * 2) | (two % 2 != 0))):
            raise Mismatch("it reads a number that depends on the number of streams")
        times = np.where(changing, two // 2, 0)
        streams = self.streams()
        product = self.one("Mul", [streams, self.constant(times.reshape(-1))])
        total = self.one("Add", [product, self.constant(np.where(changing, 0, two).reshape(-1))])
        return self.one("Reshape", [total, self.constant(np.array(two.shape, np.int64))])

    def streams(self) -> str:
        """The number of streams, int64 (1,)."""
        for (source, axis, _), name in self.cuts.items():
            batch = self.graph.batch_axis(source)
            if batch is not None and batch != axis:
                place = batch - (batch > axis)
                return self.one("Shape", [name], start=place, end=place + 1)
        raise Mismatch("it reads no frames of a stream before it needs the number of streams")

    def make(
        self, states: list[tuple[str, str]], outputs: list[str], types: dict[str, int]
    ) -> onnx.GraphProto:
        """The graph: (states, frames) -> (next states, outputs).

        Args:
            states: name within, and tensor that becomes the next one.
            outputs: tensors to give out.
            types: element types of states, next states, frames and outputs.
        """
        results, used = [], set()
        for name in [after for _, after in states] + outputs:
            made = any(name in node.output for node in self.nodes)
            if not made or name in used:
                copy = self.fresh("copy")
                self.nodes.append(helper.make_node("Identity", [name], [copy], name=copy))
                types[copy] = types[name]
                name = copy
            used.add(name)
            results.append(name)
        incoming = [before for before, _ in states] + list(self.cuts.values())
        needed = set(results)
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        return helper.make_graph(
            kept[::-1],
            self.prefix,
            [helper.make_tensor_value_info(name, types[name], None) for name in incoming],
            [helper.make_tensor_value_info(name, types[name], None) for name in results],
            [t for t in self._initializers if t.name in needed],
        )


def element_type(array: Array) -> int:
    """ONNX's number for the type of an array."""
    kind: int = helper.np_dtype_to_tensor_dtype(array.dtype)
    return kind or TensorProto.FLOAT


def _same_rows(two: Array, three: Array, axis: int) -> bool:
    row = two.take([0], axis=axis)
    return bool(np.all(two == row) and np.all(three == row))
