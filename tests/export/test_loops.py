"""Loops over frames in ONNX graphs: those that are a step of SimpleRNN, GRU or LSTM become operators, others stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.support.extras import needs

needs("torch", "onnx")

import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.streaming.loops import fuse_loops  # noqa: E402
from export.streaming.probe import open_session  # noqa: E402
from stream.errors import NotStreamable  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from tests.export.test_onnx_export import CARD as ZOO_CARD  # noqa: E402
from tests.support.keras_archives import unpack  # noqa: E402

pytestmark = pytest.mark.torch

F, H = ZOO_CARD.features.width, 5
CARD = msgspec.structs.replace(ZOO_CARD, labels=("a", "b", "c"))
SEVEN = msgspec.structs.replace(ZOO_CARD, labels=tuple("abcde"))
rng = np.random.default_rng(3)
WEIGHTS = {
    **{f"W{g}": rng.normal(0, 0.4, (F, H)) for g in "zrhifgo"},
    **{f"R{g}": rng.normal(0, 0.4, (H, H)) for g in "zrhifgo"},
    **{f"b{g}": rng.normal(0, 0.4, H) for g in "zrhifgo"},
    "half": np.array([0.5]),
    "unit": np.array([1.0]),
    "other": rng.normal(0, 0.4, H),
    **{
        name: np.array(value)
        for name, value in (("three", 3.0), ("six", 6.0), ("sixth", 1 / 6), ("nil", 0.0))
    },
}
Step = Callable[["Writer"], list[str]]


class Writer:
    """The body of a loop: x, h (and c) to the next states."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []

    def __call__(self, op: str, *inputs: str, **attrs: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attrs))
        return name

    def gate(self, g: str, act: str = "Sigmoid", h: str = "h0") -> str:
        """act(x W + h R + b)."""
        frame = self("Add", self("MatMul", "x", f"W{g}"), f"b{g}")
        return self(act, self("Add", frame, self("MatMul", h, f"R{g}")))


def rnn(w: Writer) -> list[str]:
    return [w.gate("h", "Tanh")]


def gru_before(w: Writer) -> list[str]:
    """z h + (1 - z) tanh(x W + (r h) R + b)."""
    z = w.gate("z")
    new = w.gate("h", "Tanh", w("Mul", w.gate("r"), "h0"))
    return [w("Add", w("Mul", z, "h0"), w("Mul", w("Sub", "unit", z), new))]


def gru_after(w: Writer) -> list[str]:
    """h + (1 - z) (n - h), the reset gate after the product, Gemm for MatMul and Add."""
    inner = w("Mul", w.gate("r"), w("Gemm", "h0", "Rh", "other"))
    new = w("Tanh", w("Add", w("Gemm", "x", "Wh", "bh"), inner))
    let = w("Sub", "unit", w.gate("z"))
    return [w("Add", "h0", w("Mul", let, w("Sub", new, "h0")))]


def gru_turned(w: Writer) -> list[str]:
    """(1 - z) h + z n: the gate the other way round."""
    z = w.gate("z")
    new = w.gate("h", "Tanh", w("Mul", "h0", w.gate("r")))
    return [w("Add", w("Mul", w("Sub", "unit", z), "h0"), w("Mul", new, z))]


def lstm(w: Writer) -> list[str]:
    cell = w("Add", w("Mul", "h1", w.gate("f")), w("Mul", w.gate("g", "Tanh"), w.gate("i")))
    return [w("Mul", w.gate("o"), w("Tanh", cell)), cell]


def lstm_turned(w: Writer) -> list[str]:
    """The cell first, the hidden state second."""
    cell = w(
        "Add", w("Mul", w.gate("i", h="h1"), w.gate("g", "Tanh", "h1")), w("Mul", w.gate("f", h="h1"), "h0")
    )
    return [cell, w("Mul", w("Tanh", cell), w.gate("o", h="h1"))]


def residual(w: Writer) -> list[str]:
    """No operator adds the last state to a step of SimpleRNN."""
    return [w("Add", w.gate("h", "Tanh"), "h0")]


def half_kept(w: Writer) -> list[str]:
    """0.5 h + 0.5 tanh(…): no gate."""
    return [w("Add", w("Mul", "h0", "half"), w("Mul", w.gate("h", "Tanh"), "half"))]


def other_sine(w: Writer) -> list[str]:
    return [w.gate("h", "Sin")]


def unequal_gates(w: Writer) -> list[str]:
    """1 - z does not go with z."""
    z, new = w.gate("z"), w.gate("h", "Tanh", w("Mul", w.gate("r"), "h0"))
    return [w("Add", w("Mul", z, "h0"), w("Mul", w("Sub", "unit", w.gate("i")), new))]


