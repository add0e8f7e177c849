"""An LSTM behind Masking: no operator holds its output on a masked frame, so it is a loop over frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from export.keras.graph_builder import Builder, Tensor

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Gates:
    """The weights of an LSTM as ONNX lays them out: gates i, o, f, c.

    Attributes:
        weight: (4 * H, F).
        recurrence: (4 * H, H).
        bias: (4 * H,): of the input and of the state together.
        activations: of gates, candidate and output: operator, alpha, beta.
    """

    weight: Array
    recurrence: Array
    bias: Array
    activations: list[tuple[str, float, float]]


def held_lstm(b: Builder, x: Tensor, gates: Gates, prefix: str) -> tuple[str, list[str]]:
    """Write it: on a masked frame state and output stay as they are, as Keras leaves them.

    Returns:
        The outputs (N, T, H), and the last output and cell state (N, H).
    """
    hidden = gates.recurrence.shape[1]
    streams = b.one("Shape", [x.name], start=0, end=1)
    start = b.one("ConstantOfShape", [b.one("Concat", [streams, b.ints(hidden)], axis=0)])
    _, cell, sequence = b.emit(
        "Scan",
        [start, start, x.name, x.mask],
        3,
        body=_body(gates, prefix),
        num_scan_inputs=2,
        scan_input_axes=[1, 1],
        scan_output_axes=[1],
    )
    last = b.one("Gather", [sequence, b.constant(np.int64(-1))], axis=1)
    return sequence, [last, cell]


def _body(gates: Gates, prefix: str) -> GraphProto:
    hidden = gates.recurrence.shape[1]

    def own(name: str) -> str:
        return f"{prefix}.{name}"

    constants: dict[str, Any] = {
        "weight": np.ascontiguousarray(gates.weight.T),
        "recurrence": np.ascontiguousarray(gates.recurrence.T),
        "bias": gates.bias,
        "half": np.float32(0.5),
        "sizes": np.full(4, hidden, np.int64),
    }
    nodes: list[NodeProto] = []

    def add(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        nodes.append(helper.make_node(op, [own(i) for i in inputs], [own(o) for o in outputs], **attributes))

    add("MatMul", ["frame", "weight"], ["from frame"])
    add("MatMul", ["h", "recurrence"], ["from state"])
    add("Add", ["from frame", "bias"], ["with bias"])
    add("Add", ["with bias", "from state"], ["all gates"])
    add("Split", ["all gates", "sizes"], ["i before", "o before", "f before", "c before"], axis=1)
    gate, candidate, output = gates.activations
    for name, activation in (("i", gate), ("o", gate), ("f", gate), ("c", candidate)):
        _activate(add, constants, activation, f"{name} before", f"{name} gate")
    add("Mul", ["f gate", "cell"], ["kept"])
    add("Mul", ["i gate", "c gate"], ["new"])
    add("Add", ["kept", "new"], ["next cell"])
    _activate(add, constants, output, "next cell", "shown")
    add("Mul", ["o gate", "shown"], ["next h"])
    add("Greater", ["mask", "half"], ["masked"])
    add("Where", ["masked", "h", "next h"], ["h after"])
    add("Where", ["masked", "cell", "next cell"], ["cell after"])
    add("Identity", ["h after"], ["row"])

    def declared(name: str, *shape: str | int) -> ValueInfoProto:
        return helper.make_tensor_value_info(own(name), TensorProto.FLOAT, shape or None)

    return helper.make_graph(
        nodes,
        prefix,
        [declared("h"), declared("cell"), declared("frame"), declared("mask")],
        [declared("h after"), declared("cell after"), declared("row", "N", hidden)],
        [numpy_helper.from_array(np.asarray(value), own(name)) for name, value in constants.items()],
    )


def _activate(
    add: Callable[..., None], constants: dict[str, Any], activation: tuple[str, float, float], x: str, y: str
) -> None:
    op, alpha, beta = activation
    if op == "Affine":
        constants[f"{y} alpha"], constants[f"{y} beta"] = np.float32(alpha), np.float32(beta)
        add("Mul", [x, f"{y} alpha"], [f"{y} scaled"])
        add("Add", [f"{y} scaled", f"{y} beta"], [y])
    elif op == "ScaledTanh":
        constants[f"{y} alpha"], constants[f"{y} beta"] = np.float32(alpha), np.float32(beta)
        add("Mul", [x, f"{y} beta"], [f"{y} scaled"])
        add("Tanh", [f"{y} scaled"], [f"{y} tanh"])
        add("Mul", [f"{y} tanh", f"{y} alpha"], [y])
    elif op == "HardSigmoid":
        add(op, [x], [y], alpha=alpha, beta=beta)
    elif op in ("LeakyRelu", "ThresholdedRelu", "Elu"):
        add(op, [x], [y], alpha=alpha)
    else:
        add(op, [x], [y])
