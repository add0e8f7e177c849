"""How much work a network is, and so how long its proof may be. Counted, so the same on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.conversion.fault_localisation import all_tensors
from export.streaming import Streaming

Array = NDArray[Any]
_WORK = {"Conv": 1, "ConvTranspose": 1, "MatMul": 1, "Gemm": 1, "GRU": 1, "LSTM": 1, "RNN": 1}
_LEAST = 1200  # frames of each kind of sound, however much work a frame is
_FEW = 20e9  # multiplications of all that may be had in a few seconds


@dataclass(frozen=True)
class Extent:
    """Lengths of the proof's sequences, in steps of the network's stride.

    Attributes:
        whole: of ordinary features, for comparisons with the network; as asked for.
        among: of comparisons of the streaming graph with itself.
        edges: of each kind of sound that examples lack.
    """

    whole: int
    among: int
    edges: int


def extent(streaming: Streaming, example: Array, frames: int) -> Extent:
    """Lengths for a network: an hour's work is not asked for where a minute's convinces.

    Args:
        streaming: the graph.
        example: (N, T, F) features.
        frames: feature frames of the whole.
    """
    whole = max(frames // streaming.stride, 1)
    steps = _FEW / max(multiplications(streaming, example), 1.0)
    least = max(_LEAST // streaming.stride, 100)
    most = 2 * whole  # of memory without end: minutes of each
    if streaming.receptive_field is not None:
        least = most = max(least, 4 * (streaming.receptive_field // streaming.stride + 1))
    among = int(np.clip(steps / 8, min(300, whole), whole))
    edges = int(np.clip(steps / 8, min(least, whole), min(most, 2 * whole)))
    return Extent(whole, among, edges)


def multiplications(streaming: Streaming, example: Array) -> float:
    """Multiplications of a step of one stream, in convolutions, products and recurrent layers."""
    count = 8
    rows = example.reshape(-1, example.shape[-1])
    x = np.tile(rows, (-(-count * streaming.stride // len(rows)), 1))[None, : count * streaming.stride]
    graph = streaming.model.graph
    sizes = {t.name: tuple(t.dims) for t in graph.initializer}
    nodes = [n for n in graph.node if n.op_type in _WORK]
    feed = {s.input: s.initial(1) for s in streaming.states}
    names = [n.output[0] for n in nodes]
    values = all_tensors(streaming.model, names, x, feed) if names else {}
    total = count * streaming.stride * sum(_inside(node, sizes) for node in graph.node)
    for node in nodes:
        out = values[node.output[0]]
        weights = sizes.get(node.input[1], ())
        if node.op_type in ("GRU", "LSTM", "RNN"):
            total += out.shape[0] * out.shape[2] * (prod(weights) + prod(sizes.get(node.input[2], ())))
        elif node.op_type in ("Conv", "ConvTranspose"):
            total += out.size * prod(weights[1:])
        elif weights:
            total += out.size // max(out.shape[-1], 1) * prod(weights[-2:])
        else:
            total += out.size
    return total / count


def _inside(node: onnx.NodeProto, sizes: Mapping[str, tuple[int, ...]]) -> int:
    """Weights that the body of a loop multiplies with in a frame."""
    total = 0
    for body in (a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH):
        known = {**sizes, **{t.name: tuple(t.dims) for t in body.initializer}}
        total += sum(prod(known.get(name, (0,))) for n in body.node for name in n.input)
        total += sum(_inside(each, known) for each in body.node)
    return total
