"""What goes into an export besides a network, and what it says: weights, fixed sizes, layers by name, progress."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from torch import Tensor, nn  # noqa: E402

from export.cli.export_progress import ExportProgress  # noqa: E402
from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.conversion.torch_export import EXPORTERS, silenced  # noqa: E402
from export.models.weights import read_weights  # noqa: E402
from stream.errors import CheckpointError, NotStreamable, StreamClassifyError, UsageError  # noqa: E402
from stream.features.spec import MfccSpec  # noqa: E402
from stream.inference.card import ModelCard  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from tests.export.test_streaming import convert  # noqa: E402
from tests.support.export_zoo import C, F, features  # noqa: E402

pytestmark = pytest.mark.torch

CARD = ModelCard(
    name="words", labels=tuple("abcd"), activation="softmax", features=MfccSpec(n_mels=F, n_mfcc=F)
)
CODE = f"""
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = torch.nn.GRU({F}, 8, batch_first=True), torch.nn.Linear(8, {C})
        self.register_buffer("seen", torch.tensor(3))

    def forward(self, x):
        return self.head(self.rnn(x)[0])
"""


def network() -> nn.Module:
    scope: dict[str, type[nn.Module]] = {}
    exec(CODE, scope)
    torch.manual_seed(3)
    return scope["Net"]().eval()


def safetensors(weights: dict[str, Tensor]) -> bytes:
    """As the safetensors package writes them."""
    names = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, value in weights.items():
        part = value.contiguous().numpy().tobytes()
        header[name] = {
            "dtype": names[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [len(data), len(data) + len(part)],
        }
        data += part
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


WRITTEN: dict[str, Callable[[dict[str, Tensor]], bytes]] = {
    "safetensors": safetensors,
    "state dict": saved,
    "within a checkpoint": lambda w: saved({"epoch": 3, "state_dict": w}),
    "of a parallel network": lambda w: saved({f"module.{name}": value for name, value in w.items()}),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_weights_of_a_file_go_into_the_module(tmp_path: Path, kind: str) -> None:
    trained, fresh = network(), network()
    with torch.no_grad():
        fresh.head.weight.zero_()
    (tmp_path / "weights").write_bytes(WRITTEN[kind](trained.state_dict()))
    to_onnx(fresh, tmp_path / "m.onnx", CARD, weights=tmp_path / "weights")
    model, x = Model.load(tmp_path / "m.onnx"), features(4, 1, 30)
    found, _ = model.step(x.numpy(), model.initial_state())
    with torch.no_grad():
        np.testing.assert_allclose(found, trained(x).softmax(-1).numpy(), atol=1e-5)
    assert not fresh.head.weight.any()  # the user's module is as it was


def test_the_command_takes_weights_and_the_code_of_the_network(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "w.safetensors").write_bytes(safetensors(network().state_dict()))
    (tmp_path / "card.json").write_bytes(CARD.to_json().encode())
    arguments = ["w.safetensors", "--module", "net.py:Net", "--card", "card.json", "-o", "m.onnx"]
    done = subprocess.run(
        [sys.executable, "-m", "stream", "export", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert Model.load(tmp_path / "m.onnx").labels == CARD.labels
    assert done.stdout.startswith("wrote m.onnx")
    assert len(done.stdout.splitlines()) == 2  # and nothing of torch's


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("head.bias"), "has no 'head.bias', which the network has"),
        (lambda w: w.update(more=torch.zeros(1)), "holds 'more', which the network lacks"),
        (lambda w: w.update({"head.bias": torch.zeros(9)}), r"\[9\] in it, \[4\] in the network"),
    ],
)
def test_weights_of_another_network_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], object], said: str
) -> None:
    weights = dict(network().state_dict())
    change(weights)
    (tmp_path / "w.safetensors").write_bytes(safetensors(weights))
    with pytest.raises(CheckpointError, match=said):
        to_onnx(network(), tmp_path / "m.onnx", CARD, weights=tmp_path / "w.safetensors")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    whole = safetensors(network().state_dict())
    generator = np.random.default_rng(0)
    path = tmp_path / "w.safetensors"
    for _ in range(200):
        data = bytearray(whole)
        size = int.from_bytes(data[:8], "little")
        for at in generator.integers(8, 8 + size, 3):
            data[at] = int(generator.integers(32, 127))
        path.write_bytes(data)
        with contextlib.suppress(CheckpointError):  # some damage is only another name
            read_weights(path)
    path.write_bytes(whole[:-5])
    with pytest.raises(CheckpointError, match="damaged safetensors"):
        read_weights(path)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CheckpointError, match="git lfs pull"):
        read_weights(path)


@pytest.mark.parametrize(
    ("code", "name", "said"),
    [
        (CODE, "net.py:Nat", "no such name"),
        ("Net = 3", "net.py:Net", "it gives int, not a module"),
        ("raise OSError('no data')", "net.py:Net", r"fails with OSError \(no data\)"),
        (CODE, "other.py:Net", "give a Python file and a name in it"),
    ],
)
def test_code_that_makes_no_network_is_told_so(tmp_path: Path, code: str, name: str, said: str) -> None:
    from export.cli.user_module import user_module

    (tmp_path / "net.py").write_text(code)
    with pytest.raises(UsageError, match=said):
        user_module(str(tmp_path / name))


class Convolutional(nn.Module):
    """A layer of each kind that bakes sizes in."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rnn = nn.Conv1d(F, 8, 3), nn.LSTM(8, 8, batch_first=True)
        self.head = nn.Linear(8, C)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.conv(nn.functional.pad(x.transpose(1, 2), (2, 0)))).transpose(1, 2)
        y = self.rnn(y)[0]
        return self.head(y.reshape(y.shape[0] * y.shape[1], 8)).reshape(y.shape[0], y.shape[1], C)


