"""Figures of merit: plain functions of predictions and labels, without a model, a file or a front end.

``stream-classify evaluate`` and the recipes call the same functions, so a figure of a model card, of the README and
of an evaluation is defined once, here.

    prediction.py   Prediction: what a model predicted for one recording, beside its labels
    frames.py       strong labels in cells of 10 ms: F1, ROC-AUC, confusion, reliability; the best threshold
    segments.py     strong labels in segments of 1 s: F1 of detected events
    events.py       strong labels event by event: F1 with collars, false alarms, missed events, detection delay
    psds.py         polyphonic sound detection score
    clips.py        one or several labels for a whole recording: accuracy, F1, ROC-AUC, confusion
"""

from __future__ import annotations

from export.metrics.clips import clip_figures, clip_scores, clip_truth
from export.metrics.events import event_figures
from export.metrics.frames import (
    best_threshold,
    confusion,
    f1_score,
    frame_figures,
    gridded,
    precision_recall_f1,
    reliability,
    roc_auc,
    to_cells,
)
from export.metrics.prediction import DetectedEvent, Prediction
from export.metrics.psds import PSDS1, PSDS2, PsdsParameters, psds
from export.metrics.segments import segment_figures

__all__ = [
    "PSDS1",
    "PSDS2",
    "DetectedEvent",
    "Prediction",
    "PsdsParameters",
    "best_threshold",
    "clip_figures",
    "clip_scores",
    "clip_truth",
    "confusion",
    "event_figures",
    "f1_score",
    "frame_figures",
    "gridded",
    "precision_recall_f1",
    "psds",
    "reliability",
    "roc_auc",
    "segment_figures",
    "to_cells",
]
