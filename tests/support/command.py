"""Runs the command line as users do: in a process of its own, without a sound card, a terminal or a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "stream"]


def environment(**changes: str) -> dict[str, str]:
    """No sound server, no sound card, plain output."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PULSE", "PIPEWIRE", "ALSA", "NOTIFY_"))}
    env |= {"PYTHONPATH": str(ROOT), "PULSE_SERVER": "unix:/nonexistent", "OMP_NUM_THREADS": "1"}
    return env | {"COLUMNS": "100"} | changes


def stream_classify(
    *words: str, stdin: bytes = b"", cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run to the end; stdout and stderr as text."""
    done = subprocess.run(
        [*COMMAND, *words], input=stdin, cwd=cwd, env=environment(**env), capture_output=True, timeout=60
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def start(*words: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start, and let the caller talk to it."""
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    return subprocess.Popen([*COMMAND, *words], **(given | options))
