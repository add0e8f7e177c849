"""Figures for recordings with one label, or several, for the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.metrics.frames import roc_auc
from export.metrics.prediction import Prediction

NOTHING = "nothing"  # the column of a background class
ClipRows = Literal["end", "all"]
"""The rows that a recording's score is the mean of: its second half, or all of it."""


def clip_scores(predictions: Sequence[Prediction], rows: ClipRows) -> NDArray[np.float64]:
    """(n, C) float64 mean probability over a recording's rows: its second half ("end"), or all of it ("all").

    The rows are those that training taught the label on.
    """
    scores = []
    for each in predictions:
        part = each.probs[len(each.probs) // 2 if rows == "end" else 0 :]
        scores.append(part.mean(axis=0, dtype=np.float64) if len(part) else np.zeros(each.probs.shape[1]))
    return np.asarray(scores)


def clip_truth(predictions: Sequence[Prediction], labels: tuple[str, ...]) -> NDArray[np.bool_]:
    """(n, C) bool, which classes each recording carries."""
    return np.array([[label in each.labels for label in labels] for each in predictions])


def clip_figures(
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    labels: tuple[str, ...],
    activation: str,
    thresholds: Sequence[float],
    background: Sequence[str] = (),
) -> dict[str, Any]:
    """Accuracy and per-class figures.

    Softmax models predict their strongest class, of those that are asked about. Sigmoid models predict every class at
    or above its threshold; "accuracy" is then the share of recordings with exactly the right set.

    "confusion" counts recordings by true class (rows, all labels) and by what is strongest of all ("predicted" names
    the columns: classes, and "nothing" where a background class is).

    Args:
        scores, truth: (n, C), see ``clip_scores`` and ``clip_truth``.
        activation: "softmax" or "sigmoid".
        thresholds: of each class; sigmoid only.
        background: classes that are never an event. Where no recording is labelled with them, they are not asked about.
    """
    from sklearn import metrics

    present = truth.any(axis=0)
    asked = np.array([label not in background for label in labels]) | present
    if activation == "softmax":
        predicted = np.zeros_like(truth)
        among = np.where(asked, scores, -1.0)
        predicted[np.arange(len(predicted)), among.argmax(axis=1)] = True
    else:
        predicted = scores >= np.array(thresholds)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, average=None, zero_division=0
    )
    result: dict[str, Any] = {
        "recordings": len(scores),
        "accuracy": float((truth == predicted).all(axis=1).mean()),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "classes": {
            label: {
                "precision": float(precision[c]),
                "recall": float(recall[c]),
                "f1": float(f1[c]),
                "recordings": int(support[c]),
                "roc_auc": roc_auc(truth[:, c], scores[:, c]),
            }
            for c, label in enumerate(labels)
            if asked[c]
        },
    }
    if activation == "softmax" and (truth.sum(axis=1) == 1).all():
        table = metrics.confusion_matrix(
            truth.argmax(axis=1), scores.argmax(axis=1), labels=range(len(labels))
        )
        nothing = [] if asked.all() else [table[:, ~asked].sum(axis=1)]
        result["confusion"] = np.stack([*table[:, asked].T, *nothing], axis=1).tolist()
        result["predicted"] = [label for c, label in enumerate(labels) if asked[c]] + [NOTHING] * len(nothing)
    return result
