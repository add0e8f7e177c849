"""Networks that take their state and give it back: modules and ONNX graphs, taken as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.recurrences.state_names import pair_states  # noqa: E402
from stream.errors import NotStreamable, UsageError  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from tests.export.test_onnx_export import CARD  # noqa: E402
from tests.support.export_zoo import C, F, features  # noqa: E402

pytestmark = pytest.mark.torch


class Step(nn.Module):
    """(x, state) -> (scores, state), by ``how``.

    Args:
        start: what ``initial_state`` returns for a number of streams; None = it has no such method.
    """

    def __init__(
        self, cell: nn.Module, how: Callable[..., Any], start: Callable[[int], Any] | None = None
    ) -> None:
        super().__init__()
        self.cell, self.how, self.head = cell, how, nn.Linear(10, C)
        if start is not None:
            self.initial_state = start

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.how(self, x, state)


def frame(net: Step, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    h = net.cell(x, h)
    return net.head(h), h


def pair(net: Step, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    h, c = net.cell(x, state)
    return net.head(h), (h, c)


def named(net: Step, x: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    h = net.cell(x, state["h"])
    level = 0.9 * state["level"] + 0.1 * x.mean(1, keepdim=True)
    return net.head(h * level), {"h": h, "level": level}


def chunk(net: Step, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    y, h = net.cell(x, h)
    return net.head(y), h


def cached(net: Step, x: Tensor, past: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    window = torch.cat([past[0], x.transpose(1, 2)], 2)
    return net.head(torch.relu(net.cell(window)).transpose(1, 2)), [window[:, :, -3:]]


STEPS: dict[str, Callable[[], nn.Module]] = {
    "GRUCell, from nothing": lambda: Step(nn.GRUCell(F, 10), frame),
    "LSTMCell, a given start": lambda: Step(
        nn.LSTMCell(F, 10), pair, lambda n: (torch.full((n, 10), 0.5), torch.zeros(n, 10))
    ),
    "a dict of states": lambda: Step(
        nn.RNNCell(F, 10), named, lambda n: {"h": torch.zeros(n, 10), "level": torch.ones(n, 1)}
    ),
    "chunks of a GRU": lambda: Step(nn.GRU(F, 10, 2, batch_first=True), chunk),
    "chunks, the past kept": lambda: Step(nn.Conv1d(F, 10, 4), cached, lambda n: [torch.zeros(n, F, 3)]),
}


def by_steps(network: nn.Module, x: Tensor, start: Any) -> np.ndarray:
    """Probabilities, a frame at a time."""
    rows, state = [], start
    with torch.no_grad():
        for t in range(x.shape[1]):
            chunked = isinstance(network.cell, (nn.GRU, nn.Conv1d))
            y, state = network(x[:, t : t + 1] if chunked else x[:, t], state)
            rows.append(y if chunked else y[:, None])
    return torch.softmax(torch.cat(rows, 1), 2).numpy()


@pytest.mark.parametrize("name", STEPS)
def test_a_module_with_its_state_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = STEPS[name]().eval()
    path = tmp_path / "model.onnx"
    card = to_onnx(network, path, CARD, features(0))
    model = Model.load(path, "cpu")
    x = features(5, 3, 40)
    start = network.initial_state(3) if hasattr(network, "initial_state") else None
    want = by_steps(network, x, start)
    state, rows = model.initial_state(3), []
    for piece in np.split(x.numpy(), [1, 2, 9, 30], axis=1):
        probabilities, state = model.step(piece, state)
        rows.append(probabilities)
    np.testing.assert_allclose(np.concatenate(rows, 1), want, rtol=0, atol=1e-6)
    assert card.receptive_field is None or name == "chunks, the past kept"


class Asks(nn.Module):
    """Takes a state of a shape that nobody can guess."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(F, C)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = functional.pad(h[:, :, 1:], (0, 1)) + x.mean(1)[:, None, None]
        if h.shape[1:] != (2, 7):
            raise ValueError("not my state")
        return self.head(x * h.mean((1, 2))[:, None]), h


def test_the_first_state_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(UsageError, match=r"takes a state \(h\).*initial_state\(streams\)"):
        to_onnx(Asks(), path, CARD, features(0))
    card = to_onnx(Asks(), path, CARD, (features(0), torch.ones(1, 2, 7)))
    assert [state.init for state in card.states] == [1.0]


def step_graph(**names: str) -> Any:
    """An ONNX GRU step by hand: (x (N, F), h (N, 10)) -> (scores, next h)."""
    rng = np.random.default_rng(0)
    before, after = names.get("before", "h"), names.get("after", "h_out")
    arrays = {"w": (F, 10), "r": (10, 10), "v": (10, C)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("MatMul", [before, "r"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Tanh", ["c"], [after]),
        helper.make_node("MatMul", [after, "v"], ["scores"]),
    ]
    rows = names.get("batch", "N")
    graph = helper.make_graph(
        nodes,
        "step",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, F]),
            helper.make_tensor_value_info(before, TensorProto.FLOAT, [rows, 10]),
        ],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [rows, C]),
            helper.make_tensor_value_info(after, TensorProto.FLOAT, [rows, 10]),
        ],
        [
            numpy_helper.from_array((0.3 * rng.standard_normal(shape)).astype(np.float32), name)
            for name, shape in arrays.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_an_onnx_graph_with_its_state_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    card = to_onnx(step_graph(), path, CARD, features(0))
    assert [(s.shape, s.init) for s in card.states] == [((-1, 10), 0.0)]
    model, x = Model.load(path, "cpu"), features(2, 3, 30).numpy()
    weights = {t.name: numpy_helper.to_array(t) for t in step_graph().graph.initializer}
    h, rows = np.zeros((3, 10), np.float32), []
    for t in range(30):
        h = np.tanh(x[:, t] @ weights["w"] + h @ weights["r"])
        odds = np.exp(h @ weights["v"])
        rows.append(odds / odds.sum(1, keepdims=True))
    state = model.initial_state(3)
    first, state = model.step(x[:, :7], state)
    second, _ = model.step(x[:, 7:], state)
    np.testing.assert_allclose(np.concatenate([first, second], 1), np.stack(rows, 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *(("h", "h_out"), ("state", "stateN"), ("h0", "hn"), ("h_in", "h_out"), ("prev_h", "next_h")),
        *(("cache", "new_cache"), ("cache", "r_cache"), ("cache", "cache_next"), ("past.0", "present.0")),
        *(("h.in", "h.out"), ("x_state", "y_of_it")),
    ],
)
def test_names_tell_which_state_is_which(before: str, after: str) -> None:
    pairing = pair_states(step_graph(before=before, after=after).graph)
    assert not isinstance(pairing, str)
    assert pairing.states == ((before, after),)
    assert (pairing.features, pairing.outputs) == ("x", ("scores",))


def test_a_fixed_batch_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotStreamable, match=r"state 'h'.*dynamic batch"):
        to_onnx(step_graph(batch=1), tmp_path / "model.onnx", CARD, features(0))


def test_a_number_is_no_state(tmp_path: Path) -> None:
    graph = step_graph()
    graph.graph.input.append(helper.make_tensor_value_info("sr", TensorProto.INT64, []))
    with pytest.raises(NotStreamable, match="'sr' is a number"):
        to_onnx(graph, tmp_path / "model.onnx", CARD, features(0))
