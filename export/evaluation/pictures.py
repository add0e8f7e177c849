"""An evaluation as pictures: confusion matrix, ROC and DET curves, reliability."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.evaluation.evaluate import Evaluation
from export.metrics.clips import clip_scores, clip_truth
from export.metrics.frames import gridded, reliability
from export.pictures.confusion import draw_confusion


def draw(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write every picture that applies into ``folder``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    true, scores = _pairs(evaluation)
    made = []
    table = evaluation.report["carried"].get("clips", {}).get("confusion")
    if table is not None:
        made.append(folder / "confusion.png")
        draw_confusion(np.asarray(table), evaluation.labels, made[-1])
    for name, plot in (("det.png", _det), ("roc.png", _roc), ("reliability.png", _reliability)):
        made.append(folder / name)
        _figure(made[-1], lambda axes, plot=plot: plot(axes, true, scores, evaluation.labels))
    return made


def _pairs(evaluation: Evaluation) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Truth and scores (n, C) with carried state: cells of 10 ms for strong labels, else recordings."""
    predictions, labels = evaluation.predictions.carried, evaluation.labels
    if "frames" in evaluation.report["carried"]:
        scores, truth = gridded(predictions, labels)
        return truth, scores
    return clip_truth(predictions, labels), clip_scores(predictions, evaluation.clip_rows)


def _figure(path: Path, plot: Any) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    plot(figure.add_subplot())
    figure.savefig(path, dpi=130)


def _both(true: NDArray[np.bool_]) -> bool:
    return bool(true.any() and not true.all())


def _det(axes: Any, true: NDArray[np.bool_], scores: NDArray[Any], labels: tuple[str, ...]) -> None:
    from sklearn import metrics

    for c, label in enumerate(labels):
        if _both(true[:, c]):
            alarms, misses, _ = metrics.det_curve(true[:, c], scores[:, c])
            axes.plot(100 * np.maximum(alarms, 1e-4), 100 * np.maximum(misses, 1e-4), label=label)
    axes.set(
        xscale="log", yscale="log", xlabel="false alarms, %", ylabel="misses, %", title="Detection errors"
    )
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()


def _roc(axes: Any, true: NDArray[np.bool_], scores: NDArray[Any], labels: tuple[str, ...]) -> None:
    from sklearn import metrics

    for c, label in enumerate(labels):
        if _both(true[:, c]):
            alarms, hits, _ = metrics.roc_curve(true[:, c], scores[:, c])
            area = metrics.auc(alarms, hits)
            axes.plot(alarms, hits, label=f"{label} ({area:.3f})")
    axes.plot([0, 1], [0, 1], color="grey", lw=0.8, ls=":")
    axes.set(xlabel="false alarm rate", ylabel="hit rate", title="ROC, area in brackets")
    axes.legend(loc="lower right")


def _reliability(axes: Any, true: NDArray[np.bool_], scores: NDArray[Any], labels: tuple[str, ...]) -> None:
    for c, label in enumerate(labels):
        points = reliability(scores[:, c], true[:, c])
        axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", ms=4, label=label)
    axes.plot([0, 1], [0, 1], color="grey", lw=0.8, ls=":")
    axes.set(
        xlabel="predicted probability",
        ylabel="share that is true",
        title="Reliability",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(loc="upper left")
