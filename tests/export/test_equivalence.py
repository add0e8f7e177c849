"""The report catches faults: whatever goes wrong in a graph, no file is written and the layer is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from torch import Tensor, nn  # noqa: E402

import export.conversion.onnx_export  # noqa: E402
from export.conversion.equivalence import check_equivalence  # noqa: E402
from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.conversion.operators import check_operators  # noqa: E402
from export.streaming import Streaming  # noqa: E402
from stream.errors import ParityError  # noqa: E402
from stream.features.spec import MfccSpec  # noqa: E402
from stream.inference.card import ModelCard  # noqa: E402
from tests.export.test_streaming import convert  # noqa: E402
from tests.support.export_zoo import STREAMABLE, C, F, features  # noqa: E402

pytestmark = pytest.mark.torch

CARD = ModelCard(
    name="zoo",
    labels=("a", "b", "c", "d"),
    activation="softmax",
    features=MfccSpec(n_mels=F, n_mfcc=F),
)


def attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(a for a in node.attribute if a.name == name)


def forget_linear_before_reset(model: onnx.ModelProto) -> str:
    node = next(n for n in model.graph.node if n.op_type == "GRU")
    attribute(node, "linear_before_reset").i = 0
    return "rnn"


def swap_states(model: onnx.ModelProto) -> str:
    """Two GRU layers exchange their states."""
    a, b = (n for n in model.graph.node if n.op_type == "GRU")
    a.input[5], b.input[5] = b.input[5], a.input[5]
    return "rnn"


def never_update(model: onnx.ModelProto) -> str:
    """A state goes out as it came in."""
    state = model.graph.input[-1].name
    for node in model.graph.node:
        node.output[:] = ["lost" if o == f"{state}_out" else o for o in node.output]
    model.graph.node.append(onnx.helper.make_node("Identity", [state], [f"{state}_out"]))
    return ""


def join_backwards(model: onnx.ModelProto) -> str:
    """The remembered rows come behind the new ones."""
    node = next(n for n in model.graph.node if n.op_type == "Concat")
    node.input[:] = list(node.input)[::-1]
    return ""


def shorten_tap(model: onnx.ModelProto) -> str:
    """One tap of a convolution brings a row less than the others."""
    node = next(n for n in model.graph.node if n.op_type == "Slice" and ".tap" in n.output[0])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-99], np.int64), "fault_end"))
    node.input[2] = "fault_end"
    return ""


def dilate_less(model: onnx.ModelProto) -> str:
    """One tap of a dilated convolution looks one frame further back than it should."""
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    node = next(
        n
        for n in model.graph.node
        if n.op_type == "Slice" and ".tap" in n.output[0] and constants[n.input[1]][0] > 1
    )
    for place, name in ((1, "fault_start"), (2, "fault_end")):
        moved = np.where(constants[node.input[place]] > 2**31, 0, constants[node.input[place]]) - 1
        model.graph.initializer.append(onnx.numpy_helper.from_array(moved.astype(np.int64), name))
        node.input[place] = name
    return ""


def disturb_weight(model: onnx.ModelProto) -> str:
    """The weights of one layer are off by a hundredth."""
    node = next(n for n in model.graph.node if n.op_type in ("GRU", "LSTM", "Conv", "MatMul"))
    tensor = next(t for t in model.graph.initializer if t.name == node.input[1])
    values = onnx.numpy_helper.to_array(tensor).copy()
    values *= 1.01
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return ""


Fault = Callable[[onnx.ModelProto], str]
FAULTS: list[tuple[str, Fault]] = [
    ("two-layer GRU", forget_linear_before_reset),
    ("two-layer GRU", swap_states),
    ("two-layer GRU", never_update),
    ("two-layer GRU", disturb_weight),
    ("last hidden state", forget_linear_before_reset),
    ("custom residual LSTM", never_update),
    ("custom residual LSTM", disturb_weight),
    ("chomped CRNN", join_backwards),
    ("chomped CRNN", never_update),
    ("2-D CRNN", join_backwards),
    ("TCN, padded", join_backwards),
    ("TCN, padded", dilate_less),
    ("TCN, chomped", never_update),
    ("gated stack", disturb_weight),
    ("mean over time", never_update),
    ("maximum over time", never_update),
    ("unpadded, then maximum", never_update),
    ("a GRU a band", never_update),
]


def faulty(made: Streaming, fault: Fault) -> tuple[Streaming, str]:
    model = onnx.ModelProto()
    model.CopyFrom(made.model)
    layer = fault(model)
    return replace(made, model=model), layer


@pytest.mark.parametrize(("name", "fault"), FAULTS, ids=[f"{n}: {f.__name__}" for n, f in FAULTS])
def test_every_fault_is_caught(name: str, fault: Fault) -> None:
    made, reference = convert(STREAMABLE[name])
    example = features(2).numpy()
    check_equivalence(made, reference, example, frames=300)  # sound before
    broken, layer = faulty(made, fault)
    with pytest.raises(ParityError, match=r"differs by .*nothing was written") as error:
        check_equivalence(broken, reference, example, frames=300)
    assert layer in str(error.value).split(":")[0]


def test_a_fault_means_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = export.conversion.onnx_export.streamify

    def broken(*args: object, **options: object) -> Streaming:
        return faulty(real(*args, **options), swap_states)[0]

    monkeypatch.setattr(export.conversion.onnx_export, "streamify", broken)
    with pytest.raises(ParityError, match="layer 'rnn'"):
        to_onnx(STREAMABLE["two-layer GRU"](), tmp_path / "m.onnx", CARD, features(1))
    assert list(tmp_path.iterdir()) == []


def test_an_exporters_own_fault_falls_back_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch once exported GRU wrongly: such a graph is never used."""
    real = export.conversion.onnx_export.offline_graph

    def broken(exporter: str, *args: object) -> onnx.ModelProto:
        graph = real(exporter, *args)
        if exporter == "torch.export":
            for node in graph.graph.node:
                if node.op_type == "GRU":
                    attribute(node, "linear_before_reset").i = 0
        return graph

    monkeypatch.setattr(export.conversion.onnx_export, "offline_graph", broken)
    card = to_onnx(STREAMABLE["two-layer GRU"](), tmp_path / "m.onnx", CARD, features(1))
    assert card.provenance["export"]["exporter"] == "tracing"


