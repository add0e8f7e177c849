"""Operators made for streams against what they stand for: ``python -m tests.benchmarks.stream_operators``.

Two pairs, each run in turn in one process, with the same inputs: gated linear attention as ``LinearAttention`` and as
a Scan, and a depthwise convolution as ``CausalConvWithState`` and in the plain form that the export writes. Needs a
runtime that has both operators (ONNX Runtime 1.32).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.conversion.stream_operators import with_stream_operators
from export.streaming import streamify
from export.streaming.probe import open_session
from tests.support.attention_graphs import HEADS, INPUTS, KEYS, VALUES, attention_graph

SHAPES = ((1, 1), (16, 1), (256, 1), (1, 100), (1, 3000))  # streams, frames
CHANNELS, KERNEL = 64, 3
TURN_SECONDS = 1.0


def attention(streams: int, frames: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """A call of the operator, and one of the Scan."""
    plain = attention_graph()
    changed = with_stream_operators(plain)
    assert changed is not None
    rng = np.random.default_rng(0)
    feed = {
        name: rng.normal(size=(streams, frames, width)).astype(np.float32) for name, width in INPUTS.items()
    }
    feed["past"] = np.zeros((streams, HEADS, KEYS, VALUES), np.float32)
    quick, slow = open_session(changed), open_session(plain)
    return lambda: quick.run(None, feed), lambda: slow.run(None, feed)


def depthwise(streams: int, frames: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """A call of the operator, and one of the plain form that the export writes."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(CHANNELS, 1, KERNEL)).astype(np.float32)
    made = streamify(_offline(weight), rng.normal(size=(1, 50, CHANNELS)).astype(np.float32))
    x = rng.normal(size=(streams, frames, CHANNELS)).astype(np.float32)
    plain = open_session(made.model)
    feed = {"features": x}
    feed |= {
        each.name: np.zeros(
            (streams, *(d.dim_value for d in each.type.tensor_type.shape.dim[1:])), np.float32
        )
        for each in made.model.graph.input[1:]
    }
    operator = open_session(_operator(weight))
    past = np.zeros((streams, CHANNELS, KERNEL - 1), np.float32)
    return lambda: operator.run(None, {"features": x, "past": past}), lambda: plain.run(None, feed)


def _offline(weight: np.ndarray) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Transpose", ["features"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["turned", "weight"], ["y"], group=CHANNELS, pads=[KERNEL - 1, 0]),
        helper.make_node("Transpose", ["y"], ["out"], perm=[0, 2, 1]),
    ]
    return _model(nodes, ["features"], [("N", "T", CHANNELS)], ["out"], weight)


def _operator(weight: np.ndarray) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Transpose", ["features"], ["turned"], perm=[0, 2, 1]),
        helper.make_node(
            "CausalConvWithState", ["turned", "weight", "", "past"], ["y", "present"], domain="com.microsoft"
        ),
        helper.make_node("Transpose", ["y"], ["out"], perm=[0, 2, 1]),
    ]
    shapes: list[tuple[str | int, ...]] = [("N", "T", CHANNELS), ("N", CHANNELS, KERNEL - 1)]
    return _model(nodes, ["features", "past"], shapes, ["out", "present"], weight)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[str],
    shapes: list[tuple[str | int, ...]],
    outputs: list[str],
    weight: np.ndarray,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "depthwise",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in zip(inputs, shapes, strict=True)
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, (None, None, None)) for name in outputs],
        [numpy_helper.from_array(weight, "weight")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def compare(pair: tuple[Callable[[], object], Callable[[], object]]) -> tuple[float, float, float]:
    """Median microseconds of both, and the median ratio of turns."""
    times: list[tuple[float, float]] = []
    end = time.perf_counter() + TURN_SECONDS
    while time.perf_counter() < end or len(times) < 5:
        turn = []
        for call in pair:
            begin = time.perf_counter()
            call()
            turn.append(time.perf_counter() - begin)
        times.append((turn[0], turn[1]))
    medians = [1e6 * statistics.median(column) for column in zip(*times, strict=True)]
    return medians[0], medians[1], statistics.median(a / b for a, b in times)


def main() -> None:
    """Print a table."""
    for name, make in (("LinearAttention, Scan", attention), ("CausalConvWithState, plain", depthwise)):
        print(f"{name:30} {'streams':>8} {'frames':>7} {'µs':>9} {'µs':>9} {'ratio':>6}")
        for streams, frames in SHAPES:
            first, second, ratio = compare(make(streams, frames))
            print(f"{'':30} {streams:8} {frames:7} {first:9.1f} {second:9.1f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