@pytest.mark.parametrize("exporter", ["tracing", "torch.export"])
def test_a_graph_of_one_size_is_freed(tmp_path: Path, exporter: str) -> None:
    torch.manual_seed(0)
    net, x = Convolutional().eval(), torch.randn(1, 40, F)
    with silenced(), torch.no_grad():
        if exporter == "tracing":
            torch.onnx.export(net, (x,), str(tmp_path / "fixed.onnx"), dynamo=False, opset_version=17)
        else:
            torch.onnx.export(net, (x,), dynamo=True, verbose=False).save(str(tmp_path / "fixed.onnx"))
    to_onnx(tmp_path / "fixed.onnx", tmp_path / "m.onnx", CARD)
    model, more = Model.load(tmp_path / "m.onnx"), features(4, 3, 70)
    found, _ = model.step(more.numpy(), model.initial_state(3))
    with torch.no_grad():
        np.testing.assert_allclose(found, net(more).softmax(-1).numpy(), atol=1e-5)


def test_a_graph_that_cannot_be_freed_says_what_it_is(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(40 * F, C)).eval()
    with silenced():
        torch.onnx.export(net, (torch.randn(1, 40, F),), str(tmp_path / "fixed.onnx"), dynamo=False)
    with pytest.raises(
        NotStreamable, match=r"fixed.onnx: was exported for 1 stream and 40 frames.*dynamic_axes"
    ):
        to_onnx(tmp_path / "fixed.onnx", tmp_path / "m.onnx", CARD)


class Mixed(nn.Module):
    """Convolution with BatchNorm that looks ahead, in a list, and functional code."""

    def __init__(self, functional: bool) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Conv1d(F, F, 3, padding=1), nn.BatchNorm1d(F), nn.ReLU())
        self.head, self.functional = nn.Linear(F, C), functional

    def forward(self, x: Tensor) -> Tensor:
        if self.functional:
            x = x.flip(1)
        else:
            x = self.stages(x.transpose(1, 2)).transpose(1, 2)
        return self.head(x)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_refusals_name_the_layer_as_it_was_written(exporter: str) -> None:
    with pytest.raises(NotStreamable) as refusal:
        convert(lambda: Mixed(False), exporter=exporter)
    assert str(refusal.value).startswith("layer 'stages.0' (Conv1d): needs 1 future frame")
    with pytest.raises(NotStreamable, match=r"at test_export_words.py:\d+: it reverses time"):
        convert(lambda: Mixed(True), exporter=exporter)


def test_messages_have_no_colours_and_torch_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.svd(x)[0][:, :, :C]

    with pytest.raises(StreamClassifyError) as error:
        to_onnx(Odd(), tmp_path / "m.onnx", CARD)
    assert "\x1b" not in str(error.value)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_progress_is_quiet_at_first_and_then_tells() -> None:
    clock = iter([0.0, 1.0, 4.0, 5.0, 15.0])
    out = io.StringIO()
    with ExportProgress(out, lambda: next(clock)) as progress:
        for what in ("trace", "compare", "compare more", "pack"):
            progress(what)
    assert out.getvalue() == "4 s: compare\n15 s: pack\n"


def test_an_export_says_what_it_does(tmp_path: Path) -> None:
    said: list[str] = []
    to_onnx(network(), tmp_path / "m.onnx", CARD, progress=said.append)
    assert said[0] == "export through tracing"
    assert "compared digital silence" in said
