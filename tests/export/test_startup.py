"""What the commands answer at once must not wait for torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# torch is refused, not only absent from sys.modules: a late import fails too.
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from stream.cli import main; main()"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("command", ["train", "export", "evaluate"])
def test_help_needs_no_torch(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "--output" in done.stdout or "--report" in done.stdout


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


def test_training_without_torch_says_what_to_install(tmp_path: Path) -> None:
    done = run("train", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: train needs torch, which ")
    assert "; run: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
