"""What examples do not show: silence, full scale, cut sequences, chance, memory. None of it is converted silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import export.conversion.onnx_export  # noqa: E402
from export.conversion.equivalence import check_equivalence  # noqa: E402
from export.conversion.input_layout import InputLayout  # noqa: E402
from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.conversion.references import Expected  # noqa: E402
from export.conversion.torch_export import EXPORTERS, Whole, offline_graph  # noqa: E402
from export.streaming.probe import open_session  # noqa: E402
from stream.errors import ExportError, NotStreamable, ParityError  # noqa: E402
from stream.features.spec import MfccSpec  # noqa: E402
from stream.inference.card import ModelCard  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from tests.export.test_streaming import convert, keras_like_graph  # noqa: E402
from tests.support.export_zoo import STREAMABLE, C, F, features  # noqa: E402

pytestmark = pytest.mark.torch

CARD = ModelCard(
    name="quiet", labels=tuple("abcd"), activation="softmax", features=MfccSpec(n_mels=F, n_mfcc=F)
)


class Net(nn.Module):
    """A linear layer around a function."""

    def __init__(self, body: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(F, C)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self, x))


def channel_norm(floor: float) -> Callable[[nn.Module, Tensor], Tensor]:
    """The norm of separation networks, with a floor that is the only thing between silence and 0 / 0."""

    def norm(_: nn.Module, x: Tensor) -> Tensor:
        x = x - x.mean(2, keepdim=True)
        return x / (x.pow(2).mean(2, keepdim=True).sqrt() + floor)

    return norm


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("number", [1e-8, 1e-12])
def test_small_numbers_survive_the_exporters(exporter: str, number: float) -> None:
    torch.manual_seed(0)
    whole = Whole(Net(channel_norm(number)), InputLayout.of((2, 96, F), 0, 1))
    graph = offline_graph(exporter, whole, features(1))
    silence = np.zeros((1, 20, F), np.float32)
    found = open_session(graph).run(None, {graph.graph.input[0].name: silence})[0]
    np.testing.assert_allclose(found, whole(torch.from_numpy(silence)).numpy(), atol=1e-6)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_factor_near_one_survives_the_exporters(exporter: str) -> None:
    whole = Whole(Net(lambda _, x: x * 1.000001), InputLayout.of((2, 96, F), 0, 1))
    graph = offline_graph(exporter, whole, features(1))
    values = [float(numpy_helper.to_array(t)) for t in graph.graph.initializer if not t.dims]
    values += [
        float(numpy_helper.to_array(a.t))
        for n in graph.graph.node
        for a in n.attribute
        if a.HasField("t") and not a.t.dims
    ]
    assert pytest.approx(1.000001, abs=1e-7) in values
    assert np.float32(1.000001) in np.float32(values)


def forget_floor(graph: onnx.ModelProto) -> None:
    """What an exporter's optimiser once did: an addition of a number near 0 is none."""
    for tensor in [*graph.graph.initializer, *(a.t for n in graph.graph.node for a in n.attribute)]:
        if (
            tensor.data_type == TensorProto.FLOAT
            and 0 < np.abs(numpy_helper.to_array(tensor)).max(initial=0) < 1e-7
        ):
            tensor.CopyFrom(numpy_helper.from_array(0 * numpy_helper.to_array(tensor), tensor.name))


