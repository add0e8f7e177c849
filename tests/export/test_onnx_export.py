"""Getting a network in and a finished file out: exporters, layouts, cards, errors. Nothing of the user's changes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from torch import Tensor, nn  # noqa: E402

from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.conversion.quantisation import quantise, step_microseconds  # noqa: E402
from export.conversion.torch_export import silenced  # noqa: E402
from export.models import build, preset  # noqa: E402
from stream.errors import ExportError, NotStreamable, UsageError  # noqa: E402
from stream.features.spec import MfccSpec  # noqa: E402
from stream.inference.card import Golden, ModelCard  # noqa: E402
from stream.inference.describe import describe  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from stream.inference.verify import verify  # noqa: E402
from tests.export.test_streaming import keras_like_graph  # noqa: E402
from tests.support.export_zoo import DELAYED, STREAMABLE, C, F, features  # noqa: E402

pytestmark = pytest.mark.torch

CARD = ModelCard(
    name="zoo", labels=("a", "b", "c", "d"), activation="softmax", features=MfccSpec(n_mels=F, n_mfcc=F)
)


class Layout(nn.Module):
    """A GRU that takes its input in another order of axes."""

    def __init__(self, order: tuple[int, ...], plane: bool = False) -> None:
        super().__init__()
        self.order, self.plane = order, plane
        self.rnn, self.head = nn.GRU(F, 8, batch_first=True), nn.Linear(8, C)

    def forward(self, x: Tensor) -> Tensor:
        x = x.squeeze(1) if self.plane else x
        return self.head(self.rnn(x.permute(self.order))[0])


class Answers(nn.Module):
    """Gives several outputs, asks its layers what they are, and drops out in training."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head, self.drop = nn.LSTM(F, 8, 2, batch_first=True), nn.Linear(8, C), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(self.rnn, nn.LSTM)
        self.rnn.flatten_parameters()
        start = x.new_zeros(self.rnn.num_layers, x.shape[0], self.rnn.hidden_size)
        y, (h, _) = self.rnn(x, (start, start))
        return h, torch.sigmoid(self.head(self.drop(y)))


