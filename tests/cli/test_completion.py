"""Shell completion: the scripts for each shell, and what they are told, without importing anything that is slow."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stream.cli.completion import VARIABLE
from tests.support.command import ROOT, environment, stream_classify

SHELLS = ["bash", "zsh", "fish"]
SLOW = {"numpy", "torch", "export", "onnxruntime", "rich", "sounddevice"}
PROBE = f"""
import json, os, sys
from stream.cli import main
try:
    main([])
finally:
    print(json.dumps(sorted({SLOW!r} & set(sys.modules))), file=sys.stderr)
"""


def complete(shell: str, *words: str) -> list[tuple[str, str]]:
    """(type, value) of what the shell's script is told for the last of the words."""
    given = " ".join(("stream-classify", *words))
    last = words[-1] if shell == "fish" else str(len(words))
    env = environment(**{VARIABLE: f"{shell}_complete", "COMP_WORDS": given, "COMP_CWORD": last})
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr) == [], "completing imported what is slow"
    lines = done.stdout.strip("\n").splitlines()
    if shell == "zsh":
        return list(zip(lines[0::3], lines[1::3], strict=True))
    if shell == "bash":
        return [(kind, value) for kind, _, value in (line.partition(",") for line in lines)]
    if lines and "," in lines[0]:  # fish, in older versions of click: "type,value<tab>help"
        return [(line.split(",")[0], line.split(",", 1)[1].split("\t")[0]) for line in lines]
    return list(zip(lines[0::3], lines[1::3], strict=True))


def values(shell: str, *words: str) -> list[str]:
    return [value for _, value in complete(shell, *words)]


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_options_and_models_complete(shell: str) -> None:
    assert values(shell, "ver") == ["verify"]
    assert values(shell, "tra") == ["train"]
    assert values(shell, "dat") == ["data"]
    assert set(values(shell, "e")) == {"explain", "export", "evaluate"}
    assert values(shell, "--peak") == ["--peak-threshold"]
    assert values(shell, "--confi") == [], "old names are not offered"
    assert values(shell, "--model", "sm")[-1] == "small"
    assert values(shell, "-m", "def")[-1] == "default"
    assert values(shell, "inspect", "sm")[-1] == "small"
    assert values(shell, "verify", "def")[-1] == "default"
    assert values(shell, "bench", "--model", "sm")[-1] == "small"
    assert values(shell, "soak", "--ho") == ["--hours"]
    assert values(shell, "--provider", "c") == ["cpu", "cuda"]


@pytest.mark.parametrize("shell", SHELLS)
def test_options_of_the_training_side_complete_without_importing_it(shell: str) -> None:
    assert values(shell, "train", "--learn") == ["--learning-rate"]
    assert "--output" in values(shell, "export", "--out")
    assert values(shell, "export", "--lookahead", "re") == ["refuse"]
    assert values(shell, "evaluate", "default", "data", "--spl") == ["--split"]
    assert values(shell, "data", "--pic") == ["--picture"]


def test_files_complete_by_the_shell() -> None:
    assert ("file", "ta") in complete("bash", "--input", "ta")
    assert ("file", "m") in complete("bash", "--model", "m")
    assert ("file", "rec") in complete("bash", "train", "rec")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_takes(shell: str, tmp_path: Path) -> None:
    done = stream_classify("completion", shell)
    assert done.returncode == 0, done.stderr
    assert f"{VARIABLE}={shell}_complete" in done.stdout
    assert "stream-classify" in done.stdout
    if (found := shutil.which(shell)) is None:
        return
    script = tmp_path / "script"
    script.write_text(done.stdout)
    subprocess.run([found, "-n", str(script)], check=True, timeout=60)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path: Path) -> None:
    """The script as bash runs it: the program is called, and its answer becomes COMPREPLY."""
    program = tmp_path / "stream-classify"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m stream "$@"\n')
    program.chmod(0o755)
    commands = """
eval "$(stream-classify completion bash)"
COMP_WORDS=(stream-classify --model sma)
COMP_CWORD=2
compopt() { :; }
_stream_classify_completion stream-classify
echo "${COMPREPLY[0]}"
"""
    env = environment()
    env["PATH"] = f"{tmp_path}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", commands], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "small\n", done.stderr


def test_an_unknown_shell_is_refused() -> None:
    done = stream_classify("completion", "tcsh")
    assert done.returncode == 2
    assert "bash" in done.stderr
