"""A real terminal for tests: a private tmux server with one shell in it, driven by keys, read as text."""

from __future__ import annotations

import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from types import TracebackType

import pytest


class Terminal:
    """A tmux window of ``width`` x ``height`` with a plain shell. A context manager; skips where tmux is absent."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed; the terminal tests need it")
        self._server = f"stream-classify-{uuid.uuid4().hex[:12]}"
        self._size = (width, height)

    def __enter__(self) -> Terminal:
        width, height = self._size
        shell = ["env", "PS1=ready$ ", "sh"]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), *shell)
        try:
            self.wait_for(lambda text: "ready$" in text)
        except BaseException:
            self.tmux("kill-server")
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tmux("kill-server")

    def tmux(self, *arguments: str) -> str:
        """Run a tmux command on the private server; its output."""
        command = ["tmux", "-u", "-L", self._server, *arguments]
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", timeout=20).stdout

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        self.tmux("send-keys", "-l", line)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys by tmux name: "q", "C-c", "Enter"."""
        self.tmux("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def text(self) -> str:
        """What is on the screen, a line a row, trailing spaces cut."""
        return self.tmux("capture-pane", "-p")

    def ask(self, format: str) -> str:
        """A tmux variable of the window, e.g. "#{cursor_flag}" (1 = visible) or "#{alternate_on}"."""
        return self.tmux("display-message", "-p", format).strip()

    def wait_for_shell(self, seconds: float = 30.0) -> str:
        """The screen as soon as the program that runs in front has ended, which a prompt alone does not say.

        What was typed ahead is not repeated behind the prompt, so the screen that a full-screen program gives back
        may end with the prompt while that program still closes its files.
        """
        return self.wait_for(lambda text: self.ask("#{pane_current_command}") == "sh", seconds)

    def wait_for(self, holds: Callable[[str], bool], seconds: float = 30.0) -> str:
        """The screen as soon as ``holds(text)``; fails with the screen when it does not come to that."""
        end = time.monotonic() + seconds
        while True:
            text = self.text()
            if holds(text):
                return text
            if time.monotonic() > end:
                pytest.fail(f"the terminal did not get there in {seconds:g} s; it shows:\n{text}")
            time.sleep(0.05)
