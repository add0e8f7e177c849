"""Depthwise convolution over time: ``com.microsoft.CausalConvWithState`` for taps and their sum.

What the export writes for it is a window of the state and the new frames, a slice of it for every tap, and the sum of
the slices times their weights. For one stream, frame by frame, the operator takes two thirds of the time; for many
streams at once it is slower. It adds up the taps in the same order: both give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.conversion.stream_operators.plain_graph import PlainGraph
from export.conversion.stream_operators.replacement import DOMAIN, Replacement

NAME = "CausalConvWithState"
_TO_THE_END = np.iinfo(np.int32).max  # and above: the end of a slice that has none


@dataclass(frozen=True)
class _Found:
    """A depthwise convolution of plain operators.

    Attributes:
        frames: tensor (N, T, C).
        past, present: the state before and after, (N, (taps - 1) * dilation, C).
        weight: (C, 1, taps) float32.
        dilation: frames from tap to tap.
        result: tensor (N, T, C).
    """

    frames: str
    past: str
    present: str
    weight: NDArray[np.float32]
    dilation: int
    result: str


def find(graph: PlainGraph) -> list[Replacement]:
    """Every such convolution of the graph, as the operator that computes it."""
    found = [each for node in graph.nodes if (each := _convolution(graph, node)) is not None]
    return [
        Replacement(
            each.result,
            [_operator(each)],
            [numpy_helper.from_array(each.weight, _weight_name(each))],
            frozenset([each.present]),
        )
        for each in found
    ]


def _weight_name(each: _Found) -> str:
    return f"{each.result} taps"


def _operator(each: _Found) -> onnx.NodeProto:
    return helper.make_node(
        NAME,
        [each.frames, _weight_name(each), "", each.past],
        [each.result, each.present],
        name=each.result,
        domain=DOMAIN,
        channels_last=1,
        dilation=each.dilation,
    )


def meaning(opsets: Sequence[onnx.OperatorSetIdProto]) -> onnx.FunctionProto:
    """CausalConvWithState with its channels last and without a bias, for any kernel, of plain operators.

    output[t] is the sum over taps k of weight[k] * window[t + k * dilation], where the window is the state and then the
    input; the next state is the window's end.
    """

    def constant(name: str, *values: int) -> onnx.NodeProto:
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(values)))

    def whole(name: str, value: int) -> onnx.NodeProto:
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(value)))

    dilation = helper.make_node("Constant", [], ["apart"])
    dilation.attribute.append(
        onnx.AttributeProto(name="value_int", ref_attr_name="dilation", type=onnx.AttributeProto.INT)
    )
    nodes = [
        whole("zero", 0),
        whole("one", 1),
        whole("two", 2),
        constant("axis", 1),
        constant("taps_axis", 2),
        constant("end", np.iinfo(np.int64).max),
        dilation,
        helper.make_node("Concat", ["past", "input"], ["window"], axis=1),
        helper.make_node("Shape", ["past"], ["past_shape"]),
        helper.make_node("Gather", ["past_shape", "axis"], ["kept"]),
        helper.make_node("Neg", ["kept"], ["start"]),
        helper.make_node("Slice", ["window", "start", "end", "axis"], ["present"]),
        helper.make_node("Shape", ["input"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["frames"]),
        helper.make_node("Range", ["zero", "frames", "one"], ["times"]),
        helper.make_node("Unsqueeze", ["times", "axis"], ["time_column"]),
        helper.make_node("Shape", ["weight"], ["weight_shape"]),
        helper.make_node("Gather", ["weight_shape", "two"], ["taps"]),
        helper.make_node("Range", ["zero", "taps", "one"], ["tap"]),
        helper.make_node("Mul", ["tap", "apart"], ["lag"]),
        helper.make_node("Add", ["time_column", "lag"], ["where"]),
        helper.make_node("Gather", ["window", "where"], ["seen"], axis=1),  # (N, T, taps, C)
        helper.make_node("Transpose", ["weight"], ["turned"], perm=[1, 2, 0]),  # (1, taps, C)
        helper.make_node("Mul", ["seen", "turned"], ["parts"]),
        helper.make_node("ReduceSum", ["parts", "taps_axis"], ["output"], keepdims=0),
    ]
    return helper.make_function(
        DOMAIN,
        NAME,
        ["input", "weight", "bias", "past"],
        ["output", "present"],
        nodes,
        opsets,
        attributes=["channels_last", "dilation"],
    )


def _convolution(graph: PlainGraph, total: onnx.NodeProto) -> _Found | None:
    """The convolution that ``total`` adds up; None if it adds up something else."""
    if total.op_type not in ("Sum", "Add") or len(total.input) < 2:
        return None
    taps = [_tap(graph, name) for name in total.input]
    first = taps[0]
    if first is None:
        return None
    window = first[0]
    joined = graph.maker(window, "Concat")
    weights, starts, ends = [], [], []
    for tap in taps:
        if tap is None or tap[0] != window or tap[3].shape != first[3].shape:
            return None
        starts.append(tap[1])
        ends.append(tap[2])
        weights.append(tap[3])
    if joined is None or len(joined.input) != 2 or [a.i for a in joined.attribute] != [1]:
        return None
    past, frames = joined.input
    dilation = starts[1]
    length = dilation * (len(starts) - 1)
    last = [end if end < _TO_THE_END else 0 for end in ends]
    if (
        dilation < 1
        or starts != [dilation * k for k in range(len(starts))]
        or last != [start - length for start in starts]
        or graph.inputs.get(past, ())[1:] != (length, len(first[3]))
    ):
        return None
    present = _next_state(graph, window, length)
    if present is None:
        return None
    weight = np.ascontiguousarray(np.stack(weights, axis=1)[:, None].astype(np.float32))
    return _Found(frames, past, present, weight, dilation, total.output[0])


def _tap(graph: PlainGraph, name: str) -> tuple[str, int, int, NDArray[Any]] | None:
    """A product of a slice over time with a weight for each channel: window, start, end, weight (C,)."""
    product = graph.maker(name, "Mul")
    if product is None or graph.only_user(name) is None:
        return None
    weight = graph.value(product.input[1])
    cut = _slice(graph, product.input[0])
    if weight is None or weight.ndim != 1 or weight.dtype != np.float32 or cut is None:
        return None
    return (*cut, weight)


def _slice(graph: PlainGraph, name: str) -> tuple[str, int, int] | None:
    """What ``name`` is a slice of over time, in steps of 1, and from where to where."""
    node = graph.maker(name, "Slice")
    if node is None or len(node.input) != 4:
        return None
    starts, ends, axes = (graph.integers(each) for each in node.input[1:])
    return (node.input[0], starts[0], ends[0]) if axes == [1] and len(starts) == len(ends) == 1 else None


def _next_state(graph: PlainGraph, window: str, length: int) -> str | None:
    """The output that keeps the window's last ``length`` frames."""
    for node in graph.users(window):
        (name,) = node.output
        cut = _slice(graph, name)
        if name in graph.outputs and cut is not None and cut[1] == -length and cut[2] >= _TO_THE_END:
            return None if graph.users(name) else name
    return None
