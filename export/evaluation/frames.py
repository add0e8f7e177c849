"""Figures against strong labels, row by row (10 ms for the default features) and in longer segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Interval, frame_targets
from export.evaluation.clips import roc_auc
from export.evaluation.listen import Heard
from stream.decisions.spec import DetectorSpec

SEGMENT = 1.0  # seconds, as in the DCASE challenges


def frame_figures(heard: Sequence[Heard], labels: tuple[str, ...], rules: DetectorSpec) -> dict[str, Any]:
    """F1 of raw probabilities at the detector's thresholds, and ROC-AUC, over all rows of all recordings."""
    probs = np.concatenate([each.probs for each in heard])
    true = np.concatenate([row_truth(each, labels) for each in heard])
    found: dict[str, Any] = {}
    for c, label in enumerate(labels):
        said = probs[:, c] >= rules.rule(label).threshold
        found[label] = {**_f1(true[:, c], said), "roc_auc": roc_auc(true[:, c], probs[:, c])}
    nothing_true, nothing_said = ~true.any(axis=1), ~_said(probs, labels, rules).any(axis=1)
    return {
        "rows": len(probs),
        "macro_f1": float(np.mean([figures["f1"] for figures in found.values()])),
        "classes": found,
        "none_of_them": _f1(nothing_true, nothing_said),
    }


def segment_figures(
    heard: Sequence[Heard], labels: tuple[str, ...], segment: float = SEGMENT
) -> dict[str, Any]:
    """F1 of the detector's events in segments: a class is there when any event touches the segment.

    After Mesaros, Heittola and Virtanen, "Metrics for polyphonic sound event detection", 2016.
    """
    true = np.concatenate([_touched(each.recording.events or (), each, labels, segment) for each in heard])
    said = np.concatenate([_touched(each.events, each, labels, segment) for each in heard])
    found = {label: _f1(true[:, c], said[:, c]) for c, label in enumerate(labels)}
    hits, wrong, missed = (true & said).sum(), (said & ~true).sum(), (true & ~said).sum()
    return {
        "segment_seconds": segment,
        "segments": len(true),
        "micro_f1": float(2 * hits / max(2 * hits + wrong + missed, 1)),
        "macro_f1": float(np.mean([figures["f1"] for figures in found.values()])),
        "classes": found,
    }


def row_truth(heard: Heard, labels: tuple[str, ...]) -> NDArray[np.bool_]:
    """(T, C) which classes are on at the reference time of each row."""
    return frame_targets(heard.recording.events or (), labels, heard.seconds) > 0.5


def _said(probs: NDArray[np.float32], labels: tuple[str, ...], rules: DetectorSpec) -> NDArray[np.bool_]:
    return probs >= np.array([rules.rule(label).threshold for label in labels], np.float32)


def _touched(
    events: Sequence[Interval], heard: Heard, labels: tuple[str, ...], segment: float
) -> NDArray[np.bool_]:
    count = max(1, int(np.ceil(heard.duration / segment - 1e-9)))
    grid = np.zeros((count, len(labels)), np.bool_)
    for event in events:
        first = max(0, int(event.onset // segment))
        last = min(count, int(np.ceil(event.offset / segment - 1e-9)))
        grid[first:last, labels.index(event.label)] = True
    return grid


def _f1(true: NDArray[np.bool_], said: NDArray[np.bool_]) -> dict[str, float]:
    hits, wrong, missed = int((true & said).sum()), int((said & ~true).sum()), int((true & ~said).sum())
    return {
        "f1": 2 * hits / max(2 * hits + wrong + missed, 1),
        "precision": hits / max(hits + wrong, 1),
        "recall": hits / max(hits + missed, 1),
    }
