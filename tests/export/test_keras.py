"""Networks saved by Keras against what Keras itself gave for them, stored by tests/support/make_keras_files.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.support.extras import needs

needs("torch", "onnx", "h5py")

from export.keras.conversion import ends_in, from_keras, offline_graph  # noqa: E402
from export.streaming.probe import open_session  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from tests.export.test_onnx_export import CARD as ZOO_CARD  # noqa: E402
from tests.support.keras_archives import NETWORKS, unpack  # noqa: E402

pytestmark = pytest.mark.torch

CARD = msgspec.structs.replace(ZOO_CARD, labels=("a", "b", "c"))
F = CARD.features.width
# Those that are converted to the end here: the others take the same way.
STREAMED = (
    *("two SimpleRNN.keras", "two GRU.keras", "two LSTM.keras", "GRU before.keras", "masked GRU.keras"),
    *(
        "masked SimpleRNN.keras",
        "masked LSTM.keras",
        "Conv1D.keras",
        "Conv2D.keras",
        "image fixed.keras",
        "in the frame.keras",
    ),
    *(
        "in the frame.keras",
        "functional.keras",
        "stacked frames.keras",
        "pooled.keras",
        "keras 2 two LSTM h5.h5",
    ),
)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    assert len([name for name in unpack(folder) if not name.endswith(".onnx")]) > 50
    return folder


def stored(networks: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Input and what Keras gave."""
    with np.load((networks / name).with_suffix(".npz")) as arrays:
        return arrays["x"], arrays["y"]


def names() -> list[str]:
    import tarfile

    with tarfile.open(NETWORKS) as archive:
        return sorted(name for name in archive.getnames() if name.endswith((".keras", ".h5")))


@pytest.mark.parametrize("name", names())
def test_the_graph_of_the_layers_gives_what_keras_gave(networks: Path, name: str) -> None:
    offline = offline_graph(networks / name)
    session = open_session(offline.model)
    x, y = stored(networks, name)
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    assert found.shape == y.shape
    np.testing.assert_allclose(found, y, atol=3e-6)


@pytest.mark.parametrize("name", STREAMED)
def test_the_stream_gives_what_keras_gave(networks: Path, tmp_path: Path, name: str) -> None:
    """Chunk by chunk, for one stream and for three; a network with one answer is asked at its end."""
    card = from_keras(
        networks / name, tmp_path / "a.onnx", CARD, lookahead="delay" if "Conv1D" in name else "refuse"
    )
    x, y = stored(networks, name)
    model = Model.load(tmp_path / "a.onnx")
    for streams in (1, 3):
        features = np.concatenate([x, x])[:streams].reshape(streams, -1, F)
        state, rows = model.initial_state(streams), []
        for start in range(0, features.shape[1] // card.stride * card.stride, 3 * card.stride):
            found, state = model.step(features[:, start : start + 3 * card.stride], state)
            rows.append(found)
        got, wanted = np.concatenate(rows, axis=1), np.concatenate([y, y])[:streams]
        if y.ndim == 2:
            np.testing.assert_allclose(got[:, -1], wanted, atol=1e-5)
        else:
            count = got.shape[1] - card.delay
            assert count > 5
            np.testing.assert_allclose(got[:, card.delay :], wanted[:, :count], atol=1e-5)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_masked_frame_leaves_the_state_as_it_is(networks: Path, tmp_path: Path, kind: str) -> None:
    """In the stream too, at any place: the frames of the mask value may as well not be there."""
    from_keras(networks / f"masked {kind}.keras", tmp_path / "a.onnx", CARD)
    model = Model.load(tmp_path / "a.onnx")
    rng = np.random.default_rng(0)
    sound = rng.normal(size=(1, 20, F)).astype(np.float32)
    with_gaps = np.insert(sound, [0, 7, 7, 20], 0.5, axis=1)
    plain, _ = model.step(sound, model.initial_state())
    found, _ = model.step(with_gaps, model.initial_state())
    kept = [i for i in range(24) if i not in (0, 8, 9, 23)]
    np.testing.assert_allclose(found[:, kept], plain, atol=1e-6)
    np.testing.assert_allclose(found[:, [8, 9]], found[:, [7, 7]], atol=1e-6)


def test_the_last_layer_names_the_activation(networks: Path) -> None:
    assert ends_in(offline_graph(networks / "two GRU.keras")) == "softmax"
    assert ends_in(offline_graph(networks / "normalisations.keras")) == "sigmoid"
    assert ends_in(offline_graph(networks / "nested.keras")) is None


def test_notes_tell_what_a_layer_means_in_a_stream(networks: Path, tmp_path: Path) -> None:
    card = from_keras(networks / "masked GRU.keras", tmp_path / "a.onnx", CARD)
    about = card.provenance["keras"]
    assert about["version"].startswith("3.")
    assert "Masking" in about["notes"][0]


def export(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream", "export", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_one_command_from_a_file_of_keras_to_a_model(networks: Path, tmp_path: Path) -> None:
    """The last layer is a sigmoid: nobody has to say so."""
    card = tmp_path / "card.json"
    card.write_text(CARD.to_json())
    file, made = str(networks / "tutorial LSTM.keras"), str(tmp_path / "a.onnx")
    refused = export(file, "-o", made)
    assert refused.returncode != 0
    assert "add --labels" in refused.stderr
    refused = export(str(networks / "two GRU.keras"), "-o", made, "--labels", "a,b,c")
    assert "has 12 features a frame, the card 40" in refused.stderr
    done = export(file, "-o", made, "--labels", "a,b,c,d")
    assert done.returncode == 0, done.stderr
    assert Model.load(made).card.activation == "sigmoid"
    done = export(str(networks / "masked frames.keras"), "-o", made, "--card", str(card))
    assert done.returncode == 0, done.stderr
    assert "note: layer 'masking" in done.stdout
    assert Model.load(made).card.provenance["keras"]["version"].startswith("3.")
