"""LinearAttention in the place of a Scan: where it stands for the same, with and without the runtime's own kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.extras import needs

needs("torch", "onnx")

import onnx  # noqa: E402
import torch  # noqa: E402

from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.conversion.stream_operators import DOMAIN, LINEAR_ATTENTION, with_stream_operators  # noqa: E402
from export.models import build, preset  # noqa: E402
from export.streaming.probe import open_session  # noqa: E402
from stream.errors import ModelError  # noqa: E402
from stream.inference.onnx_file import scan  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from stream.inference.verify import verify  # noqa: E402
from tests.export.test_onnx_export import CARD, C, F, features  # noqa: E402
from tests.support.attention_graphs import HEADS, INPUTS, KEYS, VALUES, Twist, attention_graph  # noqa: E402

pytestmark = pytest.mark.torch
rng = np.random.default_rng(5)


def feed(streams: int = 2, frames: int = 9) -> dict[str, NDArray[np.float32]]:
    shapes = {name: (streams, frames, width) for name, width in INPUTS.items()}
    shapes["past"] = (streams, HEADS, KEYS, VALUES)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def without_kernel(model: onnx.ModelProto) -> onnx.ModelProto:
    """As a runtime sees it that knows no such operator: the same function by a name that nobody has a kernel for."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for each in (*changed.opset_import, *changed.functions, *changed.graph.node):
        if each.domain == DOMAIN:
            each.domain = "unknown"
    return changed


@pytest.mark.parametrize("twist", ["none", "swapped"])
def test_it_gives_what_the_plain_form_gives(twist: Twist) -> None:
    plain = attention_graph(twist)
    changed = with_stream_operators(plain)
    assert changed is not None
    assert [node.op_type for node in changed.graph.node].count(LINEAR_ATTENTION) == 1
    assert "Scan" not in [node.op_type for node in changed.graph.node]
    onnx.checker.check_model(changed)
    for streams, frames in ((1, 1), (3, 40)):
        fed = feed(streams, frames)
        want = open_session(plain).run(None, fed)
        for model in (changed, without_kernel(changed)):
            for got, expected in zip(open_session(model).run(None, fed), want, strict=True):
                np.testing.assert_allclose(got, expected, atol=3e-6)


def test_shut_gates_forget_everything() -> None:
    """The logarithm of a gate that is exactly 0 is minus infinity, and must not make NaN."""
    changed = with_stream_operators(attention_graph())
    assert changed is not None
    fed = feed() | {"opening": np.full((2, 9, INPUTS["opening"]), -1e4, np.float32)}
    for model in (changed, without_kernel(changed)):
        heard, present = open_session(model).run(None, fed)
        assert np.isfinite(heard).all()
        other = open_session(model).run(None, fed | {"past": 0 * fed["past"]})
        np.testing.assert_array_equal(present, other[1])


@pytest.mark.parametrize(
    "twist", ["tanh gate", "memory is heard", "sum over values", "sum is kept", "other axis", "no fading"]
)
def test_what_is_something_else_stays(twist: Twist) -> None:
    assert with_stream_operators(attention_graph(twist)) is None


def test_other_heads_for_key_and_value_stay() -> None:
    assert with_stream_operators(attention_graph(heads=3)) is None


def test_a_network_is_written_with_the_operator_and_runs_without_it(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = build(preset("gla", features=F, classes=C)).eval()
    path = tmp_path / "model.onnx"
    said: list[str] = []
    to_onnx(network, path, CARD, progress=said.append)
    assert said.count("compared exact zeros") == 2  # in both forms
    written = onnx.load(path)
    assert [node.op_type for node in written.graph.node].count(LINEAR_ATTENTION) == 2
    assert all(check.ok for check in verify(path, "cpu"))
    x = features(2).numpy()
    want = torch.softmax(network(torch.from_numpy(x))[0], 2).detach().numpy()
    fallback = tmp_path / "old.onnx"
    fallback.write_bytes(inlined(written).SerializeToString())
    for file, atol in ((path, 0.0), (fallback, 0.0)):
        model = Model.load(file, "cpu")
        whole, end = model.step(x, model.initial_state(2))
        np.testing.assert_allclose(whole, want, atol=2e-6)
        state, parts = model.initial_state(2), []
        for piece in np.split(x, [1, 2, 30, 77], axis=1):
            probs, state = model.step(piece, state)
            parts.append(probs)
        np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=atol, rtol=0)
        assert all(np.array_equal(a, b) for a, b in zip(state, end, strict=True))


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnx.inliner import inline_local_functions

    return inline_local_functions(model)


def test_only_what_explains_such_an_operator_is_a_function_of_a_file() -> None:
    good = with_stream_operators(attention_graph())
    assert good is not None
    scan(good.SerializeToString(), "x")
    for field, value in (("name", "Relu"), ("domain", ""), ("domain", "my")):
        bad = onnx.ModelProto()
        bad.CopyFrom(good)
        setattr(bad.functions[0], field, value)
        with pytest.raises(ModelError, match="local functions"):
            scan(bad.SerializeToString(), "x")
    for node, why in (
        (onnx.helper.make_node(LINEAR_ATTENTION, ["query"], ["y"], domain=DOMAIN), "standard operators"),
        (onnx.helper.make_node("Anything", ["query"], ["y"], domain="my"), "standard operators"),
        (onnx.helper.make_node("Loop", ["query"], ["y"]), "not allowed"),
    ):
        bad = onnx.ModelProto()
        bad.CopyFrom(good)
        bad.functions[0].node.append(node)
        with pytest.raises(ModelError, match=why):
            scan(bad.SerializeToString(), "x")
