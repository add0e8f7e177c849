"""The run folder: settings, origin, progress and plots of a training run.

config.json       the TrainConfig
origin.json       git commit, digests of data and settings, versions
skipped.tsv       recordings that were left out, and why
metrics.jsonl     one line per epoch
curves.png        loss and figures by epoch
confusion.png     validation recordings by true and predicted class
strip.png         a minute of validation with labels, probabilities and events, where streams are composed
events.png        events found and missed, and false alarms by kind of sound, where the rules were calibrated
result.json       best epoch and final figures
last.pt           to resume from
again/last.pt     the same of the training on all recordings, where there is one
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
from export.calibration.event_report import EventReport
from export.calibration.heard import HeardStream
from export.data.recording import Interval
from export.pictures.confusion import draw_confusion
from export.pictures.curves import draw_curves
from export.pictures.events import draw_events
from export.pictures.strip import draw_strip
from export.training.config import TrainConfig
from stream._version import __version__
from stream.decisions.spec import DetectorSpec
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

    @property
    def again(self) -> Path:
        """The folder of the training on what validation held out, too."""
        folder = self.path / "again"
        folder.mkdir(exist_ok=True)
        return folder

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
        draw_curves(history, self.path / "curves.png", result.get("best", {}).get("epoch"))
        if table is not None:
            draw_confusion(table, labels, self.path / "confusion.png")

    def draw_minute(
        self,
        stream: HeardStream,
        events: Sequence[Interval],
        labels: tuple[str, ...],
        detector: DetectorSpec,
        samples: NDArray[np.float32],
    ) -> None:
        """The first minute of a validation stream; see ``draw_strip``."""
        title = "a minute of validation: shaded = known, line = probability, bar = event"
        draw_strip(
            stream, events, labels, self.path / "strip.png", detector=detector, samples=samples, title=title
        )

    def draw_events(self, report: EventReport) -> None:
        """Events found and missed, and false alarms."""
        draw_events(report, self.path / "events.png")

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
