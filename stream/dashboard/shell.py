"""Dashboard: the thin shell that reads telemetry and keeps it on the screen. Runs on the main thread."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control

from stream.dashboard.controls import Controls, Key, Tuner, split_keys
from stream.dashboard.ground import Ground
from stream.dashboard.layout import render
from stream.dashboard.svg import check_svg_path, to_svg
from stream.dashboard.terminal import ENDING, Terminal
from stream.dashboard.text import TextLine, changes
from stream.dashboard.theme import Theme
from stream.errors import OutputError
from stream.telemetry import Readings, Telemetry

Ending = Literal["ended", "quit", "interrupted", "terminated", "killed"]

DRAWING_SHARE = 0.008  # of a core
LONGEST_PERIOD_SECONDS = 0.5  # between two drawings
NOTE_SECONDS = 3.0  # that the answer to a key is shown
COST_SMOOTHING = 0.2  # weight of the newest drawing in the mean of what drawings cost


def drawing_period(shortest: float, cost_seconds: float) -> float:
    """Seconds from one drawing to the next: ``shortest``, or more where drawing costs so much that it would take
    more than its share of a core, but never longer than a person would wait."""
    return min(LONGEST_PERIOD_SECONDS, max(shortest, cost_seconds / DRAWING_SHARE))


@dataclass(frozen=True, slots=True)
class _Patch:
    """A renderable that writes, with cursor moves, only where the new lines differ from the old."""

    old: list[TextLine]
    new: list[TextLine]
    width: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for y, (old, new) in enumerate(zip(self.old, self.new, strict=True)):
            if old != new:
                for x, line in changes(old, new, self.width):
                    yield Control.move_to(x, y)
                    yield from line


class Dashboard:
    """Draws what a Telemetry knows.

    Only what changed is written, and only when there is something new. Where drawing is expensive it happens less
    often, so that it stays within a small share of a core.

    Args:
        telemetry: filled by the working thread.
        console: where to draw; None = standard output.
        fps: drawings per second at most.
        keys: lower-case letter -> what it does.
        tuner: changes classes for the keys that do; None has no such keys.

    Attributes:
        killed_by: the signal behind the ending "killed".
    """

    def __init__(
        self,
        telemetry: Telemetry,
        console: Console | None = None,
        fps: float = 10.0,
        keys: Mapping[str, Key] | None = None,
        tuner: Tuner | None = None,
    ) -> None:
        self.telemetry = telemetry
        self._controls = Controls(keys or {}, tuner, self._save)
        self._frozen: Readings | None = None  # while the picture is paused
        self._note, self._noted = "", 0.0
        self.console = console or Console()
        self._period = 1.0 / fps
        self._shown: list[TextLine] = []
        self._seen: tuple[object, ...] = ()
        self._ground: Ground = "dark"
        self._cost_seconds = 0.0
        self.killed_by: signal.Signals | None = None

    @staticmethod
    def suits(console: Console) -> bool:
        """True where a dashboard can be drawn: a terminal that can move its cursor."""
        return console.is_terminal and not console.is_dumb_terminal

    def run(self, worker_is_alive: Callable[[], bool], stop: Callable[[], None]) -> Ending:
        """Draw until the worker has ended or a person wants to leave.

        The terminal is back as it was when this returns or raises, also after an error. It does not wait for
        the worker: after q, Ctrl-C or SIGTERM it calls ``stop`` and returns at once.

        Returns:
            "ended": the worker did; "quit": q; "interrupted": SIGINT; "terminated": SIGTERM or SIGHUP; "killed":
            another signal that ends a process, ``killed_by``, to be raised again when everything is put away.

        Raises:
            OutputError: the terminal cannot be written any more (``stop`` has been called).
        """
        try:
            with Terminal(self.console) as terminal:
                ending = self._loop(terminal, worker_is_alive)
        except OSError as error:
            stop()
            raise OutputError(f"the terminal cannot be written: {error.strerror}; use --jsonl") from error
        except BaseException:
            stop()
            raise
        if ending != "ended":
            stop()
        return ending

    def _loop(self, terminal: Terminal, worker_is_alive: Callable[[], bool]) -> Ending:
        self._forget()
        while worker_is_alive():
            began = time.thread_time()
            self._ground = terminal.ground
            self._draw(self._hint(terminal.keys))
            self._cost_seconds += COST_SMOOTHING * (time.thread_time() - began - self._cost_seconds)
            typed = terminal.wait(drawing_period(self._period, self._cost_seconds))
            for key in split_keys(typed):
                if key in ("q", "Q") and not self._controls.asking:
                    return "quit"
                said = self._controls.press(key, self._readings())
                if said is not None:
                    self._note, self._noted = said, time.monotonic()
            if "SIGTERM" in terminal.caught or "SIGHUP" in terminal.caught:
                return "terminated"
            if "SIGINT" in terminal.caught:
                return "interrupted"
            if killing := [name for name in terminal.caught if name in ENDING]:
                self.killed_by = signal.Signals[killing[0]]
                return "killed"
            if "SIGTSTP" in terminal.caught:
                terminal.suspend()
            if "SIGTSTP" in terminal.caught or "\f" in typed:  # Ctrl-L: something else wrote on the screen
                self._forget()
            terminal.caught.clear()
        return "ended"

    def _hint(self, keys: bool) -> str:
        """What the bottom line says: the keys there are, or for some seconds what the last one did."""
        if not keys:
            return "Ctrl-C quit"
        if self._note and time.monotonic() - self._noted < NOTE_SECONDS:
            return self._note
        return self._controls.hint(self._size()[0] - 8)

    def _readings(self) -> Readings:
        """What is to be shown: how things stand, or stood when the picture was paused."""
        if not self._controls.view.paused:
            self._frozen = None
            return self.telemetry.read()
        if self._frozen is None:
            self._frozen = self.telemetry.read()
        return self._frozen

    def _forget(self) -> None:
        self._shown, self._seen = [], ()

    def _draw(self, hint: str) -> None:
        width, height = self._size()
        readings, view = self._readings(), self._controls.view
        seen = (
            readings.version,
            readings.stale,
            int(readings.state_seconds),
            hint,
            view,
            self._ground,
            width,
            height,
        )
        if seen == self._seen:
            return
        lines = render(readings, width, height, Theme.of(self.console, self._ground), hint, view).lines
        if seen[-3:] != self._seen[-3:]:
            self.console.clear()
            self._shown = [[] for _ in lines]
        patch = _Patch(self._shown, lines, width)
        self.console.print(patch, end="", crop=False, no_wrap=True)
        self._shown, self._seen = lines, seen

    def _size(self) -> tuple[int, int]:
        """Columns and rows of the terminal itself: COLUMNS and LINES, which rich believes, do not follow a resize."""
        try:
            columns, rows = os.get_terminal_size(self.console.file.fileno())
        except (OSError, ValueError):  # not a terminal, or closed
            return self.console.size
        return (columns, rows) if columns and rows else self.console.size

    def _save(self) -> str:
        """Write a picture into the current folder, named by the time; what became of it."""
        path = f"stream-classify-{time.strftime('%Y%m%dT%H%M%S')}.svg"
        try:
            self.save_svg(path)
        except OutputError:
            return f"cannot write {path} here"
        return f"saved {path}"

    def save_svg(
        self, path: str | PathLike[str], width: int | None = None, height: int | None = None
    ) -> None:
        """Write what is shown now as an SVG file, in full colour, at the size of the console or as told.

        Raises:
            OutputError: the file cannot be written, or is no SVG file and would be lost.
        """
        check_svg_path(path)
        columns, rows = self._size()
        view = self._controls.view
        screen = render(self._readings(), width or columns, height or rows, Theme(), "", view)
        try:
            Path(path).write_text(to_svg(screen), encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written: {error.strerror}; choose another --screenshot"
            ) from error
