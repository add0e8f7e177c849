"""Gated linear attention: ``com.microsoft.LinearAttention`` for a Scan and what is around it.

S[t] = gate[t] * S[t - 1] + key[t] outer value[t], and what it gives is query[t] @ S[t]: a state matrix that fades and
takes in a frame's values. One frame takes 0.6 of the Scan's time, one frame of 256 streams 0.3, a second of sound 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.conversion.stream_operators.plain_graph import PlainGraph
from export.conversion.stream_operators.replacement import DOMAIN, Replacement

NAME = "LinearAttention"


@dataclass(frozen=True)
class _Found:
    """A gated linear attention of plain operators.

    Attributes:
        scan: carries the matrix, (N, heads, keys, values).
        query, key, value, gate: tensors (N, T, heads * width), before they are divided by head.
        heads: how many.
        result: (N, T, heads, values).
    """

    scan: onnx.NodeProto
    query: str
    key: str
    value: str
    gate: str
    heads: int
    result: str


def find(graph: PlainGraph) -> list[Replacement]:
    """Every attention of the graph, as the operator that computes it."""
    reader = _Reader(graph)
    found = [each for node in graph.nodes if (each := reader.attention(node)) is not None]
    return [
        Replacement(
            each.result,
            _operator(each),
            [numpy_helper.from_array(np.array([0, 0, each.heads, -1]), _shape_name(each))],
            frozenset(each.scan.output),
        )
        for each in found
    ]


def _operator(each: _Found) -> list[onnx.NodeProto]:
    """The operator takes the logarithm of the gate, and gives its heads side by side."""
    name = each.scan.name
    state, *_ = each.scan.input
    carried, *_ = each.scan.output
    logarithm, packed = f"{name} logarithm", f"{name} packed"
    return [
        helper.make_node("Log", [each.gate], [logarithm], name=logarithm),
        helper.make_node(
            NAME,
            [each.query, each.key, each.value, state, logarithm],
            [packed, carried],
            name=name,
            domain=DOMAIN,
            q_num_heads=each.heads,
            kv_num_heads=each.heads,
            update_rule="gated",
            scale=1.0,
        ),
        helper.make_node("Reshape", [packed, _shape_name(each)], [each.result], name=f"{name} by head"),
    ]


def _shape_name(each: _Found) -> str:
    return f"{each.scan.name} heads"


def meaning(opsets: Sequence[onnx.OperatorSetIdProto]) -> onnx.FunctionProto:
    """LinearAttention by its gated rule, for any number of heads and any widths, of plain operators.

    S[t] = exp(decay[t]) * S[t - 1] + key[t] outer value[t], and what it gives is query[t] @ S[t].
    """

    def constant(name: str, *values: int) -> onnx.NodeProto:
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(values)))

    def by_head(tensor: str, shape: str, axis: str) -> list[onnx.NodeProto]:
        return [
            helper.make_node("Reshape", [tensor, shape], [f"{tensor}_heads"]),
            helper.make_node("Unsqueeze", [f"{tensor}_heads", axis], [f"{tensor}_outer"]),
        ]

    frame = helper.make_graph(
        [
            helper.make_node("Mul", ["gate", "before"], ["faded"]),
            helper.make_node("Add", ["faded", "more"], ["after"]),
            helper.make_node("Identity", ["after"], ["memory"]),
        ],
        "frame",
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in ("before", "gate", "more")
        ],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("after", "memory")],
    )
    nodes = [
        constant("zero", 0),
        constant("one", 1),
        constant("two", 2),
        constant("three", 3),
        constant("four", 4),
        constant("same", 0, 0),
        constant("last", -1),
        constant("but_one", -2),
        constant("packed", 0, 0, -1),
        helper.make_node("Shape", ["past"], ["shape"]),
        helper.make_node("Slice", ["shape", "one", "three"], ["heads_keys"]),
        helper.make_node("Slice", ["shape", "one", "two"], ["heads"]),
        helper.make_node("Slice", ["shape", "three", "four"], ["values"]),
        helper.make_node("Concat", ["same", "heads_keys"], ["keyed"], axis=0),
        helper.make_node("Concat", ["same", "heads", "values"], ["valued"], axis=0),
        helper.make_node("Exp", ["decay"], ["fade"]),
        *by_head("query", "keyed", "last"),
        *by_head("key", "keyed", "last"),
        *by_head("value", "valued", "but_one"),
        *by_head("fade", "keyed", "last"),
        helper.make_node("Mul", ["key_outer", "value_outer"], ["added"]),
        helper.make_node(
            "Scan",
            ["past", "fade_outer", "added"],
            ["present", "memories"],
            body=frame,
            num_scan_inputs=2,
            scan_input_axes=[1, 1],
            scan_output_axes=[1],
        ),
        helper.make_node("Mul", ["query_outer", "memories"], ["found"]),
        helper.make_node("ReduceSum", ["found", "but_one"], ["summed"], keepdims=0),
        helper.make_node("Reshape", ["summed", "packed"], ["output"]),
    ]
    return helper.make_function(
        DOMAIN,
        NAME,
        ["query", "key", "value", "past", "decay"],
        ["output", "present"],
        nodes,
        opsets,
        attributes=["q_num_heads", "kv_num_heads", "update_rule", "scale"],
    )


class _Reader:
    """Looks for the plain form, from the Scan outwards."""

    def __init__(self, graph: PlainGraph) -> None:
        self._graph = graph

    def attention(self, scan: onnx.NodeProto) -> _Found | None:
        """The attention that ``scan`` is the memory of; None if it is something else."""
        if scan.op_type != "Scan" or not _is_fading_sum(scan):
            return None
        _, faded, added = scan.input
        gate = self._by_head(self._unsqueezed(faded, -1))
        outer = self._graph.maker(added, "Mul")
        result = self._summed(scan.output[1])
        if gate is None or outer is None or result is None or not self._is_positive(gate[0]):
            return None
        columns = [self._by_head(self._unsqueezed(name, -1)) for name in outer.input]
        rows = [self._by_head(self._unsqueezed(name, -2)) for name in outer.input]
        key, value = (columns[0], rows[1]) if columns[0] and rows[1] else (columns[1], rows[0])
        asked, found = result
        query = self._by_head(self._unsqueezed(asked, -1))
        if key is None or value is None or query is None:
            return None
        heads = {gate[1], key[1], value[1], query[1]}
        if len(heads) != 1:
            return None
        return _Found(scan, query[0], key[0], value[0], gate[0], heads.pop(), found)

    def _unsqueezed(self, name: str, axis: int) -> str | None:
        """What ``name`` is with one more axis, the last of five or that before it."""
        node = self._graph.maker(name, "Unsqueeze")
        return (
            node.input[0]
            if node is not None and self._graph.integers(node.input[1]) in ([axis], [axis + 5])
            else None
        )

    def _by_head(self, name: str | None) -> tuple[str, int] | None:
        """The tensor (N, T, heads * width) that is divided by head here, and how many heads."""
        node = self._graph.maker(name, "Reshape")
        shape = [] if node is None else self._graph.integers(node.input[1])
        if node is None or len(shape) != 4 or shape[:2] not in ([0, 0], [0, -1]) or shape[2] < 1:
            return None
        return node.input[0], shape[2]

    def _is_positive(self, name: str) -> bool:
        """Whether a tensor cannot be negative, so that it has a logarithm, if need be minus infinity."""
        node = self._graph.maker(name, "Sigmoid", "Exp", "Softplus", "Mul")
        if node is None:
            value = self._graph.value(name)
            return value is not None and bool(np.all(value > 0))
        return node.op_type != "Mul" or all(map(self._is_positive, node.input))

    def _summed(self, memories: str) -> tuple[str, str] | None:
        """The query by which the memories are asked, with one more axis, and what they answer."""
        node = self._graph.only_user(memories)
        if node is not None and node.op_type == "Identity":
            memories = node.output[0]
            node = self._graph.only_user(memories)
        if node is None or node.op_type != "Mul":
            return None
        asked = next((name for name in node.input if name != memories), None)
        total = self._graph.only_user(node.output[0])
        if asked is None or total is None or total.op_type != "ReduceSum" or len(total.input) != 2:
            return None
        keeps = any(each.name == "keepdims" and each.i for each in total.attribute)
        keeps = keeps or all(each.name != "keepdims" for each in total.attribute)  # 1 where it is not said
        if keeps or self._graph.integers(total.input[1]) not in ([-2], [3]):
            return None
        return asked, total.output[0]


def _is_fading_sum(scan: onnx.NodeProto) -> bool:
    """Whether a Scan over axis 1 is: state = first * state + second, each state given out."""
    attributes: dict[str, Any] = {each.name: helper.get_attribute_value(each) for each in scan.attribute}
    body = attributes.pop("body")
    if attributes != {"num_scan_inputs": 2, "scan_input_axes": [1, 1], "scan_output_axes": [1]}:
        return False
    if (
        len(scan.input) != 3
        or len(scan.output) != 2
        or [node.op_type for node in body.node] != ["Mul", "Add", "Identity"]
    ):
        return False
    product, total, copy = body.node
    state, first, second = (each.name for each in body.input)
    return (
        set(product.input) == {state, first}
        and set(total.input) == {product.output[0], second}
        and list(copy.input) == list(total.output)
        and [each.name for each in body.output] == [total.output[0], copy.output[0]]
    )
