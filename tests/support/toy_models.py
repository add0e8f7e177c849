"""Small ONNX models made by hand, for tests of the runtime that need no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.decisions.spec import ClassRule, DetectorSpec
from stream.features.spec import MfccSpec
from stream.inference.card import CARD_KEY, ModelCard, StateSpec

HIDDEN = 16
LABELS = ("speech", "music", "noise")


def toy_card(spec: MfccSpec | None = None, **changes: Any) -> ModelCard:
    fields: dict[str, Any] = {
        "name": "toy",
        "labels": LABELS,
        "activation": "sigmoid",
        "features": spec or MfccSpec(),
        "states": (StateSpec(input="h0", output="h0_out", shape=(1, -1, HIDDEN), batch_axis=1),),
        "detector": DetectorSpec(default=ClassRule(threshold=0.5, min_on=0.03, min_off=0.05)),
    }
    return ModelCard(**(fields | changes))


def toy_graph(features: int = 40, seed: int = 0) -> Any:
    """An onnx ModelProto without a card: scale, one GRU, a sigmoid head. Random weights, varied probabilities."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(seed)

    def weight(name: str, *shape: int, scale: float = 0.4) -> Any:
        return numpy_helper.from_array((scale * rng.standard_normal(shape)).astype(np.float32), name)

    classes = len(LABELS)
    weights = [
        weight("W", 1, 3 * HIDDEN, features),
        weight("R", 1, 3 * HIDDEN, HIDDEN),
        weight("B", 1, 6 * HIDDEN),
        weight("head", HIDDEN, classes, scale=2.0),
        numpy_helper.from_array(np.full(features, 0.02, np.float32), "scale"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
    ]
    nodes = [
        helper.make_node("Mul", ["features", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["time_first"], perm=[1, 0, 2]),
        helper.make_node(
            "GRU",
            ["time_first", "W", "R", "B", "", "h0"],
            ["y", "h0_out"],
            hidden_size=HIDDEN,
            linear_before_reset=1,
        ),
        helper.make_node("Squeeze", ["y", "one"], ["squeezed"]),
        helper.make_node("Transpose", ["squeezed"], ["batch_first"], perm=[1, 0, 2]),
        helper.make_node("MatMul", ["batch_first", "head"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probs"]),
    ]
    value, real = helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "toy",
        [value("features", real, ["N", "T", features]), value("h0", real, [1, "N", HIDDEN])],
        [value("probs", real, ["N", "T", classes]), value("h0_out", real, [1, "N", HIDDEN])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def toy_bytes(card: ModelCard | str | None = None, graph: Any = None) -> bytes:
    """A model file's bytes; ``card`` may be raw text to test what is refused."""
    card = toy_card() if card is None else card
    features = card.features.width if isinstance(card, ModelCard) else 40
    model = graph or toy_graph(features)
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, card if isinstance(card, str) else card.to_json()
    return bytes(model.SerializeToString())


def toy_file(folder: Path, card: ModelCard | str | None = None, graph: Any = None) -> Path:
    path = folder / "toy.onnx"
    path.write_bytes(toy_bytes(card, graph))
    return path


def nan_above(bar: float) -> bytes:
    """The model file of a toy that gives NaN for what the plain one is surer of than ``bar``."""
    onnx = pytest.importorskip("onnx")
    graph = toy_graph()
    graph.graph.node[-1].output[0] = "p"
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array(bar, np.float32), "bar"))
    for kind, inputs, output in (("Sub", ["bar", "p"], "below"), ("Sqrt", ["below"], "probs")):
        graph.graph.node.append(onnx.helper.make_node(kind, inputs, [output]))
    return toy_bytes(toy_card(), graph)
