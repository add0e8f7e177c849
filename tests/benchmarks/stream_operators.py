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
CHANNELS, KERNEL, DILATION = 64, 3, 2
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
    plain = streamify(_offline(rng), rng.normal(size=(1, 50, CHANNELS)).astype(np.float32)).model
    changed = with_stream_operators(plain)
    assert changed is not None
    past = (streams, (KERNEL - 1) * DILATION, CHANNELS)
    feed = {
        plain.graph.input[0].name: rng.normal(size=(streams, frames, CHANNELS)).astype(np.float32),
        plain.graph.input[1].name: np.zeros(past, np.float32),
    }
    quick, slow = open_session(changed), open_session(plain)
    return lambda: quick.run(None, feed), lambda: slow.run(None, feed)


def _offline(rng: np.random.Generator) -> onnx.ModelProto:
    weight = rng.normal(size=(CHANNELS, 1, KERNEL)).astype(np.float32)
    pads = [(KERNEL - 1) * DILATION, 0]
    nodes = [
        helper.make_node("Transpose", ["features"], ["turned"], perm=[0, 2, 1]),
        helper.make_node(
            "Conv", ["turned", "weight"], ["y"], group=CHANNELS, dilations=[DILATION], pads=pads
        ),
        helper.make_node("Transpose", ["y"], ["out"], perm=[0, 2, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "depthwise",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ("N", "T", CHANNELS))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, (None, None, None))],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


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
