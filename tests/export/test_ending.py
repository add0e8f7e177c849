"""A network that already ends in probabilities never gets a second activation on top."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from torch import Tensor, nn  # noqa: E402

from export.conversion.input_layout import InputLayout  # noqa: E402
from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.conversion.torch_export import Whole, offline_graph  # noqa: E402
from export.streaming.convert import streamify  # noqa: E402
from stream.errors import NotStreamable  # noqa: E402
from stream.inference.engine import make_engine  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from tests.export.test_onnx_export import CARD  # noqa: E402
from tests.support.export_zoo import C, F, features  # noqa: E402

pytestmark = pytest.mark.torch


class Ends(nn.Module):
    """A GRU whose scores go through ``ending``, (N, T, C) -> (N, T, C)."""

    def __init__(self, ending: object) -> None:
        super().__init__()
        self.rnn, self.head, self.ending = nn.GRU(F, 8, batch_first=True), nn.Linear(8, C), ending

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.ending(self.head(self.rnn(x)[0]) * 3)  # type: ignore[operator]
        return out


ENDINGS = {
    "softmax": nn.Softmax(-1),
    "softmax over channels": lambda y: y.transpose(1, 2).softmax(1).transpose(1, 2),
    "exp and sum": lambda y: y.exp() / y.exp().sum(-1, keepdim=True),
    "exp and reciprocal": lambda y: y.exp() * (1 / y.exp().sum(-1, keepdim=True)),
    "sigmoid": nn.Sigmoid(),
    "sigmoid in halves": lambda y: torch.cat([y[..., :2].sigmoid(), y[..., 2:].sigmoid()], -1),
    "sigmoid reshaped": lambda y: y.sigmoid().unsqueeze(1).squeeze(1),
    "half a sigmoid": lambda y: torch.cat([y[..., :2].sigmoid(), y[..., 2:]], -1),
    "log-sigmoid": lambda y: y.sigmoid().log(),
    "hard sigmoid": nn.Hardsigmoid(),
    "clamp": lambda y: y.clamp(0, 1),
    "log-softmax": nn.LogSoftmax(-1),
    "tanh": nn.Tanh(),
    "nothing": nn.Identity(),
}
ACCEPTED = {
    "softmax": {
        "softmax", "softmax over channels", "exp and sum", "exp and reciprocal", "log-softmax", "nothing", "tanh",
    },
    "sigmoid": {"sigmoid", "sigmoid in halves", "sigmoid reshaped", "nothing", "tanh"},
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_what_a_network_ends_in(name: str) -> None:
    torch.manual_seed(0)
    module = Ends(ENDINGS[name]).eval()
    sample = features(2)
    graph = offline_graph("tracing", Whole(module, InputLayout.of((2, 96, F), 0, 1), 0), sample)
    for activation in ("softmax", "sigmoid"):
        if name in ACCEPTED[activation]:
            made = streamify(graph, sample.numpy(), activation=activation)
            assert made.activated == (name not in ("nothing", "tanh", "log-softmax"))
        else:
            with pytest.raises(NotStreamable, match=f"the card says {activation}"):
                streamify(graph, sample.numpy(), activation=activation)


@pytest.mark.parametrize("name", ["exp and reciprocal", "log-softmax"])
def test_probabilities_come_out_as_they_are(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    module, path = Ends(ENDINGS[name]).eval(), tmp_path / "a.onnx"
    to_onnx(module, path, CARD)
    sound = features(1)
    with torch.no_grad():
        wanted = module(sound)[0]
    found = make_engine(Model.load(path)).run(sound[0].numpy())
    np.testing.assert_allclose(found, wanted.exp() if name == "log-softmax" else wanted, atol=1e-5)


def test_nothing_is_written_of_a_network_that_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        NotStreamable, match="one on top of the other is neither: export it with --activation sigmoid"
    ):
        to_onnx(Ends(nn.Sigmoid()).eval(), tmp_path / "a.onnx", CARD)
    assert list(tmp_path.iterdir()) == []
