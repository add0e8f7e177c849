"""Assembly: the bundled model, a front and a head as one streaming graph."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from export.teaching.front import Front
from export.teaching.head import Head
from stream.inference.card import ModelCard, StateSpec

BASE, FRONT, HEAD = "base/", "front/", "taught/"
OPSET, IR = 17, 8


def assemble(
    base: onnx.ModelProto | None, card: ModelCard, front: Front, head: Head
) -> tuple[onnx.ModelProto, tuple[StateSpec, ...]]:
    """One graph (features, states...) -> (probs (N, T, C0 + C), states...), and its states.

    Args:
        base: a streaming model without its metadata, (features, states...) -> (probs (N, T, C0), states...); None = the
            taught sounds alone.
        card: of ``base``; its features are those of ``front``, and both give a row every frame.
        front: gives rows.
        head: logits of C sounds from them.
    """
    nodes, constants, states = [], [], []
    width = front.card.features.width
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", "T", width])]
    ends = []
    parts = [(FRONT, front.graph, "features", front.card.states)]
    if base is not None:
        parts.insert(0, (BASE, base, card.input, card.states))
    for prefix, graph, feature, had in parts:
        part = compose.add_prefix(graph, prefix).graph
        for node in part.node:
            node.input[:] = ["features" if name == prefix + feature else name for name in node.input]
        nodes += part.node
        constants += part.initializer
        for state in had:
            states.append(_renamed(state, prefix))
        inputs += [i for i in part.input if i.name != prefix + feature]
        kept = {prefix + state.output for state in had}
        ends += [o for o in part.output if o.name in kept]
    made = _head(head, f"{FRONT}embedding", None if base is None else f"{BASE}{card.output}")
    labels = len(head.bias) + (0 if base is None else len(card.labels))
    probs = helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["N", "R", labels])
    model = helper.make_model(
        helper.make_graph(
            [*nodes, *made.nodes],
            "taught",
            [*inputs, *made.inputs],
            [probs, *ends, *made.outputs],
            [*constants, *made.constants],
        ),
        opset_imports=[helper.make_opsetid("", _opset(*(graph for _, graph, _, _ in parts)))],
        producer_name="stream-classify",
    )
    model.ir_version = max(IR, *(graph.ir_version for _, graph, _, _ in parts))
    onnx.checker.check_model(model, full_check=True)
    return model, (*states, *made.states)


class _Part(msgspec.Struct):
    """A piece of a graph."""

    nodes: list[onnx.NodeProto]
    inputs: list[onnx.ValueInfoProto]
    outputs: list[onnx.ValueInfoProto]
    constants: list[onnx.TensorProto]
    states: list[StateSpec]


def _head(head: Head, rows: str, base: str | None) -> _Part:
    """Nodes from the rows to ``probs``; what an earlier row says is kept as state, not the row."""
    part = _Part([], [], [], [], [])

    def constant(name: str, value: NDArray[Any]) -> str:
        part.constants.append(numpy_helper.from_array(value, HEAD + name))
        return HEAD + name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        part.nodes.append(
            helper.make_node(kind, inputs, [output], HEAD + kind + str(len(part.nodes)), **attributes)
        )
        return output

    count = len(head.bias)
    terms = []
    axis, one = constant("axis", np.array([1], np.int64)), constant("begin", np.array([0], np.int64))
    for k, (delay, weight) in enumerate(zip(head.delays, head.weights, strict=True)):
        term = node("MatMul", [rows, constant(f"weights{k}", weight)], f"{HEAD}term{k}")
        if delay:
            state = StateSpec(
                input=f"{HEAD}past{k}", output=f"{HEAD}past{k}_out", shape=(-1, delay, count), batch_axis=0
            )
            part.states.append(state)
            part.inputs.append(
                helper.make_tensor_value_info(state.input, TensorProto.FLOAT, ["N", delay, count])
            )
            part.outputs.append(
                helper.make_tensor_value_info(state.output, TensorProto.FLOAT, ["N", delay, count])
            )
            joined = node("Concat", [state.input, term], f"{HEAD}joined{k}", axis=1)
            end = constant(f"end{k}", np.array([-delay], np.int64))
            last = constant(f"last{k}", np.array([np.iinfo(np.int64).max], np.int64))
            term = node("Slice", [joined, one, end, axis], f"{HEAD}late{k}")
            node("Slice", [joined, end, last, axis], state.output)
        terms.append(term)
    total = constant("bias", head.bias)
    for k, term in enumerate(terms):
        total = node("Add", [term, total], f"{HEAD}sum{k}")
    taught = node("Sigmoid", [total], f"{HEAD}probs" if base else "probs")
    if base:
        node("Concat", [base, taught], "probs", axis=2)
    return part


def _renamed(state: StateSpec, prefix: str) -> StateSpec:
    return msgspec.structs.replace(state, input=prefix + state.input, output=prefix + state.output)


def _opset(*graphs: onnx.ModelProto) -> int:
    versions = [int(each.version) for graph in graphs for each in graph.opset_import if each.domain == ""]
    return max(OPSET, *versions)
