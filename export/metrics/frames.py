"""Figures against strong labels in cells of 10 ms, whatever the hop of the model: models with other hops compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Interval, frame_targets
from export.metrics.prediction import Prediction

CELL_SECONDS = 0.01
CANDIDATE_THRESHOLDS = np.arange(0.05, 0.96, 0.01)  # tried by best_threshold

Flags = NDArray[np.bool_]


def gridded(predictions: Sequence[Prediction], labels: tuple[str, ...]) -> tuple[NDArray[np.float32], Flags]:
    """Probabilities (n, C) float32 and truth (n, C) bool of all cells of all recordings, end to end.

    Raises:
        ValueError: no predictions.
    """
    scores = [to_cells(each.probs, each.seconds, cell_count(each.duration)) for each in predictions]
    truth = [cell_truth(each.reference or (), labels, cell_count(each.duration)) for each in predictions]
    return np.concatenate(scores), np.concatenate(truth)


def cell_count(seconds: float) -> int:
    """Whole cells in a recording, at least 1."""
    return max(1, int(seconds / CELL_SECONDS + 1e-6))


def to_cells(
    probs: NDArray[np.float32], seconds: NDArray[np.float64], cells: int, cell_seconds: float = CELL_SECONDS
) -> NDArray[np.float32]:
    """(..., T, C) rows -> (..., cells, C): for each cell the row whose time is nearest to the middle of the cell.

    Args:
        probs: rows in order of time; zeros are returned where there are none.
        seconds: (T,) float64, the time each row is about; may begin below 0.
        cells: how many, from second 0.
        cell_seconds: length of a cell.
    """
    if not len(seconds):
        return np.zeros((*probs.shape[:-2], cells, probs.shape[-1]), np.float32)
    middle = (np.arange(cells) + 0.5) * cell_seconds
    after = np.searchsorted(seconds, middle).clip(max=len(seconds) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(middle - seconds[before] <= seconds[after] - middle, before, after)
    found: NDArray[np.float32] = probs[..., nearest, :]
    return found


def cell_truth(events: Sequence[Interval], labels: tuple[str, ...], cells: int) -> Flags:
    """(cells, C) bool, whether the middle of each cell lies within an event of each class."""
    middle = (np.arange(cells) + 0.5) * CELL_SECONDS
    truth: Flags = frame_targets(events, labels, middle) > 0.5
    return truth


def frame_figures(
    scores: NDArray[np.float32],
    truth: Flags,
    labels: tuple[str, ...],
    thresholds: Sequence[float] | None = None,
) -> dict[str, Any]:
    """F1, precision, recall and ROC-AUC of each class, their macro F1, and the F1 of "none of them".

    Args:
        scores: (n, C) float32.
        truth: (n, C) bool.
        thresholds: of each class; None = for each class the one of its best F1.
    """
    chosen = [
        best_threshold(scores[:, c], truth[:, c])[0] if thresholds is None else thresholds[c]
        for c in range(len(labels))
    ]
    predicted = scores >= np.asarray(chosen, np.float32)
    classes: dict[str, dict[str, float | None]] = {
        label: {
            **precision_recall_f1(predicted[:, c], truth[:, c]),
            "roc_auc": roc_auc(truth[:, c], scores[:, c]),
            "threshold": chosen[c],
        }
        for c, label in enumerate(labels)
    }
    return {
        "cells": len(scores),
        "macro_f1": float(np.mean([figures["f1"] for figures in classes.values()])),
        "classes": classes,
        "none_of_them": precision_recall_f1(
            np.logical_not(predicted.any(axis=1)), np.logical_not(truth.any(axis=1))
        ),
    }


def precision_recall_f1(predicted: Flags, truth: Flags) -> dict[str, float]:
    """Of (n,) bool; 0 where a figure is not defined."""
    hits, wrong = int((predicted & truth).sum()), int((predicted & ~truth).sum())
    missed = int((truth & ~predicted).sum())
    return {
        "f1": 2 * hits / max(2 * hits + wrong + missed, 1),
        "precision": hits / max(hits + wrong, 1),
        "recall": hits / max(hits + missed, 1),
    }


def f1_score(predicted: Flags, truth: Flags) -> float:
    """F1 of bool arrays of any shape; 0 where nothing is predicted and nothing true."""
    hits = float(np.sum(predicted & truth))
    return 2 * hits / max(float(np.sum(predicted)) + float(np.sum(truth)), 1.0)


def roc_auc(truth: Flags, scores: NDArray[np.floating[Any]]) -> float | None:
    """Area under the ROC curve of (n,) scores; None when only one class is present."""
    from sklearn import metrics

    return float(metrics.roc_auc_score(truth, scores)) if truth.any() and not truth.all() else None


def best_threshold(scores: NDArray[np.float32], truth: Flags, tolerance: float = 0.0) -> tuple[float, float]:
    """(threshold, F1): among hundredths, the first of the best F1; or the highest within ``tolerance`` of it."""
    found = np.array([f1_score(scores >= step, truth) for step in CANDIDATE_THRESHOLDS])
    at = int(np.flatnonzero(found >= found.max() - tolerance)[-1]) if tolerance else int(np.argmax(found))
    return round(float(CANDIDATE_THRESHOLDS[at]), 2), float(found[at])


def confusion(
    scores: NDArray[np.float32], truth: Flags, labels: tuple[str, ...], thresholds: Sequence[float]
) -> dict[str, dict[str, float]]:
    """For every combination of classes that sounds, the share of its cells in which each combination is predicted.

    Combinations are named "a+b"; "silence" is none of the classes.
    """
    bits = 1 << np.arange(len(labels))
    predicted, true = (scores >= np.asarray(thresholds)) @ bits, truth @ bits
    names = [
        "+".join(k for i, k in enumerate(labels) if code >> i & 1) or "silence"
        for code in range(2 * bits[-1])
    ]
    return {
        names[code]: {
            names[other]: round(float(np.mean(predicted[true == code] == other)), 3)
            for other in np.unique(predicted[true == code]).tolist()
        }
        for code in np.unique(true).tolist()
    }


def reliability(
    scores: NDArray[np.floating[Any]], truth: Flags, bins: int = 10
) -> list[tuple[float, float, int]]:
    """Of one class, for equal bins of the score that hold any: (mean score, share that is true, how many).

    Args:
        scores: (n,), 0 to 1.
        truth: (n,) bool.
    """
    which = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        (float(scores[which == b].mean()), float(truth[which == b].mean()), int(np.sum(which == b)))
        for b in range(bins)
        if np.any(which == b)
    ]