@pytest.mark.parametrize("arch", ["rnn", "lstm", "gru", "crnn", "tcn", "dstcn", "gla"])
def test_our_own_networks(arch: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = build(preset(arch, features=F, classes=C)).train()
    path = tmp_path / "model.onnx"
    card = to_onnx(network, path, CARD)
    assert network.training  # as it was
    assert card.receptive_field == network.receptive_field
    assert card.exact or arch == "rnn"  # whose operator rounds a chunk in another way
    assert card.provenance["export"]["frames_compared"] == 6000
    assert card.provenance["export"]["exporter"] == ("tracing of its loops" if arch == "gla" else "tracing")
    assert all(check.ok for check in verify(path, "cpu"))
    model = Model.load(path, "cpu")
    assert model.card == card
    x = features(3)
    want = torch.softmax(network.eval()(x)[0], 2).detach().numpy()
    np.testing.assert_allclose(model.step(x.numpy(), model.initial_state(2))[0], want, atol=1e-6)


def test_network_and_file_untouched_by_a_refusal(tmp_path: Path) -> None:
    network = DELAYED["symmetric CRNN"][0]()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    with pytest.raises(NotStreamable, match="layer 'near'"):
        to_onnx(network, path, CARD, features(1))
    assert path.read_bytes() == b"old"
    assert network.training
    assert type(network.rnn) is nn.GRU
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    card = to_onnx(network, path, CARD, features(1), lookahead="delay")
    assert (card.delay, card.warmup, card.exact) == (3, 3, card.exact)
    assert all(check.ok for check in verify(path, "cpu"))
    late = to_onnx(network, path, msgspec.structs.replace(CARD, delay=2), features(1), lookahead="delay")
    assert late.delay == 5  # what it was trained to lag by, and what its layers need


@pytest.mark.parametrize(
    ("network", "given", "axes"),
    [
        (Layout((0, 2, 1)), lambda x: x.transpose(0, 2, 1), {"time_axis": 2}),
        (Layout((1, 0, 2)), lambda x: x.transpose(1, 0, 2), {"time_axis": 0, "batch_axis": 1}),
        (Layout((0, 2, 1), plane=True), lambda x: x.transpose(0, 2, 1)[:, None], {"time_axis": 3}),
    ],
)
def test_axes_in_any_order(
    network: nn.Module, given: Callable[[np.ndarray], np.ndarray], axes: dict[str, int], tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    to_onnx(network, path, CARD, given(features(1).numpy()), **axes)
    model = Model.load(path, "cpu")
    x = np.random.default_rng(0).standard_normal((2, 50, F)).astype(np.float32)
    want = torch.softmax(network(torch.from_numpy(given(x))), 2).detach().numpy()
    np.testing.assert_allclose(model.step(x, model.initial_state(2))[0], want, atol=1e-6)


def test_outputs_by_index_and_activation_inside(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    card = msgspec.structs.replace(CARD, activation="sigmoid")
    network = Answers()
    to_onnx(network, path, card, features(1), output_index=1)
    operators = describe(path)["graph"]["operators"]
    assert operators["Sigmoid"] == 1  # its own; none was appended
    assert operators["LSTM"] == 2
    x = features(4)
    model = Model.load(path, "cpu")
    want = network.eval()(x)[1].detach().numpy()
    np.testing.assert_allclose(model.step(x.numpy(), model.initial_state(2))[0], want, atol=1e-6)


def test_an_offline_onnx_file(tmp_path: Path) -> None:
    source, path = tmp_path / "offline.onnx", tmp_path / "model.onnx"
    onnx.save(keras_like_graph(), source)
    card = to_onnx(source, path, CARD, features(1))
    assert card.provenance["export"]["exporter"] == "offline ONNX graph"
    assert all(check.ok for check in verify(path, "cpu"))


def test_the_file_carries_small_golden_vectors(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    to_onnx(STREAMABLE["two-layer GRU"](), path, CARD, features(1))
    metadata = {p.key: p.value for p in onnx.load(path).metadata_props}
    golden = Golden.from_metadata(metadata)
    assert len(golden.to_json()) < 200_000
    again = tmp_path / "again.onnx"
    to_onnx(STREAMABLE["two-layer GRU"](), again, CARD, features(1))
    other = Golden.from_metadata({p.key: p.value for p in onnx.load(again).metadata_props})
    assert (golden.audio, golden.features) == (other.audio, other.features)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"example": torch.randn(2, 96, F + 1)}, UsageError, "13 features a frame, the card 12"),
        ({"example": torch.randn(2, 96, 2, F)}, UsageError, "only one axis"),
        ({"example": torch.full((2, 96, F), float("nan"))}, UsageError, "not finite"),
        ({"time_axis": 5}, UsageError, "no axes"),
        ({"lookahead": "maybe"}, UsageError, "refuse, delay"),
        ({"opset": 11}, ExportError, "opset 11"),
        (
            {"card": msgspec.structs.replace(CARD, labels=("a", "b"))},
            NotStreamable,
            "4 scores a frame.* 2 labels",
        ),
        ({"network": "missing.onnx"}, ExportError, "missing.onnx"),
    ],
)
def test_wrong_arguments(
    options: dict[str, object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    given = {"network": STREAMABLE["two-layer GRU"](), "card": CARD, "example": features(1), **options}
    network, card, example = given.pop("network"), given.pop("card"), given.pop("example")
    with pytest.raises(error, match=message):
        to_onnx(network, tmp_path / "model.onnx", card, example, **given)
    assert not (tmp_path / "model.onnx").exists()


def test_exporters_are_silenced_but_their_errors_are_not(capfd: pytest.CaptureFixture[str]) -> None:
    with silenced():
        print("chatter")
        warnings.warn("chatter", stacklevel=1)
    with pytest.raises(ZeroDivisionError), silenced():
        _ = 1 / 0
    assert capfd.readouterr() == ("", "")


def test_describe(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    to_onnx(STREAMABLE["two-layer GRU"](), path, CARD, features(1))
    about = describe(path)
    weights = 3 * 16 * (F + 16) + 3 * 16 * (16 + 16) + 16 * C
    assert about["graph"]["operators"]["GRU"] == 2
    assert about["graph"]["macs_per_frame"] == weights
    assert about["graph"]["parameters"] == weights + 2 * 6 * 16 + C
    assert about["receptive_field"]["frames"] is None
    assert 0 < about["receptive_field"]["noticed"] < 1000
    assert about["latency"] == {"window": 0.032, "step": 0.01, "delay": 0.0, "warmup": 0.0}
    assert [s["bytes"] for s in about["states"]] == [64, 64]
    assert about["file"]["golden"] is True


def test_quantise(tmp_path: Path) -> None:
    path, small = tmp_path / "model.onnx", tmp_path / "small.onnx"
    network = nn.Sequential(_First(nn.LSTM(F, 64, batch_first=True)), nn.Linear(64, C))
    card = to_onnx(network, path, CARD, features(1))
    done = quantise(path, small)
    assert done.replaced == {"LSTM": 1, "MatMul": 1}
    assert done.bytes_after < 0.7 * done.bytes_before
    assert 0 < done.largest_difference < 0.05
    assert (done.card.exact, done.card.name) == (False, "zoo (int8)")
    assert done.card.states == card.states
    assert all(check.ok for check in verify(small, "cpu"))
    times = step_microseconds([Model.load(p, "cpu") for p in (path, small)], steps=5, rounds=2)
    assert len(times) == 2
    assert min(times) > 0


class _First(nn.Module):
    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0]


class Energies(nn.Module):
    """Defined for positive features only."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.GRU(F, C, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.log(x))[0]


def test_a_network_that_takes_positive_features_only(tmp_path: Path) -> None:
    """EquivalenceReport and probe stay in the range of the example."""
    card = to_onnx(Energies(), tmp_path / "model.onnx", CARD, features(1).abs() + 0.1)
    assert card.provenance["export"]["largest_difference"] < 1e-5


def test_a_bare_recurrent_layer_with_a_tuple_as_output(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    to_onnx(nn.GRU(F, C, batch_first=True), path, CARD, features(1))
    assert describe(path)["graph"]["operators"]["GRU"] == 1


PLANE = {"axes": "time-frequency", "channels": 5}


@pytest.mark.parametrize(
    ("arch", "changes"),
    [("lstm", {}), ("gru", {}), ("crnn", {}), ("tcn", {}), ("dstcn", {}), ("crnn", PLANE),
     ("crnn", {**PLANE, "conv_layers": 3, "kernel": 2, "bands": True, "norm": False})],
)  # fmt: skip
def test_convolutions_and_gates_are_exact_for_any_chunking(arch: str, changes: dict, tmp_path: Path) -> None:
    """Our networks give the same bits whole, step by step and among other streams; rows are products of their own,
    and nothing is turned on its way but for the recurrent layer, and from a plane to rows."""
    torch.manual_seed(0)
    network = build(preset(arch, features=F, classes=len(CARD.labels), **changes))
    card = to_onnx(network, tmp_path / "m.onnx", CARD)
    assert card.exact
    graph = onnx.load(tmp_path / "m.onnx").graph
    ops = [node.op_type for node in graph.node]
    assert ops.count("Transpose") <= 2 * ops.count("GRU") + 4 * ops.count("LSTM") + (arch == "dstcn")
    assert "Pad" not in ops
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == (
        3 if arch == "dstcn" else changes.get("conv_layers", 2) if "axes" in changes else 0
    )
    model = Model.load(tmp_path / "m.onnx", "cpu")
    frames = np.random.default_rng(0).standard_normal((1, 60, F)).astype(np.float32)
    whole, _ = model.step(frames, model.initial_state())
    state = model.initial_state()
    rows = []
    for t in range(60):
        row, state = model.step(frames[:, t : t + 1], state)
        rows.append(row)
    np.testing.assert_array_equal(np.concatenate(rows, axis=1), whole)


class Plane(nn.Module):
    """A convolution over frequency and time, whichever comes first, then a head."""

    def __init__(self, turned: bool, stride: int, dilation: int, pad: int) -> None:
        super().__init__()
        self.turned, self.past = turned, 2 * dilation
        sizes = [(3, 4), (1, stride), (dilation, 1), (0, pad)]
        kernel, step, apart, padding = [size[::-1] if turned else size for size in sizes]
        self.conv = nn.Conv2d(2, 3, kernel, step, padding, apart)
        self.head = nn.Linear(3 * ((F // 2 + 2 * pad - 4) // stride + 1), C)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(2, (2, F // 2)).transpose(1, 2)  # (N, 2, T, F / 2)
        x = nn.functional.pad(x, (0, 0, self.past, 0))
        if self.turned:
            return self.head(self.conv(x.transpose(2, 3)).permute(0, 3, 1, 2).flatten(2))
        return self.head(self.conv(x).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("stride", "dilation", "pad"), [(1, 1, 0), (2, 1, 1), (3, 2, 2), (2, 3, 0)])
def test_a_convolution_over_a_plane_stays_one(
    turned: bool, stride: int, dilation: int, pad: int, tmp_path: Path
) -> None:
    """The proof in ``to_onnx`` compares it with torch; here that it is exact, and that little stands around it."""
    torch.manual_seed(0)
    card = to_onnx(Plane(turned, stride, dilation, pad), tmp_path / "m.onnx", CARD)
    assert card.exact
    graph = onnx.load(tmp_path / "m.onnx").graph
    ops = sorted(node.op_type for node in graph.node)
    assert ops.count("Conv") == 1
    assert ops.count("Slice") == 1  # what is remembered
    assert ops.count("Transpose") <= 2


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("groups", "pad", "stride"), [(1, 0, 1), (2, 0, 1), (1, 1, 9), (4, 1, 9)])
def test_a_plane_of_which_one_bin_is_left_becomes_a_product(
    turned: bool, groups: int, pad: int, stride: int, tmp_path: Path
) -> None:
    class Tall(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            size = F // 4 + 2 * pad
            sizes = [(3, size), (1, stride), (2, 1), (0, pad)]
            kernel, step, apart, padding = [each[::-1] if turned else each for each in sizes]
            self.conv = nn.Conv2d(4, 8, kernel, step, padding, apart, groups)
            self.head = nn.Linear(8, C)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.pad(x.unflatten(2, (4, F // 4)).transpose(1, 2), (0, 0, 4, 0))
            y = self.conv(x.transpose(2, 3)).squeeze(2) if turned else self.conv(x).squeeze(3)
            return self.head(torch.relu(y).transpose(1, 2))

    torch.manual_seed(0)
    card = to_onnx(Tall(), tmp_path / "m.onnx", CARD)
    assert card.exact
    assert "Conv" not in {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}


class Maps(nn.Module):
    """Convolutions over time and frequency in groups, of which the first takes one or the other way to remember."""

    def __init__(self, groups: int, channels: int, shift: float, stride: int = 1) -> None:
        super().__init__()
        self.shift = shift
        self.conv = nn.Conv2d(2, channels, (3, 3), (stride, 1), (0, 1), (2, 1), groups)
        self.head = nn.Linear(channels * (F // 2), C)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(2, (2, F // 2)).transpose(1, 2) + self.shift
        x = nn.functional.pad(x, (0, 0, 4, 0), value=self.shift)
        return self.head(torch.relu(self.conv(x)).transpose(1, 2).flatten(2))


@pytest.mark.parametrize(
    ("groups", "channels", "shift", "remembered"),
    [(1, 1, 0.0, (-1, 2, 4, F // 2)), (1, 1, 0.5, (-1, 2, 4, F // 2)), (2, 2, 0.5, (-1, 2, 4, F // 2)),
     (2, 2, 0.0, (-1, 6, 4, F // 2)), (2, 6, 0.0, (-1, 18, 4, F // 2))],
)  # fmt: skip
def test_what_a_convolution_over_a_plane_remembers(
    groups: int, channels: int, shift: float, remembered: tuple[int, ...], tmp_path: Path
) -> None:
    """Frames; in groups what they gave, but where padding is not zero."""
    torch.manual_seed(0)
    card = to_onnx(Maps(groups, channels, shift), tmp_path / "m.onnx", CARD)
    assert card.exact
    assert [state.shape for state in card.states] == [remembered]


@pytest.mark.parametrize("bins", [1, 2])
def test_pooled_planes_before_a_recurrent_layer(bins: int, tmp_path: Path) -> None:
    """As sound event detectors have them: what is left of the bins is flattened, or is one, and then turned."""

    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
            self.pool = nn.MaxPool2d((1, F // bins))
            self.rnn, self.head = nn.GRU(4 * bins, 6, 2, batch_first=True), nn.Linear(6, C)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.pad(x.unsqueeze(1), (1, 1, 2, 0))
            x = self.pool(torch.relu(self.norm(self.conv(x))))
            return self.head(self.rnn(x.transpose(1, 2).flatten(2))[0])

    torch.manual_seed(0)
    card = to_onnx(Detector().eval(), tmp_path / "m.onnx", CARD)
    assert card.exact
    ops = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert ops.count("Transpose") == 2


def test_groups_with_a_stride_over_time(tmp_path: Path) -> None:
    torch.manual_seed(0)
    card = to_onnx(Maps(2, 4, 0.0, stride=2), tmp_path / "m.onnx", CARD)
    assert card.stride == 2
