"""The run folder: settings, origin, progress and plots of a training run.

config.json       the TrainConfig
origin.json       git commit, digests of data and settings, versions
skipped.tsv       recordings that were left out, and why
metrics.jsonl     one line per epoch
curves.png        loss and figures by epoch
confusion.png     validation recordings by true and predicted class
result.json       best epoch and final figures
last.pt           to resume from
model.pt          the result (also at -o)
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from export.atomic import write_bytes
from export.training.config import TrainConfig
from stream._version import __version__
from stream.errors import OutputError
from stream.features.kernel import kernel_name
from stream.printable import unicode_text, unicode_values


class RunFolder:
    """Writes the files of a run, each complete or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{path}: the run folder cannot be made: {error}; choose another --run"
            ) from None

    def begin(self, config: TrainConfig, origin: dict[str, Any], skipped: Sequence[tuple[str, str]]) -> None:
        self._json("config.json", config)
        self._json("origin.json", origin)
        write_bytes(
            self.path / "skipped.tsv",
            "".join(f"{where}\t{reason}\n" for where, reason in skipped).encode(errors="replace"),
        )

    def metrics(self, history: Sequence[dict[str, float]]) -> None:
        write_bytes(
            self.path / "metrics.jsonl", b"".join(msgspec.json.encode(record) + b"\n" for record in history)
        )

    def finish(
        self,
        history: Sequence[dict[str, float]],
        result: dict[str, Any],
        labels: tuple[str, ...],
        table: NDArray[np.int64] | None,
    ) -> None:
        self.metrics(history)
        self._json("result.json", result)
        draw_curves(history, self.path / "curves.png")
        if table is not None:
            draw_confusion(table, labels, self.path / "confusion.png")

    def _json(self, name: str, value: Any) -> None:
        write_bytes(self.path / name, msgspec.json.format(as_json(value), indent=2) + b"\n")


def as_json(value: Any) -> bytes:
    """JSON of a settings object or of plain values, with names that are not UTF-8 escaped."""
    return msgspec.json.encode(unicode_values(msgspec.to_builtins(value)))


def origin(config: TrainConfig, data_digest: str) -> dict[str, Any]:
    """Where a model comes from: enough to tell whether two runs should give the same."""
    return {
        "stream_classify": __version__,
        "git": git_commit(),
        "data": unicode_text(Path(config.data).name),
        "data_digest": data_digest,
        "settings_digest": hashlib.sha256(as_json(config)).hexdigest()[:16],
        "features_digest": config.features.digest,
        "feature_kernel": kernel_name(config.features),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def git_commit() -> str | None:
    """Commit of the working folder, with "+" when files differ from it; None outside git."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = ask("rev-parse", "--short=12", "HEAD")
    return (
        None
        if commit is None
        else commit + ("+" if ask("status", "--porcelain", "--untracked-files=no") else "")
    )


def draw_curves(history: Sequence[dict[str, float]], path: Path) -> None:
    """Loss on the left, every other validation figure on the right."""
    from matplotlib.figure import Figure  # the figure alone: no window system, no global state

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [record["epoch"] + 1 for record in history]
    for name in sorted({name for record in history for name in record}):
        if name in ("epoch", "seconds", "learning_rate"):
            continue
        axis = left if name.endswith("loss") else right
        axis.plot(epochs, [record.get(name, np.nan) for record in history], label=name.removeprefix("val_"))
    for axis, title in ((left, "loss"), (right, "validation")):
        axis.set(xlabel="epoch", title=title)
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize="small")
    figure.savefig(path, dpi=100)


def draw_confusion(table: NDArray[np.int64], labels: tuple[str, ...], path: Path) -> None:
    """Counts in cells, shade by share of the true class."""
    from matplotlib.figure import Figure

    size = max(4.0, 0.5 * len(labels) + 2)
    figure = Figure(figsize=(size, size), layout="constrained")
    axis = figure.subplots()
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            axis.text(column, row, str(count), ha="center", va="center", color=colour, fontsize="small")
    ticks = range(len(labels))
    axis.set_xticks(ticks, labels, rotation=60, ha="right")
    axis.set_yticks(ticks, labels)
    axis.set(xlabel="predicted", ylabel="true")
    figure.savefig(path, dpi=100)