def test_a_floor_that_an_exporter_lost_is_found_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every example passes; zeros do not. The next exporter gets its turn."""
    real = export.conversion.onnx_export.offline_graph

    def broken(exporter: str, *args: object) -> onnx.ModelProto:
        graph = real(exporter, *args)
        if exporter in faulty:
            forget_floor(graph)
        return graph

    monkeypatch.setattr(export.conversion.onnx_export, "offline_graph", broken)
    faulty = {"tracing"}
    card = to_onnx(Net(channel_norm(1e-8)), tmp_path / "m.onnx", CARD)
    assert card.provenance["export"]["exporter"] == "torch.export"
    model = Model.load(tmp_path / "m.onnx")
    assert np.isfinite(model.step(np.zeros((1, 9, F), np.float32), model.initial_state())[0]).all()
    faulty = set(EXPORTERS)
    with pytest.raises(
        ParityError, match=r"\(Div\) at test_silent_errors.py:\d+: exact zeros is not a number"
    ):
        to_onnx(Net(channel_norm(1e-8)), tmp_path / "n.onnx", CARD)
    assert not (tmp_path / "n.onnx").exists()


def test_the_proof_holds_what_live_sound_holds() -> None:
    made, reference = convert(STREAMABLE["two-layer GRU"])
    report = check_equivalence(made, reference, features(2).numpy(), frames=600, spec=CARD.features)
    names = {c.name for c in report.comparisons if c.edge}
    assert names == {
        "digital silence",
        "exact zeros",
        "one frame over and over",
        "frames of one value",
        "the quietest sound",
        "the loudest sound",
        "steps from silence to full scale",
    }
    assert report.edge_frames == 1200
    levels = {c.name: float(np.abs(c.features).max()) for c in report.comparisons if c.edge}
    assert levels["exact zeros"] == 0 < levels["frames of one value"]
    silence = next(c.features for c in report.comparisons if c.name == "digital silence")
    assert silence.std(axis=1).max() < 1e-3 * np.abs(silence).max()


def test_a_network_that_is_no_number_in_silence_is_refused_or_told_of(tmp_path: Path) -> None:
    """0 / 0 of the network's own."""

    def scaled(_: nn.Module, x: Tensor) -> Tensor:
        return x / x.abs().mean(2, keepdim=True)

    with pytest.raises(NotStreamable, match=r"itself gives NaN or infinity for exact zeros.*norm \+ 1e-6"):
        to_onnx(Net(scaled), tmp_path / "m.onnx", CARD)
    made, reference = convert(lambda: Net(scaled))
    report = check_equivalence(made, reference, features(2).numpy(), frames=200)
    assert report.not_finite == report.deaf == ("exact zeros",)
    with pytest.raises(ParityError, match=r"frames of one value is not a number.*put a floor"):
        check_equivalence(*convert(lambda: Net(channel_norm(0.0))), features(2).numpy(), frames=200)


def test_minutes_of_roundings_are_judged_by_float64(tmp_path: Path) -> None:
    """A gate that is nearly shut adds up what kernels round, for minutes; the graph is nearer to float64 than torch."""

    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.gru, self.head = nn.GRU(40, 64, batch_first=True), nn.Linear(64, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.gru(x)[0])

    card = ModelCard(name="slow", labels=tuple("abc"), activation="softmax", features=MfccSpec())
    made = to_onnx(Slow(), tmp_path / "m.onnx", card)
    assert made.provenance["export"]["largest_difference"] < 1e-5


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(lambda _, x: x[:, :500], id="cut"),
        pytest.param(lambda _, x: functional.pad(x, (0, 0, 0, max(0, 700 - x.shape[1]))), id="filled"),
    ],
)
def test_rows_that_the_network_does_not_give_are_demanded(cut: Callable[..., Tensor], tmp_path: Path) -> None:
    with pytest.raises(NotStreamable, match=r"500 rows for|computed from the sequence"):
        to_onnx(Net(cut), tmp_path / "m.onnx", CARD)
    assert list(tmp_path.iterdir()) == []


def test_a_length_that_ends_is_refused(tmp_path: Path) -> None:
    """A table of 1000 positions, all the same: no shorter sequence shows it."""
    table = torch.zeros(1, 1000, F)
    with pytest.raises(NotStreamable, match=r"fails on .* frames .*a stream has no end"):
        to_onnx(Net(lambda _, x: x + table[:, : x.shape[1]]), tmp_path / "m.onnx", CARD)


def counting(net: nn.Module, x: Tensor) -> Tensor:
    net.seen.add_(1)
    return x + net.seen


def remembering(net: nn.Module, x: Tensor) -> Tensor:
    before = getattr(net, "last", torch.zeros(1))
    net.last = x[:, -1:].detach()
    return x + before


