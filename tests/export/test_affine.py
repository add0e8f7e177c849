"""Normalisation becomes part of the product behind it, and only where no digit is lost by that."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from export.conversion.affine import fold_affine
from export.conversion.onnx_export import to_onnx
from stream import MfccSpec, ModelCard

F, C = 5, 3
RNG = np.random.default_rng(0)
MEAN, SCALE = RNG.normal(size=(2, F)).astype(np.float32)
WEIGHT = RNG.normal(size=(F, C)).astype(np.float32)
BIAS = RNG.normal(size=C).astype(np.float32)


def folded(
    steps: list[tuple[str, list[object]]], bias: bool = True
) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """A graph of one operator after the other, "x" being what comes, then the product; before and after."""
    nodes, constants, last = [], [], "features"
    if bias:
        steps = [*steps, ("MatMul", ["x", WEIGHT]), ("Add", [BIAS, "x"])]
    else:
        steps = [*steps, ("MatMul", ["x", WEIGHT])]
    for number, (op, inputs) in enumerate(steps):
        names = []
        for place, value in enumerate(inputs):
            if isinstance(value, np.ndarray):
                constants.append(numpy_helper.from_array(value, f"c{number}.{place}"))
            names.append(last if isinstance(value, str) else f"c{number}.{place}")
        last = "probs" if number == len(steps) - 1 else f"y{number}"
        nodes.append(helper.make_node(op, names, [last], f"n{number}"))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("features", 1, ["N", "T", F])],
        [helper.make_tensor_value_info("probs", 1, ["N", "T", C])],
        constants,
    )
    before = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    after = onnx.ModelProto()
    after.CopyFrom(before)
    uses = Counter(name for node in after.graph.node for name in node.input)
    uses.update(["probs"])
    fold_affine(after, uses)
    onnx.checker.check_model(after)
    return before, after


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"features": x})[0])


def ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "steps",
    [
        [("Sub", ["x", MEAN]), ("Mul", ["x", SCALE])],
        [("Sub", [MEAN, "x"]), ("Div", ["x", SCALE])],
        [("Mul", [np.array(3, np.float32), "x"]), ("Add", [MEAN, "x"]), ("Mul", ["x", SCALE])],
        [("Mul", ["x", SCALE])],
    ],
)
def test_operators_before_a_product(steps: list[tuple[str, list[object]]], bias: bool) -> None:
    before, after = folded(steps, bias)
    shifted = len(steps) > 1
    assert ops(after) == ["MatMul", "Add"] if bias or shifted else ["MatMul"]
    x = RNG.normal(size=(2, 7, F)).astype(np.float32)
    np.testing.assert_allclose(run(after, x), run(before, x), atol=2e-6)


@pytest.mark.parametrize(
    "steps",
    [
        [("Sub", ["x", np.float32(1000) + MEAN])],  # the difference of large numbers
        [("Div", [SCALE, "x"])],
        [("Mul", ["x", "x"])],
        [("Relu", ["x"])],
        [("Add", ["x", np.zeros((1, 1, F), np.float32)])],
        [("Div", ["x", np.zeros(F, np.float32)])],
    ],
)
def test_what_stays_as_it_is(steps: list[tuple[str, list[object]]]) -> None:
    before, after = folded(steps)
    assert ops(after) == ops(before)


def test_features_that_are_read_twice_stay_normalised(tmp_path: Path) -> None:
    class Twice(nn.Module):
        def __init__(self, twice: bool) -> None:
            super().__init__()
            self.twice, self.rnn, self.head = twice, nn.GRU(F, F, batch_first=True), nn.Linear(F, C)

        def forward(self, x: Tensor) -> Tensor:
            x = (x - 3.0) * 0.25
            return self.head(x + self.rnn(x)[0] if self.twice else x)

    card = ModelCard(name="m", labels=("a", "b", "c"), activation="softmax", features=MfccSpec(n_mfcc=F))
    for twice in (True, False):
        torch.manual_seed(0)
        to_onnx(Twice(twice), tmp_path / "m.onnx", card)
        assert ("Sub" in ops(onnx.load(tmp_path / "m.onnx"))) is twice
