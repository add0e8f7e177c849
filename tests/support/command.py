"""Runs the command line as users do: in a process of its own, without a sound card, a terminal or a network."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "stream"]
DEADLINE_SECONDS = 60.0  # for what takes a moment where all is well


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
        [*COMMAND, *words],
        input=stdin,
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        timeout=DEADLINE_SECONDS,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def start(*words: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start, and let the caller talk to it."""
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    return subprocess.Popen([*COMMAND, *words], **(given | options))


@contextmanager
def running(child: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """The child for a block; behind it the child is gone and its pipes are closed, whatever happened."""
    try:
        yield child
    finally:
        child.kill()
        child.wait(DEADLINE_SECONDS)
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                with suppress(OSError):  # what was written and not yet sent
                    pipe.close()


def wait_for(
    ready: Callable[[], bool],
    what: str,
    child: subprocess.Popen[Any] | None = None,
    seconds: float = DEADLINE_SECONDS,
) -> None:
    """Return as soon as ``ready()``; fail the test at the deadline, and at once when the ``child`` has ended."""
    deadline = time.monotonic() + seconds
    while not ready():
        if child is not None and child.poll() is not None and not ready():
            said = child.stderr.read() if child.stderr else b""
            pytest.fail(f"waiting for {what}: the process ended with {child.returncode}: {said!r}")
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s for {what}, without success")
        time.sleep(0.02)
