"""Imports go one way, and the door is light: contracts of import-linter, and what a process really loads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "librosa", "matplotlib", "scipy", "sounddevice", "soundfile", "soxr", "rich", "av", "onnx"}


def loaded(code: str) -> set[str]:
    """Top-level modules that ``python -X importtime -c code`` loads."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    names = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    return {name.split(".")[0] for name in names}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter with the contracts and the packages of ``folder``."""
    pytest.importorskip("importlinter")
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": "", "PYTHONPATH": str(folder), "NO_COLOR": "1", "HOME": str(Path.home())},
        timeout=120,
    )


def test_imports_go_one_way() -> None:
    """The contracts in pyproject.toml, [tool.importlinter]."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "0 broken" in done.stdout


# What breaks a contract: where a line is added, what it imports, and how the report names it. A file that is not there
# becomes a package that no layer lists.
BREACHES = [
    ("stream/messages.py", "stream.runner", "stream.messages is not allowed to import stream.runner"),
    (
        "stream/classifier/rows.py",
        "stream.runner",
        "stream.classifier is not allowed to import stream.runner",
    ),
    ("stream/outputs/sink.py", "stream.capture", "stream.outputs is not allowed to import stream.capture"),
    ("stream/features/spec.py", "torch", "stream is not allowed to import torch"),
    ("stream/errors.py", "export", "stream is not allowed to import export"),
    ("stream/attic.py", "stream.errors", "stream.attic"),
    ("export/data/dataset.py", "export.models", "export.data is not allowed to import export.models"),
    ("export/models/config.py", "export.training", "export.models is not allowed to import export.training"),
    ("export/attic.py", "stream.errors", "export.attic"),
    (
        "export/recipes/speech_music_noise/sources/bank.py",
        "export.recipes.speech_music_noise.build",
        "export.recipes.speech_music_noise.sources is not allowed to",
    ),
]


def test_the_contracts_would_notice(tmp_path: Path) -> None:
    """A contract that names no module, or the wrong one, holds forever: so break each on purpose."""
    for package in ("stream", "export"):
        ignored = shutil.ignore_patterns("_assets", "__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, imported, _ in BREACHES:
        with (tmp_path / file).open("a") as lines:
            lines.write(f"\n\ndef late() -> None:\n    import {imported}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-2000:]
    contracts = (ROOT / "pyproject.toml").read_text().count("[[tool.importlinter.contracts]]")
    assert f"0 kept, {contracts} broken" in done.stdout
    for *_, words in BREACHES:
        assert words in done.stdout, words


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
