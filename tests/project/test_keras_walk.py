"""The guide's walk with Keras: trained in a throw-away environment that has it, exported in one that does not."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from stream.inference.session import Model
from tests.project.test_walk import TRAINING, Walker, marked
from tests.support.command import COMMAND, environment
from tests.support.guides import ROOT, blocks

BACKEND = "jax"  # the smallest of the three that train
ANSWERS = """
import keras, numpy as np
network = keras.saving.load_model("network.keras")
frames = np.random.default_rng(1).normal(0, 20, (2, 120, 40)).astype("float32")
np.savez("answers.npz", frames=frames, answers=[network.predict(frames[:, :n], verbose=0) for n in (1, 50, 120)])
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a fresh environment with Keras."""
    folder = tmp_path_factory.mktemp("keras")
    venv.create(folder, with_pip=True)
    found = folder / "bin" / "python"
    command = [str(found), "-m", "pip", "install", "-q", str(ROOT), "keras", BACKEND]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return found


@pytest.mark.long
@pytest.mark.torch
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_from_keras_to_live(python: Path, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("h5py")
    (block,) = [block for block in blocks("python") if block.mark == "keras walk"]
    assert "layers.LSTM" in block.code
    for name, code in (
        ("train.py", block.code.replace("layers.LSTM", f"layers.{kind}")),
        ("ask.py", ANSWERS),
    ):
        (tmp_path / name).write_text(code)
        done = subprocess.run(
            [str(python), name],
            cwd=tmp_path,
            env=environment(HOME=str(tmp_path), KERAS_BACKEND=BACKEND),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    without = subprocess.run(
        [sys.executable, "-c", "import keras"], capture_output=True, timeout=60, check=False
    )
    assert without.returncode != 0, "this test shows that Keras is not needed, but here it is installed"
    walker = Walker(tmp_path, COMMAND, environment(HOME=str(tmp_path)))
    steps = marked(TRAINING, "keras walk")
    assert [words[0] for words in steps] == ["export", "verify", "--model"]
    for words in steps:
        printed = walker.run([*words, "--scores"] if words[0] == "--model" else words)
    assert '"type":"scores"' in printed
    with np.load(tmp_path / "answers.npz") as stored:
        frames, answers = stored["frames"], stored["answers"]
    model = Model.load(tmp_path / "network.onnx")
    got, _ = model.step(frames, model.initial_state(2))
    for count, wanted in zip((1, 50, 120), answers, strict=True):
        np.testing.assert_allclose(got[:, count - 1], wanted, atol=1e-5)