def gru_hard(w: Writer) -> list[str]:
    """Gates min(max(a + 3, 0), 6) / 6, each written in another way."""

    def moved(g: str) -> str:
        return w("Add", w("Add", w("MatMul", "x", f"W{g}"), w("MatMul", "h0", f"R{g}")), "three")

    z = w("Mul", w("Clip", moved("z"), "nil", "six"), "sixth")
    r = w("Div", w("Max", w("Min", moved("r"), "six"), "nil"), "six")
    new = w.gate("h", "Tanh", w("Mul", r, "h0"))
    return [w("Add", w("Mul", z, "h0"), w("Mul", w("Sub", "unit", z), new))]


def gru_hard_relu(w: Writer) -> list[str]:
    """The same as min(relu(a + 3), 6) / 6."""

    def hard(g: str) -> str:
        moved = w("Add", w("Add", w("MatMul", "x", f"W{g}"), w("MatMul", "h0", f"R{g}")), "three")
        return w("Mul", w("Min", w("Relu", moved), "six"), "sixth")

    z, new = hard("z"), w.gate("h", "Tanh", w("Mul", hard("r"), "h0"))
    return [w("Add", w("Mul", z, "h0"), w("Mul", w("Sub", "unit", z), new))]


STEPS = {
    each.__name__: each
    for each in (rnn, gru_before, gru_after, gru_turned, gru_hard, gru_hard_relu, lstm, lstm_turned)
}
OPERATORS = {"rnn": "RNN", "lstm": "LSTM", "lstm_turned": "LSTM"}
OTHERS = {each.__name__: each for each in (residual, half_kept, other_sine, unequal_gates)}


def constants(graph_names: set[str]) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(v.astype(np.float32), k) for k, v in WEIGHTS.items() if k in graph_names]


