"""All figures that a model and a set of labels allow, as one report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import msgspec
import numpy as np

from export.data.dataset import read_dataset
from export.data.recording import Recording, Split
from export.data.splits import SplitConfig, split_dataset
from export.evaluation.clips import Where, clip_figures
from export.evaluation.events import event_figures
from export.evaluation.frames import frame_figures, segment_figures
from export.evaluation.listen import Heard, Listening, Progress, listen
from export.evaluation.psds import PSDS1, PSDS2, psds
from stream._version import __version__
from stream.decisions.spec import DetectorSpec
from stream.errors import DataError
from stream.inference.session import Model


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A report and what it was computed from.

    Attributes:
        report: plain figures, JSON-ready.
        listening: the answers behind them.
        labels: class names.
        rows: of a clip, those that its score is the mean of.
    """

    report: dict[str, Any]
    listening: Listening
    labels: tuple[str, ...]
    rows: Where


def evaluate(
    model: Model,
    data: str,
    *,
    split: Split | None = None,
    unknown: str | None = None,
    detector: DetectorSpec | None = None,
    strict: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model on labelled recordings.

    Args:
        model: what to measure.
        data: folder or manifest, as for training.
        split: only this part, divided as the model's training did (its card says how); None = everything.
        unknown: the model's class that recordings of other classes count as.
        detector: rules; default those of the card.
        strict: an unreadable recording is an error, not a line in the report.
        seed: order of the carried stream.
        progress: told (what, done, total).

    Raises:
        DataError: nothing usable, or a label the model does not have.
    """
    recordings = chosen(data, model, split, unknown)
    rules = model.card.detector if detector is None else detector
    heard = listen(model, recordings, rules, strict=strict, seed=seed, progress=progress)
    strong = any(each.recording.events is not None for each in heard.alone)
    report: dict[str, Any] = {
        "schema": 1,
        "program": f"stream-classify {__version__}",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "model": {"name": model.card.name, "sha256": model.sha256},
        "data": {"path": str(data), "split": split or "all", "recordings": len(heard.alone)},
        "hours": sum(each.duration for each in heard.alone) / 3600,
        "skipped": [{"recording": where, "reason": reason} for where, reason in heard.skipped],
        "carried": figures(heard.carried, model, rules, strong),
        "alone": figures(heard.alone, model, rules, strong),
    }
    return Evaluation(report, heard, model.labels, answer_rows(model))


def chosen(data: str, model: Model, split: Split | None, unknown: str | None) -> Sequence[Recording]:
    """The recordings to measure on."""
    dataset = read_dataset(data, model.labels, unknown=unknown)
    if split is None:
        return dataset.recordings
    try:
        part = split_dataset(dataset, trained_plan(model)).part(split)
    except DataError as error:
        raise DataError(f"{error}; or leave --split out to use everything") from None
    if not part:
        raise DataError(f"{data}: its {split} part is empty; leave --split out to use everything")
    return part


def trained_plan(model: Model) -> SplitConfig | None:
    """How the model's training divided its data, from its card; None where that does not say."""
    written = model.card.provenance.get("split")
    if written is None:
        return None
    try:
        return msgspec.convert(written, SplitConfig)
    except msgspec.ValidationError as error:
        raise DataError(
            f"model {model.path}: its card's provenance.split cannot be read ({error}); leave --split out"
        ) from None


def answer_rows(model: Model) -> Where:
    """The rows of a clip that training taught the label on, and that its score is the mean of."""
    return "all" if model.card.provenance.get("clip_score") == "all" else "end"


def figures(heard: Sequence[Heard], model: Model, rules: DetectorSpec, strong: bool) -> dict[str, Any]:
    """Figures of one way of listening."""
    labels = model.labels
    if not strong:
        return {"clips": clip_figures(heard, labels, model.card.activation, answer_rows(model), rules)}
    return {
        "frames": frame_figures(heard, labels, rules),
        "segments": segment_figures(heard, labels),
        "events": event_figures(heard, labels),
        "psds": {"psds1": psds(heard, labels, PSDS1), "psds2": psds(heard, labels, PSDS2)},
    }


def headline(report: dict[str, Any]) -> list[tuple[str, float, float]]:
    """(figure, carried, alone) rows worth reading first."""
    rows: list[tuple[str, float, float]] = []

    def add(name: str, *path: str) -> None:
        values = []
        for way in ("carried", "alone"):
            value: Any = report[way]
            for key in path:
                value = None if value is None else value.get(key)
            values.append(np.nan if value is None else float(value))
        if not all(np.isnan(values)):
            rows.append((name, values[0], values[1]))

    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        add(name.replace("_", " "), "clips", name)
    add("frame macro F1", "frames", "macro_f1")
    for label in report["carried"].get("frames", {}).get("classes", {}):
        add(f"  {label} F1", "frames", "classes", label, "f1")
        add(f"  {label} ROC-AUC", "frames", "classes", label, "roc_auc")
    add("segment macro F1", "segments", "macro_f1")
    add("event macro F1", "events", "macro_f1")
    for label in report["carried"].get("events", {}).get("classes", {}):
        add(f"  {label} false alarms/h", "events", "classes", label, "false_alarms_per_hour")
        add(f"  {label} median delay s", "events", "classes", label, "median_delay_seconds")
    add("PSDS1", "psds", "psds1")
    add("PSDS2", "psds", "psds2")
    return rows
