"""Figures for recordings with one label, or several, for the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from export.evaluation.listen import Heard
from stream.decisions.spec import DetectorSpec

Where = Literal["end", "all"]


def clip_scores(heard: Sequence[Heard], where: Where) -> NDArray[np.float64]:
    """(n, C) mean probability over a recording's rows: its second half ("end"), or all of it ("all").

    The rows are those that training taught the label on (``export.training.targets``).
    """
    scores = []
    for each in heard:
        rows = each.probs[len(each.probs) // 2 if where == "end" else 0 :]
        scores.append(rows.mean(axis=0, dtype=np.float64) if len(rows) else np.zeros(each.probs.shape[1]))
    return np.asarray(scores)


def truth(heard: Sequence[Heard], labels: tuple[str, ...]) -> NDArray[np.bool_]:
    """(n, C) which classes each recording carries."""
    return np.array([[label in each.recording.labels for label in labels] for each in heard])


def clip_figures(
    heard: Sequence[Heard], labels: tuple[str, ...], activation: str, where: Where, rules: DetectorSpec
) -> dict[str, Any]:
    """Accuracy and per-class figures.

    Softmax models answer with their strongest class. Sigmoid models answer with every class at or above its
    detector threshold; "accuracy" is then the share of recordings with exactly the right set.
    """
    scores, true = clip_scores(heard, where), truth(heard, labels)
    if activation == "softmax":
        said = np.zeros_like(true)
        said[np.arange(len(said)), scores.argmax(axis=1)] = True
    else:
        said = scores >= np.array([rules.rule(label).threshold for label in labels])
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        true, said, average=None, zero_division=0
    )
    present = true.any(axis=0)
    result: dict[str, Any] = {
        "recordings": len(heard),
        "accuracy": float((true == said).all(axis=1).mean()),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "classes": {
            label: {
                "precision": float(precision[c]),
                "recall": float(recall[c]),
                "f1": float(f1[c]),
                "recordings": int(support[c]),
                "roc_auc": roc_auc(true[:, c], scores[:, c]),
            }
            for c, label in enumerate(labels)
        },
    }
    if activation == "softmax" and (true.sum(axis=1) == 1).all():
        table = metrics.confusion_matrix(true.argmax(axis=1), said.argmax(axis=1), labels=range(len(labels)))
        result["confusion"] = table.tolist()
    return result


def roc_auc(true: NDArray[np.bool_], scores: NDArray[np.floating[Any]]) -> float | None:
    """Area under the ROC curve; None when only one class is present."""
    return float(metrics.roc_auc_score(true, scores)) if true.any() and not true.all() else None
