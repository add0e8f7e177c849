"""Streaming graphs of one gated linear attention in plain operators, right or slightly something else."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS, KEYS, VALUES = 2, 3, 5
INPUTS = {"query": HEADS * KEYS, "key": HEADS * KEYS, "value": HEADS * VALUES, "opening": HEADS * KEYS}
Twist = Literal[
    "none",
    "swapped",
    "tanh gate",
    "memory is heard",
    "sum over values",
    "sum is kept",
    "other axis",
    "no fading",
]


def attention_graph(twist: Twist = "none", heads: int = HEADS) -> onnx.ModelProto:
    """(query, key, value, opening (N, T, heads * width), past (N, heads, keys, values)) -> (heard, present).

    Args:
        twist: what is unlike the attention; "swapped" only writes its products the other way round.
        heads: in which query, key and gate are divided; the value always in HEADS.
    """
    integers = {
        "keyed": [0, 0, heads, -1],
        "valued": [0, 0, HEADS, -1],
        "last": [-1],
        "rows": [-2],
        "packed": [0, 0, -1],
    }
    product, total = ("state", "gate"), ("faded", "more")
    if twist == "swapped":
        product, total = product[::-1], total[::-1]
    body = helper.make_graph(
        [
            helper.make_node("Sub" if twist == "no fading" else "Mul", product, ["faded"]),
            helper.make_node("Add", total, ["after"]),
            helper.make_node("Identity", ["after"], ["memory"]),
        ],
        "frame",
        [_tensor(name) for name in ("state", "gate", "more")],
        [_tensor(name) for name in ("after", "memory")],
    )
    outer = ("key column", "value row")
    asked = ("query column", "memories")
    if twist == "swapped":
        outer, asked = outer[::-1], asked[::-1]
    keep = 1 if twist == "sum is kept" else 0
    nodes = [
        helper.make_node("Tanh" if twist == "tanh gate" else "Sigmoid", ["opening"], ["fade"]),
        *_outer("fade", "keyed", "last", "column"),
        *_outer("query", "keyed", "last", "column"),
        *_outer("key", "keyed", "last", "column"),
        *_outer("value", "valued", "rows", "row"),
        helper.make_node("Mul", outer, ["added"]),
        helper.make_node(
            "Scan",
            ["past", "fade column", "added"],
            ["present", "memories"],
            name="memory",
            body=body,
            num_scan_inputs=2,
            scan_input_axes=[1, 1],
            scan_output_axes=[1],
        ),
        helper.make_node("Mul", asked, ["answers"]),
        helper.make_node(
            "ReduceSum",
            ["answers", "last" if twist == "sum over values" else "rows"],
            ["summed"],
            keepdims=keep,
        ),
        helper.make_node("Reshape", ["summed", "packed"], ["heard"]),
    ]
    outputs = [_tensor("heard", ("N", "T", None)), _tensor("present", ("N", HEADS, KEYS, VALUES))]
    if twist == "memory is heard":
        outputs.append(_tensor("memories", ("N", "T", HEADS, KEYS, VALUES)))
    graph = helper.make_graph(
        nodes,
        "attention",
        [
            *(_tensor(name, ("N", "T", width)) for name, width in INPUTS.items()),
            _tensor("past", ("N", HEADS, KEYS, VALUES)),
        ],
        outputs,
        [numpy_helper.from_array(np.array(values), name) for name, values in integers.items()],
    )
    if twist == "other axis":
        for attribute in next(node for node in graph.node if node.op_type == "Scan").attribute:
            if attribute.name == "scan_output_axes":
                attribute.ints[0] = 2
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _outer(name: str, shape: str, axis: str, kind: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Reshape", [name, shape], [f"{name} by head"]),
        helper.make_node("Unsqueeze", [f"{name} by head", axis], [f"{name} {kind}"]),
    ]


def _tensor(name: str, shape: tuple[str | int | None, ...] | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