def with_buffer() -> nn.Module:
    net = Net(counting)
    net.register_buffer("seen", torch.zeros(1))
    return net


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "dropout left on": (
        lambda: Net(lambda _, x: functional.dropout(x, 0.5, training=True)),
        r"operator 'dropout' at test_silent_errors.py:\d+: it draws random numbers.*self.training",
    ),
    "noise": (lambda: Net(lambda _, x: x + torch.randn_like(x)), "random numbers"),
    "a buffer": (with_buffer, r"keeps state between calls in 'seen'.*forward\(x, state\)"),
    "an attribute": (lambda: Net(remembering), "keeps state between calls in 'last'"),
    "chance of Python's": (
        lambda: Net(lambda _, x: x + float(np.random.default_rng().normal())),
        "draws no random numbers of torch",
    ),
    "a branch by value": (
        lambda: Net(lambda _, x: x if float(x.abs().max()) > 1e-3 else torch.ones_like(x)),
        r"test_silent_errors.py:\d+: Python reads a value that depends on the sound.*torch.where",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_chance_memory_and_python_are_told_apart(name: str, tmp_path: Path) -> None:
    build, said = REFUSED[name]
    with pytest.raises(NotStreamable, match=said):
        to_onnx(build(), tmp_path / "m.onnx", CARD)
    assert list(tmp_path.iterdir()) == []


def test_reading_a_size_or_a_constant_is_no_fault(tmp_path: Path) -> None:
    scale = torch.tensor(0.5)
    net = Net(lambda _, x: x * float(scale) if x.shape[0] > 0 and not bool(torch.isnan(x).any()) else x)
    assert to_onnx(net, tmp_path / "m.onnx", CARD).stride == 1


@pytest.mark.parametrize("training", [False, True])
def test_a_graph_that_draws_random_numbers_is_refused(tmp_path: Path, training: bool) -> None:
    graph = keras_like_graph()
    if training:
        graph.graph.initializer.append(numpy_helper.from_array(np.array(True), "on"))
        graph.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "half"))
        node = helper.make_node("Dropout", ["line", "half", "on"], ["noisy"], "drop")
    else:
        node = helper.make_node("RandomNormalLike", ["line"], ["noisy"], "drop")
    relu = next(i for i, n in enumerate(graph.graph.node) if n.op_type == "Relu")
    graph.graph.node[relu].input[0] = "noisy"
    graph.graph.node.insert(relu, node)
    with pytest.raises(NotStreamable, match=r"operator 'drop' \(.*\): it draws random numbers"):
        to_onnx(graph, tmp_path / "m.onnx", CARD, features(1))


def test_a_network_of_no_numbers_is_refused(tmp_path: Path) -> None:
    net = Net(lambda _, x: x)
    with torch.no_grad():
        net.head.weight[0, 0] = float("nan")
    with pytest.raises(ExportError, match=r"layer 'head' \(Linear\): its weight holds NaN"):
        to_onnx(net, tmp_path / "m.onnx", CARD)
    with pytest.raises(ExportError, match="gives NaN or infinity for features like those of the example"):
        to_onnx(Net(lambda _, x: (x - 1e4).log()), tmp_path / "m.onnx", CARD)


def test_rows_are_compared_where_the_network_gives_numbers() -> None:
    made, reference = convert(STREAMABLE["two-layer GRU"])
    x = features(3, 1, 30).numpy()
    expected = Expected.of(made, reference, x)
    rows = expected.rows.copy()
    rows[0, 5, 0] = np.nan
    assert expected.difference(rows)[0] == np.inf  # the graph has no number where the network has one
    spoilt = Expected(made, rows)
    assert spoilt.difference(expected.rows)[0] == 0  # and the other way round nothing is asked
    assert expected.difference(rows[:, :7])[0] == np.inf
    assert expected.difference(rows[:, :5])[0] == 0


def variance_so_far(_: nn.Module, x: Tensor) -> Tensor:
    """The cumulative norm of separation networks: mean of squares less square of the mean, and a small floor."""
    count = F * torch.arange(1, x.shape[1] + 1)
    mean = x.sum(2).cumsum(1) / count
    variance = (x.pow(2).sum(2).cumsum(1) / count - mean.pow(2)).unsqueeze(2)
    return (x - mean.unsqueeze(2)) / (variance + 1e-8).sqrt()


def test_a_variance_is_never_below_its_floor(tmp_path: Path) -> None:
    """In a constant sound it is zero but for rounding, whose sign is chance."""
    torch.manual_seed(0)
    to_onnx(Net(variance_so_far), tmp_path / "m.onnx", CARD)
    model = Model.load(tmp_path / "m.onnx", "cpu")
    levels = np.linspace(-30, 30, 64, dtype=np.float32)[:, None, None]
    probabilities, _ = model.step(np.tile(levels, (1, 100, F)), model.initial_state(64))
    assert np.isfinite(probabilities).all()


def test_a_root_of_what_may_be_negative_stays() -> None:
    made, _ = convert(lambda: Net(lambda _, x: (x[..., :1] - x[..., 1:2] + 1e-3).sqrt() + x))
    assert "Max" not in [node.op_type for node in made.model.graph.node]
