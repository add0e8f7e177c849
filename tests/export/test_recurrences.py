"""Recurrences written by hand become state: equal to torch for any chunking, or refused with the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from torch import Tensor, nn  # noqa: E402

from export.conversion.equivalence import Reference, difference_from_whole  # noqa: E402
from export.conversion.input_layout import InputLayout  # noqa: E402
from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.conversion.operators import check_operators  # noqa: E402
from export.conversion.step_runner import StreamRunner  # noqa: E402
from export.conversion.torch_export import Whole, exporters_for, offline_graph  # noqa: E402
from export.recurrences import ComplexAsPairs, FrameWrites  # noqa: E402
from export.streaming import Streaming, streamify  # noqa: E402
from stream.errors import NotStreamable  # noqa: E402
from stream.inference.verify import verify  # noqa: E402
from tests.export.test_onnx_export import CARD  # noqa: E402
from tests.support.export_networks import Featureless  # noqa: E402
from tests.support.export_zoo import STREAMABLE, F, features  # noqa: E402
from tests.support.loop_networks import LOOPS, Looped, by_index, zeros  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]


def converted(network: nn.Module, lookahead: str = "refuse") -> tuple[Streaming, Reference]:
    """The streaming graph and the network itself."""
    x = features(0)
    whole = Whole(network, InputLayout.of(tuple(x.shape), 0, 1))
    (exporter,) = exporters_for(whole, x)
    graph = offline_graph(exporter, whole, x)
    made = streamify(graph, x.numpy(), lookahead=lookahead, activation="softmax")
    check_operators(made.model)
    return made, Reference(lambda v: whole(torch.from_numpy(v)).numpy(), "softmax")


def sounds(streams: int, frames: int) -> dict[str, np.ndarray]:
    """Features of noise, of digital silence, of a constant, and of a step from silence to full scale."""
    noise = features(streams, streams, frames).numpy()
    step = np.zeros_like(noise)
    step[:, frames // 2 :] = 4 * noise[:, frames // 2 :]
    return {
        "noise": noise,
        "silence": np.zeros_like(noise),
        "constant": np.full_like(noise, -3.0),
        "step": step,
    }


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_carried(name: str) -> None:
    torch.manual_seed(3)
    made, reference = converted(LOOPS[name]().eval())
    runner, step = StreamRunner(made.model, made.states), made.stride
    assert made.receptive_field is None
    # Mamba's products differ in the last bit with the length of a chunk; its card would say so.
    exact = "Conv" not in {node.op_type for node in made.model.graph.node} and name != "Mamba"
    for kind, x in sounds(3, 64).items():
        rows, _ = runner.run(x, [5 * step, step, 2 * step, 13 * step])
        assert np.isfinite(rows).all(), kind
        assert difference_from_whole(made, reference, x, rows) <= 1e-5, kind
        alone, _ = runner.run(x[1:2], [step])
        np.testing.assert_allclose(alone, rows[1:2], rtol=0, atol=1e-6)
        if exact:
            np.testing.assert_array_equal(alone, runner.run(x[1:2], [64])[0], kind)


OPERATORS = {
    "GRUCell": ["GRU"],
    "LSTMCell from nothing": ["LSTM"],
    "GRUCell, assigned, learned start": ["GRU"],
    "two loops in turn": ["Scan", "Scan"],
    "between convolutions": ["GRU"],
    "last state": ["GRU"],
    "scores in the loop": ["GRU"],
    "minGRU": ["Scan"],
}


@pytest.mark.parametrize("name", OPERATORS)
def test_cells_of_torch_become_operators(name: str) -> None:
    """They are quicker than a loop, and the same to a rounding."""
    made, _ = converted(LOOPS[name]().eval())
    recurrent = ("GRU", "LSTM", "RNN", "Scan")
    assert [n.op_type for n in made.model.graph.node if n.op_type in recurrent] == OPERATORS[name]


RUNNING = {
    "product": lambda x: torch.sigmoid(x + 5).cumprod(1),
    "maximum": lambda x: x.cummax(1)[0],
    "minimum": lambda x: torch.cummin(x, dim=1).values,
    "logarithm of a sum": lambda x: torch.logcumsumexp(x, 1) / 10,
}


@pytest.mark.parametrize("name", RUNNING)
def test_a_running_value_is_carried(name: str) -> None:
    made, reference = converted(Featureless(RUNNING[name]).eval())
    runner = StreamRunner(made.model, made.states)
    for x in sounds(3, 96).values():
        rows, _ = runner.run(x, [7, 1, 20])
        assert difference_from_whole(made, reference, x, rows) <= 1e-5
        np.testing.assert_array_equal(rows, runner.run(x, [1])[0])


def test_a_loop_becomes_a_proven_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    card = to_onnx(LOOPS["GRUCell"](), path, CARD)
    assert card.exact
    assert card.provenance["export"]["exporter"] == "tracing of its loops"
    assert all(check.ok for check in verify(path, "cpu"))


class _AfterLookahead(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.near, self.loop = nn.Conv1d(F, F, 5, padding=2), LOOPS[name]()

    def forward(self, x: Tensor) -> Tensor:
        return self.loop(self.near(x.transpose(1, 2)).transpose(1, 2))


@pytest.mark.parametrize("name", ["GRUCell, assigned, learned start", "average from the first frame", "SRU"])
def test_a_loop_waits_for_what_it_needs(name: str) -> None:
    torch.manual_seed(0)
    made, reference = converted(_AfterLookahead(name).eval(), lookahead="delay")
    assert made.delay == 2
    runner = StreamRunner(made.model, made.states)
    for x in sounds(2, 96).values():
        assert difference_from_whole(made, reference, x, runner.run(x, [1, 9])[0]) <= 1e-5


def backwards(net: Looped, x: Tensor) -> Tensor:
    h, out = zeros(x), []
    for t in reversed(range(x.size(1))):
        h = net.cell(x[:, t], h)
        out.insert(0, h)
    return torch.stack(out, 1)


def by_number(net: Looped, x: Tensor) -> Tensor:
    h, out = zeros(x), []
    for t in range(x.size(1)):
        h = net.cell(x[:, t], h) / (t + 1)
        out.append(h)
    return torch.stack(out, 1)


def from_the_mean(net: Looped, x: Tensor) -> Tensor:
    h, mean, out = zeros(x), x.mean(1), []
    for t in range(x.size(1)):
        h = net.cell(x[:, t] - mean, h)
        out.append(h)
    return torch.stack(out, 1)


@pytest.mark.parametrize(
    ("how", "reason"),
    [(backwards, "backwards"), (by_number, "number of the frame"), (from_the_mean, "whole sequence")],
)
def test_what_cannot_be_carried_is_refused_with_the_way_out(
    how: Callable[[Looped, Tensor], Tensor], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(NotStreamable, match=rf"{reason}.*forward\(x, state\)"):
        to_onnx(Looped(how, nn.GRUCell(F, 10)), path, CARD, features(0))
    assert not path.exists()


def mean_so_far(x: Tensor) -> Tensor:
    return x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]


def layer_norm_so_far(x: Tensor) -> Tensor:
    count = torch.arange(1, x.shape[1] + 1) * x.shape[2]
    mean = x.sum(2).cumsum(1) / count
    power = x.pow(2).sum(2).cumsum(1) / count
    return (x - mean[..., None]) / torch.sqrt(power - mean * mean + 1e-3)[..., None]


def divided_by_the_count(x: Tensor) -> Tensor:
    return x / torch.arange(1, x.shape[1] + 1).view(1, -1, 1)


@pytest.mark.parametrize("how", [mean_so_far, layer_norm_so_far, divided_by_the_count])
def test_frames_are_counted(how: Callable[[Tensor], Tensor]) -> None:
    x = features(0)
    whole = Whole(Featureless(how).eval(), InputLayout.of(tuple(x.shape), 0, 1))
    made = streamify(offline_graph("tracing", whole, x), x.numpy(), activation="softmax")
    reference = Reference(lambda v: whole(torch.from_numpy(v)).numpy(), "softmax")
    runner = StreamRunner(made.model, made.states)
    for kind, v in sounds(3, 96).items():
        rows, _ = runner.run(v, [7, 1, 20])
        assert difference_from_whole(made, reference, v, rows) <= 1e-5, kind
        np.testing.assert_array_equal(rows, runner.run(v, [1])[0], kind)


@pytest.mark.parametrize(
    "name", ["mean over time", "sum over time", "maximum over time", "minimum over time"]
)
def test_chunks_of_a_running_value_have_the_bits_of_single_frames(name: str) -> None:
    x = features(0)
    whole = Whole(STREAMABLE[name]().eval(), InputLayout.of(tuple(x.shape), 0, 1))
    made = streamify(offline_graph("tracing", whole, x), x.numpy())
    runner = StreamRunner(made.model, made.states)
    np.testing.assert_array_equal(runner.run(x.numpy(), [1])[0], runner.run(x.numpy(), [7, 2, 20])[0])


def test_layers_are_no_loops() -> None:
    x = features(0)
    for name in ("two-layer GRU", "chomped CRNN", "maximum over time"):
        assert "tracing" in exporters_for(Whole(STREAMABLE[name](), InputLayout.of((2, 96, F), 0, 1)), x)


def test_a_loop_keeps_its_place_among_layers() -> None:
    """Taking the state away must show: the comparison of these tests can fail."""
    made, reference = converted(Looped(by_index, nn.GRUCell(F, 10)).eval())
    runner = StreamRunner(made.model, made.states)
    x = features(1).numpy()
    rows = np.concatenate([runner.run(x[:, t : t + 1], [1])[0] for t in range(96)], axis=1)
    assert difference_from_whole(made, reference, x, rows) > 1e-3


def test_questions_about_frames_do_not_write_them() -> None:
    """Frames that are written one by one are put together once: a scatter for each would fill the graph."""
    out = torch.zeros(2, 5, 3)
    with FrameWrites(), ComplexAsPairs():
        for t in range(5):
            out[:, t] = torch.ones(2, 3)
            assert (out.dtype, out.is_complex(), out.is_floating_point(), out.ndim) == (
                torch.float32,
                False,
                True,
                3,
            )
        stacked = out + 0
    assert (stacked == 1).all()
    assert (out == 0).all()
