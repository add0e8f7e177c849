"""Every block of the README does what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = [sys.executable, "-m", "stream"]
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


def block_after(mark: str) -> list[str]:
    found = re.search(rf"<!-- {mark} -->\s*```\n(.*?)```", TEXT, flags=re.DOTALL)
    assert found, f"the README has no block marked {mark}"
    return found[1].strip().splitlines()


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.strip().splitlines()[0])
def test_python_blocks_run(code: str, tmp_path: Path) -> None:
    if "torch" in code:
        pytest.importorskip("torch")
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    (tmp_path / "block.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "block.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    if "print(" in code:
        assert done.stdout.strip()


def tiny_recordings(folder: Path) -> None:
    """Three kinds of sound by six made-up speakers each."""
    rng = np.random.default_rng(0)
    time = np.arange(8000) / 16000
    for label in ("hum", "hiss", "sweep"):
        (folder / label).mkdir(parents=True)
        for speaker in range(8):
            pitch = rng.uniform(150, 400)
            for take in range(3):
                if label == "hum":
                    sound = np.sin(2 * np.pi * pitch * time)
                elif label == "hiss":
                    sound = rng.standard_normal(len(time))
                else:
                    sound = np.sin(2 * np.pi * (pitch + 1500 * time) * time)
                sound = 0.2 * sound + 0.005 * rng.standard_normal(len(time))
                soundfile.write(folder / label / f"speaker{speaker}_nohash_{take}.wav", sound, 16000)


@pytest.mark.torch
@pytest.mark.timeout(900)
def test_the_walk_from_recordings_to_live(tmp_path: Path) -> None:
    """train -> export -> verify -> evaluate -> live, the commands as printed, on a tiny set."""
    pytest.importorskip("torch")
    tiny_recordings(tmp_path / "recordings")
    commands = block_after("walk")
    assert [shlex.split(line)[1] for line in commands[:4]] == ["train", "export", "verify", "evaluate"]
    live = tmp_path / "recordings" / "hiss" / "speaker0_nohash_0.wav"
    for line in commands:
        words = shlex.split(line)
        assert words[0] == "stream-classify"
        if words[1].startswith("--"):  # there is no microphone here
            words += ["--input", str(live), "--fast", "--scores"]
        done = subprocess.run(
            [*COMMAND, *words[1:]],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if words[1] == "evaluate":
            accuracy = re.search(r"^accuracy\s+([\d.]+)", done.stdout, flags=re.MULTILINE)
            assert accuracy, done.stdout
            assert float(accuracy[1]) > 0.6  # three kinds that a child tells apart
    assert '"type":"scores"' in done.stdout


def test_every_option_shown_exists() -> None:
    """Commands in the README use options that the program has."""
    from stream.cli.app import app

    shown = re.findall(r"stream-classify\s+([^`\n]*)", TEXT)
    context = app.make_context("stream-classify", [], resilient_parsing=True)
    checked = 0
    for line in shown:
        first = line.split(maxsplit=1)[0] if line.split() else ""
        command = app.get_command(context, first) or app
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line):
            assert option in known, f"{option} in: stream-classify {line}"
            checked += 1
    assert checked > 15


def test_numbers_stand_beside_commands() -> None:
    """Every table with figures says which command made it."""
    for table in re.findall(r"(?:^\|.*\n)+", TEXT, flags=re.MULTILINE):
        if re.search(r"\d\.\d", table):
            before = TEXT[: TEXT.index(table)][-600:]
            assert "`" in before, f"no command before this table:\n{table}"
