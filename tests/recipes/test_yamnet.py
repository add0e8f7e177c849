"""YAMNet before a network: its patches, its state, its weights without rounding."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnx
import torch
from click.testing import CliRunner
from onnx import TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from export.models import build, preset
from export.recipes import urban, urban_on_yamnet
from export.recipes.embedding import EmbeddingClassifier, train_on_embeddings
from export.recipes.yamnet import SPEC, STRIDE, WIDTH, Yamnet
from export.training.settings import change
from stream.errors import DataError
from stream.features.mfcc import mfcc
from tests.support.labelled import class_folder

RNG = np.random.default_rng(0)


def toy_yamnet(folder: Path) -> Path:
    """Two convolutions from a patch to 1 024 numbers, rounded to eight bits as the real file asks, zipped."""
    kernels = [RNG.normal(0, 0.5, shape).astype(np.float32) for shape in ((4, 1, 3, 3), (WIDTH, 4, 1, 1))]
    weights = [
        numpy_helper.from_array(kernels[0], "first"),
        numpy_helper.from_array(kernels[1], "second"),
        numpy_helper.from_array(np.full(4, 0.1, np.float32), "bias"),
        numpy_helper.from_array(np.full(WIDTH, 0.1, np.float32), "wide"),
        numpy_helper.from_array(np.float32(0.05), "scale"),
        numpy_helper.from_array(np.uint8(128), "zero"),
    ]
    rounding = ("scale", "zero")
    nodes = [
        make_node("QuantizeLinear", ["first", *rounding], ["first_q"]),
        make_node("DequantizeLinear", ["first_q", *rounding], ["first_r"]),
        make_node("DequantizeLinear", ["audio", *rounding], ["sound"]),
        make_node("Conv", ["sound", "first_r", "bias"], ["heard"], pads=[0, 0, 1, 1], strides=[2, 2]),
        make_node("Relu", ["heard"], ["positive"]),
        make_node("Conv", ["positive", "second", "wide"], ["maps"]),
        make_node("Relu", ["maps"], ["top"]),
        make_node("GlobalAveragePool", ["top"], ["out"]),
    ]
    given = make_tensor_value_info("audio", TensorProto.UINT8, [1, 1, 96, 64])
    asked = make_tensor_value_info("out", TensorProto.FLOAT, [1, WIDTH, 1, 1])
    model = make_model(
        make_graph(nodes, "toy", [given], [asked], weights),
        opset_imports=[make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(model, folder / "toy.onnx")
    with zipfile.ZipFile(folder / "toy.zip", "w") as archive:
        archive.write(folder / "toy.onnx", "inside/model.onnx")
    return folder / "toy.zip"


def sound(seconds: float) -> torch.Tensor:
    """(1, T, 64) features of noise that swells."""
    n = int(seconds * 16_000)
    return torch.from_numpy(mfcc((RNG.normal(0, 0.1, n) * np.linspace(0, 1, n)).astype(np.float32), SPEC))[
        None
    ]


def test_its_embeddings_are_those_of_the_file_without_rounding(tmp_path: Path) -> None:
    embedding = Yamnet(toy_yamnet(tmp_path))
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "toy.onnx").graph.initializer}
    x = sound(2)[:, : 4 * STRIDE]
    embeddings, _ = embedding(x)
    assert embeddings.shape == (1, 4, WIDTH)
    patch = np.log(
        np.exp(x[0, STRIDE : 3 * STRIDE].numpy() * np.log(10) / 20 + embedding.level.numpy()) + 1e-3
    )
    padded = np.pad(patch, ((0, 1), (0, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))[::2, ::2]
    first = np.maximum(np.einsum("tfij,cij->ctf", windows, tensors["first"][:, 0]) + 0.1, 0)
    second = np.maximum(np.einsum("ctf,kc->ktf", first, tensors["second"][:, :, 0, 0]) + 0.1, 0)
    np.testing.assert_allclose(embeddings[0, 2], np.sqrt(second.mean((1, 2))), rtol=1e-3)


def test_its_features_are_on_yamnets_scale(tmp_path: Path) -> None:
    embedding = Yamnet(toy_yamnet(tmp_path))
    samples = RNG.normal(0, 0.1, 32_000).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160] * np.hanning(401)[:-1]
    from stream.features.tables import mel_bank

    own = np.log(np.abs(np.fft.rfft(frames, 512)) @ mel_bank(SPEC).T + 1e-3)
    ours = mfcc(samples, SPEC) * np.log(10) / 20 + embedding.level.numpy()
    assert np.abs((ours[: len(own)] - own[: len(ours)]).mean(0)).max() < 0.25, (
        "each band within 2 dB in noise"
    )


def test_pieces_give_what_the_whole_gives(tmp_path: Path) -> None:
    embedding = Yamnet(toy_yamnet(tmp_path))
    shape = preset("gru", features=WIDTH, classes=3, hidden=8, layers=1)
    model = EmbeddingClassifier(embedding, build(shape), dropout=0.5).eval()
    x = sound(4)[:, : 8 * STRIDE]
    with torch.no_grad():
        whole, _ = model(x)
        state, parts = None, []
        for piece in x.split((STRIDE, 3 * STRIDE, 4 * STRIDE), dim=1):
            part, state = model(piece, state)
            parts.append(part)
        fresh = model(x[:, STRIDE:])[0]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(fresh[:, 0], whole[:, 1]), "the state matters"


def test_before_the_start_was_silence(tmp_path: Path) -> None:
    embedding = Yamnet(toy_yamnet(tmp_path))
    silence = torch.from_numpy(mfcc(np.zeros(400 + 112 + 160 * STRIDE, np.float32), SPEC))[None, :STRIDE]
    x = sound(1)[:, :STRIDE]
    _, state = embedding(silence)
    torch.testing.assert_close(embedding(x)[0], embedding(x, state)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"no network"])
def test_a_file_that_is_not_yamnet_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other.onnx"
    if content:
        file.write_bytes(content)
    with pytest.raises(DataError, match=r"other\.onnx: cannot be used as YAMNet: "):
        Yamnet(file)
    (tmp_path / "manifest.csv").write_text("filename,label,fold\na.wav,x,1\nb.wav,x,2\n")
    done = CliRunner().invoke(urban.main, [str(tmp_path), "--embedding", str(file)])
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert "other.onnx: cannot be used" in done.output


def test_another_network_is_refused(tmp_path: Path) -> None:
    toy_yamnet(tmp_path)
    model = onnx.load(tmp_path / "toy.onnx")
    del model.graph.node[5:]
    onnx.save(model, tmp_path / "cut.onnx")
    with pytest.raises(DataError, match="do not make 1024 numbers"):
        Yamnet(tmp_path / "cut.onnx")


@pytest.mark.parametrize("model", sorted(urban_on_yamnet.CHANGES))
def test_every_network_trains_on_it(tmp_path: Path, model: str) -> None:
    root = class_folder(tmp_path / "data", speakers=3)
    rows = [
        f"{path.relative_to(root)},{path.parent.name},{path.name.split('_')[0][1:]},{path.name.split('_')[0]}"
        for path in sorted(root.rglob("*.wav"))
    ]
    (root / "manifest.csv").write_text("\n".join(["filename,label,fold,group", *rows]))
    plan = {"steps": "2", "cache": str(tmp_path / "cache"), "streams.rows": "4"}
    config = change(urban_on_yamnet.settings(root, model), plan)
    embedding = Yamnet(toy_yamnet(tmp_path))
    before = {name: value.clone() for name, value in embedding.state_dict().items()}
    made = train_on_embeddings(embedding, config, urban.two_folds(root, "0", "2"), dropout=0.5)
    assert 0 <= made.figures["test_accuracy"] <= 1
    assert 0 <= made.figures["test_accuracy_alone"] <= 1
    for name, value in made.model.embedding.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, msg="YAMNet itself is not trained")
    assert made.model.network.normalise.scale.std() > 0, "scaled to what YAMNet says"
