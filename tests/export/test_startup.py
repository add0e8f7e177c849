"""What the commands answer at once must not wait for torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import ROOT, environment
from tests.support.labelled import class_folder

# torch is refused, not only absent from sys.modules: a late import fails too.
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from stream.cli import main; main()"


def run(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, *words]
    env = environment()
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("command", ["data", "train", "export", "evaluate", "teach"])
def test_help_needs_no_torch(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert any(option in done.stdout for option in ("--output", "--report", "--picture"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epochs", "ten"], "fit.epochs 'ten'"),
        (["--hidden", "0", "--nonsense"], "--nonsense"),
        (["--set", "streams.evn=1"], "did you mean"),
        (["--set", "streams.balance"], "want NAME=VALUE"),
        (["--set", "augment.mix=2"], "mix 2"),
        (["--search", "hidden="], "want NAME=VALUE,VALUE"),
        (["--config", "{folder}/config.json"], "is not the config.json of a run"),
    ],
)
def test_bad_options_are_refused_without_torch(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "config.json").write_text("[]")
    done = run("train", str(tmp_path), *(word.format(folder=tmp_path) for word in words))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["train", "nowhere"], "nowhere: no such folder or manifest", 8),
        (["train", "data/low"], "data/low: has no folder per class", 8),
        (
            ["train", "data", "--labels", "low"],
            "s0_nohash_0.wav (folder high): label 'high' is not one of low",
            8,
        ),
        (["train", "manifest.csv"], "manifest.csv, row 2: none.wav does not exist", 8),
        (["train", "data/split.csv"], "split.csv, row 2: split 'later'", 8),
        (["train", "data", "--test-group", "bob"], "group 'bob': the data has s0, s1", 8),
        (["train", "data", "--test-fold", "1"], "fold '1': the data has no folds", 8),
        (["train", "data", "--background", "nowhere"], "nowhere: no audio file for the background", 8),
        (["train", "data", "--hidden", "0"], "hidden 0: must be 1 to 65536", 2),
        (["train", "data", "--set", "fit.device=tpu"], "fit.device 'tpu'", 2),
        (["train", "data", "--search", "hidden=8,0"], "hidden 0: must be 1 to 65536", 2),
        (["train", "data", "--search", "hiden=8,16"], "did you mean hidden", 2),
        (["export", "none.pt", "-o", "x.onnx"], "none.pt: no such file", 8),
        (["export", "data", "-o", "x.onnx"], "data: is a folder", 8),
        (["export", "a.onnx", "-o", "x.onnx"], "an offline ONNX has no labels", 2),
        (["export", "a.onnx", "-o", "x.onnx", "--card", "none.json"], "none.json: No such file", 5),
        (["export", "a.onnx", "-o", "x.onnx", "--card", "data/split.csv"], "the model card is not JSON", 5),
        (["export", "a.onnx", "-o", "x.onnx", "--labels", "a", "--quantize", "int8"], "add --data FOLDER", 2),
        (
            ["export", "a.onnx", "-o", "x.onnx", "--labels", "a", "--quantize", "int8", "--data", "nowhere"],
            "nowhere: no such folder",
            8,
        ),
    ],
)
def test_what_is_wrong_with_data_and_files_is_told_without_torch(
    tmp_path: Path, words: list[str], said: str, code: int
) -> None:
    class_folder(tmp_path / "data", speakers=2)
    (tmp_path / "manifest.csv").write_text("filename,label\nnone.wav,x\n")
    (tmp_path / "data" / "split.csv").write_text("filename,label,split\nhigh/s0_nohash_0.wav,x,later\n")
    (tmp_path / "a.onnx").write_bytes(b"not a graph, but nobody has looked")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("stream-classify: error: ")
    assert said in line


def test_training_without_torch_says_what_to_install(tmp_path: Path) -> None:
    done = run("train", str(class_folder(tmp_path)))
    assert done.returncode == 1
    assert done.stderr.startswith("stream-classify: error: train needs torch, which ")
    assert "; run: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