def info(name: str, dims: list[object], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


def graph_of(step: Step, scan: bool = False, begin: int = 0, first: str = "zeros") -> onnx.ModelProto:
    """(N, T, F) -> (N, T, H): a Loop that gathers frame by frame, or a Scan."""
    w = Writer()
    after = step(w)
    states = [f"h{i}" for i in range(len(after))]
    inputs = [info(s, [None, H]) for s in states]
    outputs = [helper.make_empty_tensor_value_info(name) for name in after]
    shown = after[1] if step is lstm_turned else after[0]
    row = helper.make_node("Identity", [shown], ["row"])
    result = helper.make_empty_tensor_value_info("row")
    shape = helper.make_node("Shape", ["frames"], ["sizes"])
    nodes = [
        helper.make_node("Transpose", ["features"], ["frames"], perm=[1, 0, 2]),
        shape,
        helper.make_node("Slice", ["sizes", "i1", "i2", "i0"], ["streams"]),
        helper.make_node("Concat", ["streams", "hidden"], ["state_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["state_shape"], ["zeros"]),
        helper.make_node("Expand", ["learnt", "state_shape"], ["start"]),
        helper.make_node("Gather", ["sizes", "i0"], ["length"]),
    ]
    if scan:
        body = helper.make_graph([*w.nodes, row], "step", [*inputs, info("x", [None, F])], [*outputs, result])
        nodes.append(
            helper.make_node(
                "Scan", [*[first] * len(after), "frames"], [*(f"last{i}" for i in range(len(after))), "rows"],
                body=body, num_scan_inputs=1,
            )
        )  # fmt: skip
    else:
        count = [
            info("i", [], TensorProto.INT64),
            info("go", [], TensorProto.BOOL),
            info("t", [], TensorProto.INT64),
        ]
        own = [
            helper.make_node("Add", ["t", "step"], ["t_next"]),
            helper.make_node("Gather", ["frames", "t"], ["x"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ]
        body = helper.make_graph(
            [*own, *w.nodes, row], "step", [*count, *inputs],
            [info("go_on", [], TensorProto.BOOL), info("t_next", [], TensorProto.INT64), *outputs, result],
            [numpy_helper.from_array(np.array(1, np.int64), "step")],
        )  # fmt: skip
        finals = [f"last{i}" for i in range(len(after))]
        inputs_of_loop = ["length", "", "begin", *[first] * len(after)]
        nodes.append(helper.make_node("Loop", inputs_of_loop, ["t_end", *finals, "rows"], body=body))
    nodes.append(helper.make_node("Transpose", ["rows"], ["scores"], perm=[1, 0, 2]))
    integers = {"i0": [0], "i1": [1], "i2": [2], "hidden": [H]}
    stored = [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in integers.items()]
    stored.append(numpy_helper.from_array(np.array(begin, np.int64), "begin"))
    stored.append(numpy_helper.from_array(np.linspace(-1, 1, H).astype(np.float32)[None], "learnt"))
    used = {name for node in w.nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "net",
        [info("features", ["N", "T", F])],
        [info("scores", [None, None, H])],
        stored + constants(used),
    )
    # The length as one number, which the loop counts to.
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "nought"))
    for node in graph.node:
        if node.op_type == "Gather":
            node.input[1] = "nought"
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def operators(model: onnx.ModelProto) -> list[str]:
    return [n.op_type for n in model.graph.node if n.op_type in ("RNN", "GRU", "LSTM", "Loop", "Scan")]


def both(first: onnx.ModelProto, second: onnx.ModelProto) -> list[np.ndarray]:
    x = np.random.default_rng(0).normal(size=(3, 50, F)).astype(np.float32)
    return [open_session(model).run(None, {"features": x})[0] for model in (first, second)]


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_a_recurrent_layer_becomes_its_operator(name: str, scan: bool) -> None:
    for first in ("zeros", "start"):
        model = graph_of(STEPS[name], scan, first=first)
        fused = fuse_loops(model)
        assert operators(fused) == [OPERATORS.get(name, "GRU")]
        np.testing.assert_allclose(*both(model, fused), atol=2e-6)


@pytest.mark.parametrize("name", OTHERS)
def test_other_steps_stay_loops_and_are_refused(tmp_path: Path, name: str) -> None:
    model = graph_of(OTHERS[name])
    assert operators(fuse_loops(model)) == ["Loop"]
    with pytest.raises(NotStreamable, match="loop"):
        to_onnx(model, tmp_path / "a.onnx", SEVEN)


def test_what_only_looks_like_a_step_stays_a_loop() -> None:
    """It begins with the second frame, or reads the sound from its end: found out by comparing."""
    late = graph_of(rnn, begin=1)
    assert operators(fuse_loops(late)) == ["Loop"]
    backwards = graph_of(rnn, scan=True)
    node = next(n for n in backwards.graph.node if n.op_type == "Scan")
    node.attribute.append(helper.make_attribute("scan_input_directions", [1]))
    assert operators(fuse_loops(backwards)) == ["Scan"]
    lost = graph_of(rnn)
    loop = next(n for n in lost.graph.node if n.op_type == "Loop")
    body = next(a.g for a in loop.attribute if a.name == "body")
    body.node.append(helper.make_node("Less", ["t", "five"], ["go_five"]))
    body.initializer.append(numpy_helper.from_array(np.array(5, np.int64), "five"))
    body.output[0].name = "go_five"
    assert operators(fuse_loops(lost)) == ["Loop"]  # it ends after six frames


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "GRU before", "LSTM"])
@pytest.mark.parametrize("maker", ["keras", "tf2onnx"])
def test_files_of_keras_and_tf2onnx_become_streams(tmp_path: Path, kind: str, maker: str) -> None:
    """Free and fixed lengths, equal to what Keras gave."""
    assert unpack(tmp_path)
    name = f"{maker} {kind}" + (" fixed" if maker == "tf2onnx" else "")
    model = onnx.load(tmp_path / f"{name}.onnx")
    fused = fuse_loops(model)
    assert operators(fused) == [kind.split()[0].replace("SimpleRNN", "RNN")] * 2
    with np.load(tmp_path / f"{name}.npz") as stored:
        x, y = stored["x"], stored["y"]
    (found,) = open_session(fused).run(None, {fused.graph.input[0].name: x})
    np.testing.assert_allclose(found, y, atol=2e-6)
    if "fixed" in name and kind == "LSTM":
        return  # no loop: tf2onnx knows this one itself
    to_onnx(tmp_path / f"{name}.onnx", tmp_path / "a.onnx", CARD)
    made = Model.load(tmp_path / "a.onnx")
    got, _ = made.step(x, made.initial_state(len(x)))
    np.testing.assert_allclose(got[:, -1], y, atol=1e-5)


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_loops_that_keras_unrolls_on_torch_are_put_together(tmp_path: Path, kind: str) -> None:
    """Keras on PyTorch writes the steps of a fixed length one after the other."""
    unpack(tmp_path)
    with np.load(tmp_path / f"keras torch {kind} fixed.npz") as stored:
        x, y = stored["x"], stored["y"]
    card = to_onnx(tmp_path / f"keras torch {kind} fixed.onnx", tmp_path / "a.onnx", CARD)
    made = Model.load(tmp_path / "a.onnx")
    got, _ = made.step(x, made.initial_state(len(x)))
    np.testing.assert_allclose(got[:, -1], y, atol=1e-5)
    longer, _ = made.step(np.concatenate([x, x], axis=1), made.initial_state(len(x)))
    np.testing.assert_array_equal(longer[:, : x.shape[1]], got)
    assert card.exact


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM", "GRU fixed"])
def test_files_of_keras_on_jax_become_streams(tmp_path: Path, name: str) -> None:
    unpack(tmp_path)
    with np.load(tmp_path / f"keras jax {name}.npz") as stored:
        x, y = stored["x"], stored["y"]
    to_onnx(tmp_path / f"keras jax {name}.onnx", tmp_path / "a.onnx", CARD)
    made = Model.load(tmp_path / "a.onnx")
    got, _ = made.step(x, made.initial_state(len(x)))
    np.testing.assert_allclose(got[:, -1], y, atol=1e-5)


def test_a_free_length_of_keras_on_torch_is_refused(tmp_path: Path) -> None:
    """Its file reads the first frame alone."""
    unpack(tmp_path)
    with pytest.raises(NotStreamable, match=r"first frame alone.*keras\.Input"):
        to_onnx(tmp_path / "keras torch GRU.onnx", tmp_path / "a.onnx", CARD)
