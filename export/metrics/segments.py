"""Figures of detected events against strong labels in segments of one second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Interval
from export.metrics.frames import precision_recall_f1
from export.metrics.prediction import Prediction

SEGMENT_SECONDS = 1.0  # as in the DCASE challenges


def segment_figures(
    predictions: Sequence[Prediction], labels: tuple[str, ...], segment_seconds: float = SEGMENT_SECONDS
) -> dict[str, Any]:
    """F1 of the detector's events in segments: a class is active when any event touches the segment.

    After Mesaros, Heittola and Virtanen, "Metrics for polyphonic sound event detection", 2016.
    """
    true = np.concatenate([_touched(p.reference or (), p, labels, segment_seconds) for p in predictions])
    predicted = np.concatenate([_touched(p.events, p, labels, segment_seconds) for p in predictions])
    classes = {label: precision_recall_f1(predicted[:, c], true[:, c]) for c, label in enumerate(labels)}
    hits, errors = (true & predicted).sum(), (true ^ predicted).sum()
    return {
        "segment_seconds": segment_seconds,
        "segments": len(true),
        "micro_f1": float(2 * hits / max(2 * hits + errors, 1)),
        "macro_f1": float(np.mean([figures["f1"] for figures in classes.values()])),
        "classes": classes,
    }


def _touched(
    events: Sequence[Interval], prediction: Prediction, labels: tuple[str, ...], segment_seconds: float
) -> NDArray[np.bool_]:
    """(segments, C) bool, whether any event of the class lies in the segment."""
    count = max(1, int(np.ceil(prediction.duration / segment_seconds - 1e-9)))
    touched = np.zeros((count, len(labels)), np.bool_)
    for event in events:
        first = max(0, int(event.onset // segment_seconds))
        last = min(count, int(np.ceil(event.offset / segment_seconds - 1e-9)))
        touched[first:last, labels.index(event.label)] = True
    return touched