def test_an_exporters_fault_in_weights_names_the_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = export.conversion.onnx_export.offline_graph

    def broken(*args: object) -> onnx.ModelProto:
        graph = real(*args)
        disturb_weight(graph)
        return graph

    monkeypatch.setattr(export.conversion.onnx_export, "offline_graph", broken)
    with pytest.raises(ParityError, match="layer 'rnn'"):
        to_onnx(STREAMABLE["two-layer GRU"](), tmp_path / "m.onnx", CARD, features(1))


def test_recurrent_networks_are_exact_and_sixty_seconds_long(tmp_path: Path) -> None:
    made, reference = convert(STREAMABLE["two-layer GRU"])
    report = check_equivalence(made, reference, features(2).numpy())
    assert report.frames == 6000
    exact = {c.name: c.difference for c in report.comparisons}
    assert exact["a stream alone against among others"] == 0
    assert exact["a stream beside different ones"] == 0
    assert {"the whole sequence at once, 1 stream(s)", "one step at a time, 2 stream(s)"} <= set(exact)


def test_a_graph_that_does_not_run_is_reported() -> None:
    made, reference = convert(STREAMABLE["gated stack"])
    broken, _ = faulty(made, shorten_tap)
    with pytest.raises(ParityError, match="does not run"):
        check_equivalence(broken, reference, features(2).numpy(), frames=300)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.node.append(onnx.helper.make_node("Loop", ["a"], ["b"])), "Loop"),
        (
            lambda g: g.node.append(onnx.helper.make_node("FusedConv", ["a"], ["b"], domain="com.microsoft")),
            "domain|microsoft",
        ),
        (
            lambda g: attribute(next(n for n in g.node if n.op_type == "GRU"), "linear_before_reset").Clear(),
            "onnxscript",
        ),
        (lambda g: g.input[0].type.tensor_type.shape.dim[1].Clear(), "length"),
    ],
)
def test_inventory(change: Callable[[onnx.GraphProto], object], message: str) -> None:
    made, _ = convert(STREAMABLE["two-layer GRU"])
    check_operators(made.model, from_torch=True)
    change(made.model.graph)
    with pytest.raises(ParityError, match=message):
        check_operators(made.model, from_torch=True)


def test_a_network_that_amplifies_rounding_is_told_so(tmp_path: Path) -> None:
    """A chaotic plain RNN cannot be proven to 1e-5 by anybody; the message says what to change."""

    class Chaos(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.rnn = nn.RNN(F, 32, batch_first=True)
            with torch.no_grad():
                self.rnn.weight_hh_l0.mul_(14)
            self.head = nn.Linear(32, C)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0])

    with pytest.raises(ParityError, match="turns a rounding of its input into"):
        to_onnx(Chaos(), tmp_path / "m.onnx", CARD, features(1))
    assert list(tmp_path.iterdir()) == []
