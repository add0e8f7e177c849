"""Small ONNX graphs with random weights, written byte by byte: a GRU of any size, and one that does nothing.

So the benchmark needs neither torch nor the onnx package. The numbers of fields are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.features.spec import FeatureSpec, MfccSpec
from stream.inference.card import CARD_KEY, ModelCard, StateSpec
from stream.inference.wire import write_bytes, write_number, write_text

IR_VERSION, OPSET = 8, 17
LABELS = ("speech", "music", "noise")
_TYPES = {"float32": 1, "int64": 7}  # TensorProto.DataType


class Graph:
    """An ONNX graph under construction. Nodes must be added in the order in which they can run."""

    def __init__(self, name: str) -> None:
        self._graph = write_text(2, name)

    def node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        """An operator; attributes are ints or lists of ints; an input that is left out is ""."""
        body = b"".join(write_text(1, name) for name in inputs) + b"".join(
            write_text(2, name) for name in outputs
        )
        body += write_text(4, kind)
        for name, value in attributes.items():
            if isinstance(value, int):
                attribute = write_number(3, value) + write_number(20, 2)
            else:
                attribute = b"".join(write_number(8, each) for each in value) + write_number(20, 7)
            body += write_bytes(5, write_text(1, name) + attribute)
        self._graph += write_bytes(1, body)

    def weight(self, name: str, array: NDArray[Any]) -> None:
        """A constant, float32 or int64."""
        dims = b"".join(write_number(1, size) for size in array.shape)
        kind = write_number(2, _TYPES[str(array.dtype)])
        raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        self._graph += write_bytes(5, dims + kind + write_text(8, name) + write_bytes(9, raw))

    def port(self, name: str, shape: Sequence[int | str], *, output: bool = False) -> None:
        """A float32 input or output of the graph; a size that is free has a name."""
        dims = b"".join(
            write_bytes(1, write_text(2, size) if isinstance(size, str) else write_number(1, size))
            for size in shape
        )
        kind = write_bytes(1, write_number(1, _TYPES["float32"]) + write_bytes(2, dims))
        self._graph += write_bytes(12 if output else 11, write_text(1, name) + write_bytes(2, kind))

    def model(self, card: ModelCard | None = None) -> bytes:
        """The bytes of a model file."""
        parts = [
            write_number(1, IR_VERSION),
            write_bytes(7, self._graph),
            write_bytes(8, write_text(1, "") + write_number(2, OPSET)),
        ]
        if card is not None:
            parts.append(write_bytes(14, write_text(1, CARD_KEY) + write_text(2, card.to_json())))
        return b"".join(parts)


def identity_model(width: int) -> bytes:
    """A graph that returns its features (N, T, ``width``): a step without any arithmetic."""
    graph = Graph("identity")
    graph.port("features", ("N", "T", width))
    graph.port("same", ("N", "T", width), output=True)
    graph.node("Identity", ["features"], ["same"])
    return graph.model()


def gru_model(hidden: int, spec: FeatureSpec | None = None, seed: int = 0) -> bytes:
    """A model file with a card: one GRU, three sigmoids. The weights are random, so its probabilities mean nothing.

    Args:
        hidden: units of the GRU.
        spec: default MfccSpec().
        seed: of the weights.
    """
    spec = MfccSpec() if spec is None else spec
    graph, rng = Graph("gru"), np.random.default_rng(seed)
    add_gru(graph, hidden, spec.width, rng)
    graph.weight("head", _random(rng, hidden, len(LABELS)))
    graph.node("MatMul", ["hidden", "head"], ["logits"])
    graph.node("Sigmoid", ["logits"], ["probs"])
    graph.port("probs", ("N", "T", len(LABELS)), output=True)
    return graph.model(gru_card(f"gru-{hidden}", LABELS, hidden, spec))


def gru_card(name: str, labels: tuple[str, ...], hidden: int, spec: FeatureSpec) -> ModelCard:
    """The card of a graph with ``add_gru`` in it."""
    state = StateSpec(input="h0", output="h0_out", shape=(1, -1, hidden), batch_axis=1)
    return ModelCard(name=name, labels=labels, activation="sigmoid", features=spec, states=(state,))


def add_gru(graph: Graph, hidden: int, width: int, rng: np.random.Generator) -> None:
    """The ports "features" (N, T, ``width``) and "h0", a GRU on them, and its outputs "hidden" (N, T, ``hidden``)."""
    graph.port("features", ("N", "T", width))
    graph.port("h0", (1, "N", hidden))
    graph.port("h0_out", (1, "N", hidden), output=True)
    graph.weight("W", _random(rng, 1, 3 * hidden, width) * np.float32(0.02))  # decibels to about 1
    graph.weight("R", _random(rng, 1, 3 * hidden, hidden))
    graph.weight("B", _random(rng, 1, 6 * hidden))
    graph.weight("one", np.array([1], np.int64))
    graph.node("Transpose", ["features"], ["time_first"], perm=[1, 0, 2])
    graph.node(
        "GRU",
        ["time_first", "W", "R", "B", "", "h0"],
        ["y", "h0_out"],
        hidden_size=hidden,
        linear_before_reset=1,
    )
    graph.node("Squeeze", ["y", "one"], ["squeezed"])
    graph.node("Transpose", ["squeezed"], ["hidden"], perm=[1, 0, 2])


def _random(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    values: NDArray[np.float32] = rng.standard_normal(shape, np.float32) / np.float32(shape[-1] ** 0.5)
    return values
