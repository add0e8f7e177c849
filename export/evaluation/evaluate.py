"""All figures that a model and a set of labels allow, as one report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from export.calibration.event_report import OWN, EventReport, Heard, event_report, rate
from export.data.dataset import read_dataset
from export.data.recording import Recording, Split
from export.data.splits import SplitConfig, split_dataset
from export.evaluation.other_sound import hear_negatives
from export.evaluation.predict import Predictions, predict
from export.evaluation.streams import Progress
from export.metrics.clips import ClipRows, clip_figures, clip_scores, clip_truth
from export.metrics.events import event_figures
from export.metrics.frames import frame_figures, gridded
from export.metrics.prediction import Prediction
from export.metrics.psds import PSDS1, PSDS2, psds
from export.metrics.segments import segment_figures
from stream._version import __version__
from stream.decisions.poisson import lower_bound
from stream.decisions.spec import DetectorSpec
from stream.errors import DataError
from stream.inference.session import Model

MANY_FALSE_ALARMS_PER_HOUR = 10.0  # nobody leaves a model on that is wrong more often


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A report and what it was computed from.

    Attributes:
        report: plain figures, JSON-ready.
        predictions: what the figures are about.
        labels: class names.
        clip_rows: of a whole recording with a label, the rows that its score is the mean of.
        heard: the stream of all recordings, then those of sound that is no class, with their events.
        events: found, missed and false ones in those.
        rules: of the detector.
        advice: what to try where there are too many false alarms; "" where there are not.
    """

    report: dict[str, Any]
    predictions: Predictions
    labels: tuple[str, ...]
    clip_rows: ClipRows
    heard: Sequence[Heard]
    events: EventReport
    rules: DetectorSpec
    advice: str


def evaluate(
    model: Model,
    data: str,
    *,
    split: Split | None = None,
    unknown: str | None = None,
    detector: DetectorSpec | None = None,
    strict: bool = False,
    seed: int = 0,
    negatives: float = 0.0,
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
        negatives: minutes of each kind of sound that is no class, in which false alarms are counted as well.
        progress: told (what, done, total).

    Raises:
        DataError: nothing usable, or a label the model does not have.
    """
    recordings = select_recordings(data, model, split, unknown)
    rules = model.card.detector if detector is None else detector
    found = predict(model, recordings, rules, strict=strict, seed=seed, progress=progress)
    streams = [found.stream, *hear_negatives(model, rules, negatives, seed=seed, progress=progress)]
    events = event_report(streams, model.labels, never_events(model.labels, rules))
    report: dict[str, Any] = {
        # 1: frames were rows of the model, delays included events that were on already
        # 2: pauses of 0.5 s of zeros between recordings; a background class was predicted like any other
        "schema": 3,
        "program": f"stream-classify {__version__}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {"name": model.card.name, "sha256": model.sha256},
        "data": {"path": str(data), "split": split or "all", "recordings": len(found.alone)},
        "hours": sum(each.duration for each in found.alone) / 3600,
        "skipped": [{"recording": where, "reason": reason} for where, reason in found.skipped],
        "carried": figures(found.carried, model, rules),
        "alone": figures(found.alone, model, rules),
        "events": events.to_dict(),
    }
    return Evaluation(
        report, found, model.labels, clip_rows(model), streams, events, rules, babble_advice(events, model)
    )


def never_events(labels: Sequence[str], rules: DetectorSpec) -> tuple[str, ...]:
    """Classes that the rules never report."""
    return tuple(label for label in labels if not rules.rule(label).enabled)


def babble_advice(events: EventReport, model: Model) -> str:
    """What to try where there are more false alarms in sound that is no class than chance explains; else ""."""
    if OWN in events.judged:
        return ""
    budget = model.card.provenance.get("false_alarms", MANY_FALSE_ALARMS_PER_HOUR)
    allowed = min(float(budget), MANY_FALSE_ALARMS_PER_HOUR) if isinstance(budget, (int, float)) else math.inf
    surely = lower_bound(math.floor(events.false_count), events.judged_hours)
    if surely <= allowed and events.false_per_hour <= MANY_FALSE_ALARMS_PER_HOUR:
        return ""
    counts = {label: sum(c.false[kind] for kind in events.judged) for label, c in events.classes.items()}
    loudest = [label for label in sorted(counts, key=lambda each: -counts[each]) if counts[label]][:3]
    return (
        f"{rate(events.false_per_hour)} false events an hour of other sound, most of {', '.join(loudest)}: try "
        "--threshold 0.9; train again with --false-alarms 1, and with more --background of what it mistakes"
    )


def select_recordings(
    data: str, model: Model, split: Split | None, unknown: str | None
) -> Sequence[Recording]:
    """The recordings to measure on."""
    dataset = read_dataset(data, model.labels, unknown=unknown)
    if split is None:
        return dataset.recordings
    # Training made up its background class: no recording is labelled with it, and none need be.
    seen = {label for recording in dataset.recordings for label in labels_of(recording)}
    never = never_events(model.labels, model.card.detector)
    asked = tuple(label for label in model.labels if label in seen or label not in never)
    dataset = replace(dataset, labels=asked)
    try:
        part = split_dataset(dataset, training_split(model)).part(split)
    except DataError as error:
        raise DataError(f"{error}; or leave --split out to use everything") from None
    if not part:
        raise DataError(f"{data}: its {split} part is empty; leave --split out to use everything")
    return part


def labels_of(recording: Recording) -> set[str]:
    """Classes of the whole recording and of the events in it."""
    return {*recording.labels, *(event.label for event in recording.events or ())}


def training_split(model: Model) -> SplitConfig | None:
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


def clip_rows(model: Model) -> ClipRows:
    """The rows of a recording that training taught the label on, and that its score is the mean of."""
    return "all" if model.card.provenance.get("clip_score") == "all" else "end"


def figures(predictions: Sequence[Prediction], model: Model, rules: DetectorSpec) -> dict[str, Any]:
    """Every figure that the labels allow: of strong labels where some recording has them, else of whole recordings."""
    labels = model.labels
    thresholds = [rules.rule(label).threshold for label in labels]
    never = never_events(labels, rules)
    if all(each.reference is None for each in predictions):
        scores, truth = clip_scores(predictions, clip_rows(model)), clip_truth(predictions, labels)
        return {"clips": clip_figures(scores, truth, labels, model.card.activation, thresholds, never)}
    cells, cell_truth = gridded(predictions, labels)
    return {
        "frames": frame_figures(cells, cell_truth, labels, thresholds),
        "segments": segment_figures(predictions, labels),
        "events": event_figures(predictions, labels),
        "psds": {"psds1": psds(predictions, labels, PSDS1), "psds2": psds(predictions, labels, PSDS2)},
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
        add(f"  {label} missed share", "events", "classes", label, "missed_share")
        add(f"  {label} median delay s", "events", "classes", label, "median_delay_seconds")
    add("PSDS1", "psds", "psds1")
    add("PSDS2", "psds", "psds2")
    return rows
