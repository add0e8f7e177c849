"""What is shown of a training run: a table with a row for each epoch, and on a terminal a bar below it; on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from export.training.interrupts import Interrupts
from export.training.time_left import TimeLeft, in_words

_FIGURES = {"val_accuracy": "accuracy", "val_f1": "F1"}  # the first that is measured is shown
_WIDTHS = (9, 11, 16, 10, 5, 9, 14)  # of the columns: 74 in all, and of "epoch 12/30" in every terminal


class Report(Protocol):
    """Told about progress by ``train`` and ``fit``. It has no influence on the result."""

    def start_run(self, what: str, later: int) -> None: ...

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None: ...

    def step(self, loss: float) -> None: ...

    def end_epoch(self, record: dict[str, float], best: bool) -> None: ...


class Silent:
    """Shows nothing."""

    def start_run(self, what: str, later: int) -> None:
        pass

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        pass

    def step(self, loss: float) -> None:
        pass

    def end_epoch(self, record: dict[str, float], best: bool) -> None:
        pass


class RichReport:
    """A table on stderr: its header once, a row for each epoch. Use as a context manager.

    On a terminal a bar stands below it with the time left for the whole run; elsewhere there are plain lines only.
    A Ctrl-C that something caught on its way is raised by the next step: see `Interrupts`.

    Args:
        console: where to; None = stderr.
        clock: seconds, from any start.

    Attributes:
        finished: epochs that it was told the end of.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task: TaskID | None = None
        self._left = TimeLeft(clock)
        self._interrupts = Interrupts()
        self._epochs = 0
        self.finished = 0
        self._figure = ""  # whose column the table has, once it has begun

    def __enter__(self) -> RichReport:
        self._interrupts.__enter__()
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._interrupts.__exit__(kind, error, trace)

    def prepared(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` recordings are ready; a ``Progress`` of ``export.training.prepare``."""
        self._interrupts.check()
        if done <= 1 or self._task is None:
            self._begin(what, total)
        if self._task is not None:
            self._progress.update(self._task, completed=done)
        if done == total and not self.console.is_terminal:
            self._say(f"{what}: {total}")

    def start_run(self, what: str, later: int) -> None:
        """A training begins, ``what`` in words ("" = the only or first one); ``later`` epochs of others follow it."""
        if what:
            self._say(what)
        self._left.later = later

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        self._epochs = epochs
        self._left.start_epoch(epoch, epochs, steps)
        self._begin(f"epoch {epoch + 1}/{epochs}", steps)

    def _begin(self, what: str, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total, note="")

    def step(self, loss: float) -> None:
        self._interrupts.check()
        self._left.step()
        if self._task is not None:
            left = self._left.seconds()
            note = f"loss {loss:.3f}" + ("" if left is None else f", {in_words(left)} left in all")
            self._progress.update(self._task, advance=1, note=note)

    def end_epoch(self, record: dict[str, float], best: bool) -> None:
        self._left.end_epoch()
        self.finished += 1
        if not self._figure:
            self._figure = next((name for name in _FIGURES if name in record), next(iter(_FIGURES)))
            heading = _FIGURES[self._figure]
            self._say(_row("epoch", "train loss", "validation loss", heading, "best", "seconds", "time left"))
        self._say(
            _row(
                f"{int(record['epoch']) + 1}/{self._epochs}",
                _number(record.get("loss")),
                _number(record.get("val_loss")),
                _number(record.get(self._figure)),
                "*" if best else "",
                f"{record['seconds']:.1f}",
                in_words(self._left.seconds()),
            )
        )

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _row(*cells: str) -> str:
    """One line of the table: the same columns in every row."""
    return "".join(cell.rjust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _number(value: float | None) -> str:
    """Four places, in few characters however large; "-" where it was not measured."""
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.3g}"
