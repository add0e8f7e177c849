"""Fronts that others trained: a network on plain sound hears in windows as it does whole, and teaches."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from export.teaching import teach
from export.teaching.background import Amount
from export.teaching.front import FRONT_KEY, FrontCard
from export.teaching.judging import Budget
from export.teaching.others import load_front
from stream import Model, StreamClassifier, verify
from stream.errors import ModelError
from stream.features.spec import MfccSpec, WaveformSpec
from tests.support.sound_networks import HOP, RATE, WINDOW, patch_network
from tests.teaching.test_teach import chime, examples


def written(folder: Path, data: bytes, name: str = "yamnet.onnx") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize(
    ("rank", "padded", "opset"), [(1, True, 17), (1, False, 13), (2, True, 17), (2, False, 13)]
)
def test_windows_of_a_network_are_found_and_give_its_rows(
    rank: int, padded: bool, opset: int, tmp_path: Path
) -> None:
    data = patch_network(rank, padded=padded, opset=opset)
    front = load_front(written(tmp_path, data))
    assert front.card.features == WaveformSpec(sample_rate=RATE, frame_length=WINDOW, hop_length=HOP)
    assert (front.card.width, front.card.provenance) == (1024, {"output": "output_1"})
    sound = np.random.default_rng(1).normal(0, 0.1, WINDOW + 6 * HOP + 100).astype(np.float32)
    sound[2 * HOP : 4 * HOP] *= 8
    session = onnxruntime.InferenceSession(data)
    whole = session.run(["output_1"], {"waveform": sound if rank == 1 else sound[None]})[0]
    rows = front.rows(sound)
    assert rows.shape == (7, 1024)
    np.testing.assert_allclose(rows, (whole if rank == 1 else whole[0])[:7], atol=1e-4)


def test_a_network_of_one_length_is_heard_every_half_of_it(tmp_path: Path) -> None:
    front = load_front(written(tmp_path, patch_network(2, WINDOW)))
    assert front.card.features == WaveformSpec(sample_rate=RATE, frame_length=WINDOW, hop_length=WINDOW // 2)


def test_the_output_with_embed_in_its_name_is_used(tmp_path: Path) -> None:
    model = onnx.load_from_string(patch_network())
    for node in model.graph.node:
        node.output[:] = ["Embeddings" if name == "output_0" else name for name in node.output]
    model.graph.output[0].name = "Embeddings"
    assert load_front(written(tmp_path, model.SerializeToString())).card.width == 521


def small(
    inputs: list[str | int], kind: int = TensorProto.FLOAT, node: str = "Identity", domain: str = ""
) -> bytes:
    """A network that gives what it is given."""
    graph = helper.make_graph(
        [helper.make_node(node, ["x"], ["y"], domain=domain)],
        "small",
        [helper.make_tensor_value_info("x", kind, inputs)],
        [helper.make_tensor_value_info("y", kind, inputs)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (patch_network(whole=True), "not about a window of its own"),
        (patch_network(1, 4 * WINDOW), r"gives 7 rows of its 62400 samples"),
        (small(["n"], TensorProto.DOUBLE), "not float32"),
        (small([4, "n"]), "takes 4 recordings at a time"),
        (small(["n"], node="Gelu", domain="com.microsoft"), "operators of com.microsoft"),
        (small([1, "n", 64]), "does not say of which"),
        (small([1, 76, 32, 1]), "is not Google's speech embedding"),
        (b"no model", "not an ONNX file"),
    ],
)  # fmt: skip
def test_what_can_be_no_front_is_refused_by_name(data: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said) as raised:
        load_front(written(tmp_path, data))
    assert "yamnet.onnx: " in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_front_of_features_says_what_it_is_in_its_card(tmp_path: Path) -> None:
    spec = MfccSpec(n_mels=64, n_mfcc=None)
    model = onnx.load_from_string(small(["N", "T", 64]))
    model.graph.input[0].name, model.graph.node[0].input[0] = "features", "features"
    model.graph.output[0].name, model.graph.node[0].output[0] = "embedding", "embedding"
    for width, said in ((64, ""), (65, "its FrontCard says")):
        card = FrontCard(
            name="mine", licence="MIT", features=spec, width=width, stride=1, span=0.5, states=()
        )
        onnx.helper.set_model_props(model, {FRONT_KEY: msgspec.json.encode(card).decode()})
        path = written(tmp_path, model.SerializeToString())
        if said:
            with pytest.raises(ModelError, match=said):
                load_front(path)
        else:
            assert load_front(path).rows(np.zeros(RATE, np.float32)).shape == (97, 64)
    onnx.helper.set_model_props(model, {FRONT_KEY: "{}"})
    with pytest.raises(ModelError, match="its FrontCard cannot be read"):
        load_front(written(tmp_path, model.SerializeToString()))


def test_a_sound_is_taught_on_it_and_heard_live(tmp_path: Path) -> None:
    front = load_front(written(tmp_path, patch_network()))
    path = tmp_path / "mine.onnx"
    amount = Amount(voices=0, things=1, music=2, noises=14, silences=1)
    report = teach(
        path, "gate", examples(420), front=front, learnt_from=amount, chosen_on=amount, budget=Budget(bank=10)
    )
    assert report.sounds[0].found > 0.6
    assert all(check.ok for check in verify(path, provider="cpu"))
    assert path.stat().st_size < 8 << 20
    line = np.random.default_rng(5).normal(0, 1e-3, 12 * RATE).astype(np.float32)
    for at in (3.1, 7.4):
        sound = chime(420, 77)
        line[round(at * RATE) : round(at * RATE) + len(sound)] += sound
    classifier = StreamClassifier(Model.load(path, "cpu"))
    assert classifier.labels == ("gate",)
    found = []
    for begin in range(0, len(line), 1000):
        found += classifier.push(line[begin : begin + 1000]).events
    found += classifier.flush().events
    onsets = [event.onset_s for event in found if event.offset is not None]
    assert len(onsets) == 2
    np.testing.assert_allclose(onsets, [3.1, 7.4], atol=1.2)
