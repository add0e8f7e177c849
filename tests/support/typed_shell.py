"""A shell that has the command, and is typed into line by line, as somebody does who follows a guide."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.command import environment, running


class TypedShell:
    """A running shell.

    Attributes:
        child: its process.
    """

    def __init__(self, child: subprocess.Popen[bytes], output: Path) -> None:
        self.child = child
        self._output = output

    def type(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{line}\n".encode())
        self.child.stdin.flush()

    def shown(self) -> str:
        """What was printed so far."""
        return self._output.read_text()


@contextmanager
def typed_shell(folder: Path) -> Iterator[TypedShell]:
    """A shell in a folder, and in a group of its own that is gone afterwards."""
    command = folder / "stream-classify"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m stream "$@"\n')
    command.chmod(0o755)
    with open(folder / "shown", "wb") as shown:
        child = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=shown,
            stderr=subprocess.DEVNULL,
            env=environment(PATH=f"{folder}:/usr/sbin:{os.environ['PATH']}", HOME=str(folder)),
            cwd=folder,
            start_new_session=True,
        )
        with running(child):
            yield TypedShell(child, folder / "shown")
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
