"""Imports go one way, and the door is light: contracts of import-linter, and what a process really loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "export/recipes/speech_music_noise"
HEAVY = {"torch", "librosa", "matplotlib", "scipy", "sounddevice", "soundfile", "soxr", "rich", "av", "onnx"}


def loaded(code: str) -> set[str]:
    """Top-level modules that ``python -X importtime -c code`` loads."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    return {name.split(".")[0] for name in names}


def test_imports_go_one_way() -> None:
    """The contracts in pyproject.toml, [tool.importlinter]."""
    pytest.importorskip("importlinter")
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "HOME": str(Path.home())},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "0 broken" in done.stdout


def test_the_contracts_would_notice(tmp_path: Path) -> None:
    """A contract that names no module, or the wrong one, passes for ever: so break one on purpose."""
    pytest.importorskip("importlinter")
    import shutil

    shutil.copytree(
        ROOT / "stream", tmp_path / "stream", ignore=shutil.ignore_patterns("_assets", "__pycache__")
    )
    shutil.copytree(ROOT / "export", tmp_path / "export", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, line in {
        "stream/messages.py": "def late() -> None:\n    import stream.runner\n",
        "stream/features/spec.py": "def late() -> None:\n    import torch\n",
        "stream/outputs/base.py": "def late() -> None:\n    import export\n",
        "stream/classifier.py": "def late() -> None:\n    import stream.runner\n",
        f"{RECIPE}/sources/bank.py": "def late() -> None:\n    import export.recipes.speech_music_noise.build\n",
    }.items():
        path = tmp_path / file
        path.write_text(path.read_text() + "\n\n" + line)
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PATH": "", "PYTHONPATH": str(tmp_path), "NO_COLOR": "1", "HOME": str(Path.home())},
    )
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-2000:]
    assert "4 broken" in done.stdout
    for words in (
        "stream.messages",
        "torch",
        "export",
        "stream.classifier",
        "speech_music_noise.sources.bank",
    ):
        assert words in done.stdout


def test_import_stream_is_free_of_everything() -> None:
    names = loaded("import stream")
    assert not names & (HEAVY | {"numpy", "onnxruntime", "msgspec", "click", "export"})
    assert "stream" in names


def test_the_classifier_needs_numpy_and_no_device_or_screen() -> None:
    names = loaded("import stream.classifier")
    assert not names & (HEAVY | {"click", "export", "onnxruntime"})
    assert "numpy" in names


def test_help_does_not_wait_for_numpy() -> None:
    names = loaded("from stream.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass")
    assert not names & (HEAVY | {"numpy", "onnxruntime", "export"})
    assert "click" in names


def test_a_run_on_a_file_loads_no_training_tool(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    from tests.support.toy_models import toy_file

    model = toy_file(tmp_path)
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 16000)
    words = ["-m", str(model), "-i", str(tmp_path / "noise.wav"), "--fast"]
    names = loaded(f"from stream.cli import main\ntry: main({words!r})\nexcept SystemExit: pass")
    assert not names & {
        "torch",
        "librosa",
        "matplotlib",
        "scipy",
        "onnx",
        "export",
        "sounddevice",
        "rich",
        "av",
    }
    assert {"onnxruntime", "soundfile"} <= names
