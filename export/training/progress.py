"""Progress of a training run: one bar and one line per epoch, on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Report(Protocol):
    """Told about progress by ``fit``. It has no influence on the result."""

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None: ...

    def step(self, loss: float) -> None: ...

    def end_epoch(self, record: dict[str, float], best: bool) -> None: ...


class Silent:
    """Shows nothing."""

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        pass

    def step(self, loss: float) -> None:
        pass

    def end_epoch(self, record: dict[str, float], best: bool) -> None:
        pass


class RichReport:
    """A progress bar on stderr, one line per finished epoch. Use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> RichReport:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def prepared(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` recordings are ready; a ``Progress`` of ``export.training.prepare``."""
        if done <= 1 or self._task is None:
            self._begin(what, total)
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        self._begin(f"epoch {epoch + 1}/{epochs}", steps)

    def _begin(self, what: str, total: int | None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total, loss="")

    def step(self, loss: float) -> None:
        if self._task is not None:
            self._progress.update(self._task, advance=1, loss=f"loss {loss:.4f}")

    def end_epoch(self, record: dict[str, float], best: bool) -> None:
        shown = "  ".join(
            f"{name} {value:.4g}" for name, value in record.items() if name not in ("epoch", "seconds")
        )
        self.console.print(
            f"epoch {int(record['epoch']) + 1:3d}  {shown}{'  *' if best else ''}",
            highlight=False,
            soft_wrap=True,
        )
