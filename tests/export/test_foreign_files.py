"""What is given as a checkpoint or a model and is neither: said by name, everywhere, and nothing of it runs."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from torch import nn  # noqa: E402

from export.conversion.onnx_export import to_onnx  # noqa: E402
from export.models.checkpoint import load_model  # noqa: E402
from stream.errors import CheckpointError, StreamClassifyError  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from stream.inference.verify import verify  # noqa: E402
from tests.export.test_onnx_export import CARD  # noqa: E402
from tests.support.export_zoo import C, F  # noqa: E402

# torch warns of its own older tools.
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(F, 8, batch_first=True), nn.Linear(8, C)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0])


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in files.items():
            made.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return buffer.getvalue()


def torchscript() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(Net().eval(), torch.zeros(1, 20, F)), buffer)
    return buffer.getvalue()


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def safetensors() -> bytes:
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return len(header).to_bytes(8, "little") + header + bytes(4)


FOREIGN: dict[str, tuple[Callable[[], bytes], str]] = {
    "pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "git lfs pull",
    ),
    "page": (lambda: b"\n<!DOCTYPE html>\n<html>", "is a web page"),
    "script": (torchscript, "TorchScript archive.*torch.jit.load"),
    "safetensors": (safetensors, "safetensors.*no network"),
    "keras": (lambda: archive(config_dot_json=b"{}", model_dot_weights_dot_h5=b"x"), "Keras model"),
    "hdf5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
    "tflite": (lambda: b"\x1c\0\0\0TFL3" + bytes(64), "TensorFlow Lite"),
    "program": (lambda: archive(archive_format=b"pt2"), "torch.export"),
    "empty": (lambda: b"", "empty"),
    "cut off": (lambda: saved({"a": torch.zeros(999)})[:2000], "its end is missing"),
    "numpy": (lambda: archive(a_dot_npy=b"\x93NUMPY"), "NumPy archive"),
    "json": (lambda: b'{"labels": []}', "JSON text"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_a_file_is_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    make, said = FOREIGN[name]
    path = tmp_path / "a.pt"
    path.write_bytes(make())
    for use in (load_model, Model.load, verify, lambda each: to_onnx(each, tmp_path / "b.onnx", CARD)):
        with pytest.raises(StreamClassifyError, match=said) as caught:
            use(path)
        text = str(caught.value)
        assert "\n" not in text
        assert "weights_only" not in text
    assert not (tmp_path / "b.onnx").exists()


def test_the_command_says_it_too(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(torchscript())
    done = subprocess.run(
        [sys.executable, "-m", "stream", "export", str(path), "-o", str(tmp_path / "b.onnx")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "TorchScript archive" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="not a regular file"):
        load_model(tmp_path / "a.pt")
    with pytest.raises(StreamClassifyError, match="not a regular file"):
        to_onnx(tmp_path / "a.pt", tmp_path / "b.onnx", CARD)


def test_a_pickle_of_objects_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Net))
    (tmp_path / "b.pt").write_bytes(saved(Net()))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(CheckpointError) as caught:
            load_model(tmp_path / name)
        assert "weights_only" not in str(caught.value)


def test_a_compressed_checkpoint_cannot_grow(tmp_path: Path) -> None:
    """2 MB that would be 2 GB."""
    whole = zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(5_000_000)})))
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="compressed archive"):
        load_model(path)


@pytest.mark.parametrize("kind", ["scripted", "traced", "compiled"])
def test_modules_of_other_tools_are_converted(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    net = Net().eval()
    given = {
        "scripted": lambda: torch.jit.script(net),
        "traced": lambda: torch.jit.trace(net, torch.zeros(2, 30, F)),
        "compiled": lambda: torch.compile(net),
    }[kind]()
    card = to_onnx(given, tmp_path / "a.onnx", CARD)
    assert card.provenance["export"]["largest_difference"] < 1e-5
    model = Model.load(tmp_path / "a.onnx")
    features = np.random.default_rng(0).normal(size=(1, 25, F)).astype(np.float32)
    found, _ = model.step(features, model.initial_state())
    with torch.no_grad():
        wanted = net(torch.from_numpy(features)).softmax(-1).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
