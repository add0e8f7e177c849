"""An evaluation as pictures: confusion matrix, ROC and DET curves, reliability."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from export.evaluation.clips import clip_scores, truth
from export.evaluation.evaluate import Evaluation
from export.evaluation.frames import row_truth
from export.training.run_folder import draw_confusion

BINS = 10


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
    """Truth and scores (n, C) with carried state: rows for strong labels, recordings for clip labels."""
    heard, labels = evaluation.listening.carried, evaluation.labels
    if "frames" in evaluation.report["carried"]:
        return np.concatenate([row_truth(h, labels) for h in heard]), np.concatenate([h.probs for h in heard])
    return truth(heard, labels), clip_scores(heard, evaluation.rows)


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
    for c, label in enumerate(labels):
        if _both(true[:, c]):
            alarms, hits, _ = metrics.roc_curve(true[:, c], scores[:, c])
            area = metrics.auc(alarms, hits)
            axes.plot(alarms, hits, label=f"{label} ({area:.3f})")
    axes.plot([0, 1], [0, 1], color="grey", lw=0.8, ls=":")
    axes.set(xlabel="false alarm rate", ylabel="hit rate", title="ROC, area in brackets")
    axes.legend(loc="lower right")


def _reliability(axes: Any, true: NDArray[np.bool_], scores: NDArray[Any], labels: tuple[str, ...]) -> None:
    edges = np.linspace(0, 1, BINS + 1)
    for c, label in enumerate(labels):
        place = np.clip(np.digitize(scores[:, c], edges) - 1, 0, BINS - 1)
        filled = [b for b in range(BINS) if (place == b).any()]
        said = [scores[place == b, c].mean() for b in filled]
        came = [true[place == b, c].mean() for b in filled]
        axes.plot(said, came, marker="o", ms=4, label=label)
    axes.plot([0, 1], [0, 1], color="grey", lw=0.8, ls=":")
    axes.set(
        xlabel="probability said", ylabel="share that was true", title="Reliability", xlim=(0, 1), ylim=(0, 1)
    )
    axes.legend(loc="upper left")
