"""Operators for streams in the place of plain ones: where they stand for the same, with and without the runtime's own
kernel, and where they are quicker."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.extras import needs

needs("torch", "onnx")

import onnx  # noqa: E402
import torch  # noqa: E402

import export.conversion.onnx_export as onnx_export  # noqa: E402
from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.conversion.stream_operators import choice, with_stream_operators  # noqa: E402
from export.conversion.stream_operators.causal_convolution import NAME as CAUSAL_CONVOLUTION  # noqa: E402
from export.conversion.stream_operators.linear_attention import NAME as LINEAR_ATTENTION  # noqa: E402
from export.conversion.stream_operators.replacement import DOMAIN  # noqa: E402
from export.models import build, preset  # noqa: E402
from export.streaming import Streaming  # noqa: E402
from export.streaming.probe import open_session  # noqa: E402
from stream.errors import ModelError, ParityError, UsageError  # noqa: E402
from stream.inference.onnx_file import scan  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from stream.inference.verify import verify  # noqa: E402
from tests.export.test_onnx_export import CARD, C, F, features  # noqa: E402
from tests.support import depthwise_graphs  # noqa: E402
from tests.support.attention_graphs import HEADS, INPUTS, KEYS, VALUES, Twist, attention_graph  # noqa: E402
from tests.support.depthwise_graphs import CHANNELS, depthwise_graph  # noqa: E402

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


@pytest.mark.parametrize("twist", depthwise_graphs.SAME)
@pytest.mark.parametrize("dilation", [1, 4])
def test_a_depthwise_convolution_has_the_bits_of_the_plain_form(
    twist: depthwise_graphs.Twist, dilation: int
) -> None:
    plain = depthwise_graph(twist, dilation)
    changed = with_stream_operators(plain)
    assert changed is not None
    kinds = [node.op_type for node in changed.graph.node]
    assert kinds == (["Concat"] if twist == "window is heard" else []) + [CAUSAL_CONVOLUTION]
    onnx.checker.check_model(changed)
    scan(changed.SerializeToString(), "x")
    past = (1 if twist == "two taps" else 2) * dilation
    for streams, frames in ((1, 1), (3, 40)):
        fed = {
            "frames": rng.normal(size=(streams, frames, CHANNELS)).astype(np.float32),
            "past": rng.normal(size=(streams, past, CHANNELS)).astype(np.float32),
        }
        want = open_session(plain).run(None, fed)
        for model in (changed, without_kernel(changed)):
            for got, expected in zip(open_session(model).run(None, fed), want, strict=True):
                np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "twist", [each for each in get_args(depthwise_graphs.Twist) if each not in depthwise_graphs.SAME]
)
def test_what_is_no_such_convolution_stays(twist: depthwise_graphs.Twist) -> None:
    assert with_stream_operators(depthwise_graph(twist)) is None


def test_only_the_operators_asked_for_are_written() -> None:
    assert with_stream_operators(depthwise_graph(), [LINEAR_ATTENTION]) is None
    assert with_stream_operators(attention_graph(), [CAUSAL_CONVOLUTION]) is None


@pytest.mark.parametrize(
    ("architecture", "operator", "atol"),
    [("gla", LINEAR_ATTENTION, 2e-6), ("dstcn", CAUSAL_CONVOLUTION, 1e-6)],
)
def test_a_network_is_written_with_the_operator_and_runs_without_it(
    architecture: str, operator: str, atol: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "share_of_time", lambda *_: 0.5)
    torch.manual_seed(1)
    network = build(preset(architecture, features=F, classes=C, layers=2, hidden=16)).eval()
    path = tmp_path / "model.onnx"
    said: list[str] = []
    card = to_onnx(network, path, CARD, progress=said.append)
    assert said.count("compared exact zeros") == 2  # in both forms
    assert card.provenance["export"]["stream_operators"] == [operator]
    written = onnx.load(path)
    assert [node.op_type for node in written.graph.node].count(operator) == 2
    assert all(check.ok for check in verify(path, "cpu"))
    x = features(2).numpy()
    want = torch.softmax(network(torch.from_numpy(x))[0], 2).detach().numpy()
    fallback = tmp_path / "old.onnx"
    fallback.write_bytes(inlined(written).SerializeToString())
    for file in (path, fallback):
        model = Model.load(file, "cpu")
        whole, end = model.step(x, model.initial_state(2))
        np.testing.assert_allclose(whole, want, atol=atol)
        state, parts = model.initial_state(2), []
        for piece in np.split(x, [1, 2, 30, 77], axis=1):
            probs, state = model.step(piece, state)
            parts.append(probs)
        np.testing.assert_array_equal(np.concatenate(parts, 1), whole)
        assert all(np.array_equal(a, b) for a, b in zip(state, end, strict=True))


def small_dstcn() -> torch.nn.Module:
    torch.manual_seed(2)
    return build(preset("dstcn", features=F, classes=C, layers=2, hidden=16)).eval()


def test_the_quicker_form_for_so_many_streams_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def share_of_time(changed: Streaming, plain: Streaming, streams: int) -> float:
        asked.append(streams)
        assert len(changed.model.graph.node) < len(plain.model.graph.node)
        return 0.7 if streams < 100 else 1.8

    monkeypatch.setattr(choice, "share_of_time", share_of_time)
    for streams, used in ((1, [CAUSAL_CONVOLUTION]), (256, [])):
        card = to_onnx(small_dstcn(), tmp_path / f"{streams}.onnx", CARD, streams=streams)
        assert card.provenance["export"]["stream_operators"] == used
    assert asked == [1, 256]
    one, many = (Model.load(tmp_path / f"{streams}.onnx", "cpu") for streams in (1, 256))
    x = features(2).numpy()
    np.testing.assert_array_equal(
        one.step(x, one.initial_state(2))[0], many.step(x, many.initial_state(2))[0]
    )
    with pytest.raises(UsageError, match="streams 0: at least 1"):
        to_onnx(small_dstcn(), tmp_path / "0.onnx", CARD, streams=0)


def test_time_is_measured_of_both_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that a step moves by 2 with the operator and by 4 without."""
    made = onnx_export.streamify(*offline_dstcn())
    changed = with_stream_operators(made.model)
    assert changed is not None
    with_operators = onnx_export.replace(made, model=changed)
    clock = [0.0]
    monkeypatch.setattr(choice.time, "perf_counter", lambda: clock[0])
    step = choice.StreamRunner.step

    class Timed(choice.StreamRunner):
        def __init__(self, model: onnx.ModelProto, states: object) -> None:
            super().__init__(model, made.states)
            self.takes = 2.0 if any(node.op_type == CAUSAL_CONVOLUTION for node in model.graph.node) else 4.0

        def step(self, x: object, state: object) -> object:  # type: ignore[override]
            clock[0] += self.takes
            return step(self, x, state)  # type: ignore[arg-type]

    monkeypatch.setattr(choice, "StreamRunner", Timed)
    assert choice.share_of_time(with_operators, made, 2) == 0.5
    assert choice.share_of_time(made, with_operators, 2) == 2.0


def offline_dstcn() -> tuple[onnx.ModelProto, NDArray[np.float32]]:
    """An offline graph of the network, and features."""
    x = features(1)
    whole = onnx_export.Whole(small_dstcn(), onnx_export.InputLayout.of((1, 2, F), 0, 1), 0)
    exporter = next(iter(onnx_export.exporters_for(whole, x)))
    return onnx_export.offline_graph(exporter, whole, x), x.numpy()


def test_an_operator_that_is_not_equal_here_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "share_of_time", lambda *_: 0.5)
    check = onnx_export.check_equivalence

    def wrong_kernel(form: Streaming, *args: object, **kwargs: object) -> object:
        if any(node.op_type == CAUSAL_CONVOLUTION for node in form.model.graph.node):
            raise ParityError("differs by 0.1")
        return check(form, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(onnx_export, "check_equivalence", wrong_kernel)
    said: list[str] = []
    card = to_onnx(small_dstcn(), tmp_path / "model.onnx", CARD, progress=said.append)
    assert f"written without {CAUSAL_CONVOLUTION}: differs by 0.1" in said
    assert card.provenance["export"]["stream_operators"] == []
    assert all(each.ok for each in verify(tmp_path / "model.onnx", "cpu"))


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
