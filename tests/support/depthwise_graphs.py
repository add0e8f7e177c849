"""Streaming graphs of one depthwise convolution over time in plain operators, right or slightly something else."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 5
END = np.iinfo(np.int64).max
Twist = Literal[
    "none",
    "two taps",
    "window is heard",
    "last tap missing",
    "taps in another order",
    "every second frame",
    "longer state",
    "state of something else",
    "tap is heard",
    "one weight for all",
    "maximum",
]
SAME = ("none", "two taps", "window is heard")


def depthwise_graph(twist: Twist = "none", dilation: int = 1) -> onnx.ModelProto:
    """(frames (N, T, C), past (N, (taps - 1) * dilation, C)) -> (heard, present), as the export writes it.

    Args:
        twist: what is unlike the operator, except for those of SAME.
        dilation: frames from tap to tap.
    """
    taps = 2 if twist == "two taps" else 3
    length = (taps - 1) * dilation
    kept = length + 1 if twist == "longer state" else length
    order = list(range(taps))
    if twist == "last tap missing":
        order.remove(2)
    if twist == "taps in another order":
        order = order[::-1]
    constants = {
        "axis": np.array([1]),
        "kept": np.array([-kept]),
        "end": np.array([END]),
        "step": np.array([2]),
    }
    offset = kept - length
    nodes = [
        helper.make_node("Concat", ["past", "frames"], ["window"], axis=1),
        helper.make_node(
            "Slice",
            ["frames" if twist == "state of something else" else "window", "kept", "end", "axis"],
            ["present"],
        ),
    ]
    parts = []
    for place, tap in enumerate(order):
        start = tap * dilation + offset
        end = start - length - offset
        constants[f"start {place}"] = np.array([start])
        constants[f"end {place}"] = np.array([end or END])
        constants[f"weight {place}"] = _weight(place, 1 if twist == "one weight for all" else CHANNELS)
        cut = ["window", f"start {place}", f"end {place}", "axis"]
        nodes.append(
            helper.make_node(
                "Slice", [*cut, "step"] if twist == "every second frame" else cut, [f"tap {place}"]
            )
        )
        nodes.append(helper.make_node("Mul", [f"tap {place}", f"weight {place}"], [f"part {place}"]))
        parts.append(f"part {place}")
    nodes.append(helper.make_node("Max" if twist == "maximum" else "Sum", parts, ["heard"]))
    outputs = [_tensor("heard", ("N", None, CHANNELS)), _tensor("present", ("N", None, CHANNELS))]
    if twist == "tap is heard":
        outputs.append(_tensor("part 0", ("N", None, CHANNELS)))
    if twist == "window is heard":
        outputs.append(_tensor("window", ("N", None, CHANNELS)))
    graph = helper.make_graph(
        nodes,
        "depthwise",
        [_tensor("frames", ("N", "T", CHANNELS)), _tensor("past", ("N", kept, CHANNELS))],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _weight(place: int, channels: int) -> NDArray[np.float32]:
    return np.random.default_rng(place).normal(size=channels).astype(np.float32)


def _tensor(name: str, shape: tuple[str | int | None, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
