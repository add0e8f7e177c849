"""DET and ROC curves, axes fitted to what there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.pictures.canvas import GREY, blank, legend_beside, line_of, make_figure, save, short

Flags = NDArray[np.bool_]
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60)  # per cent


def draw_det(true: Flags, scores: NDArray[Any], labels: Sequence[str], path: Path) -> None:
    """Misses against false alarms, in per cent on scales of standard deviations; the equal error rate by name.

    Args:
        true, scores: (n, C).
        labels: C names.
        path: of the PNG.
    """
    from scipy.stats import norm
    from sklearn import metrics

    figure = make_figure(6.6, 5)
    axes = figure.subplots()
    curves = []
    for c, label in enumerate(labels):
        if not _both(true[:, c]):
            continue
        alarms, misses, _ = metrics.det_curve(true[:, c], scores[:, c])
        least = 0.5 / min(int(true[:, c].sum()), int((~true[:, c]).sum()))  # less cannot be told from none
        equal = float(alarms[np.argmin(np.abs(alarms - misses))])
        curves.append(
            (np.maximum(alarms, least), np.maximum(misses, least), f"{short(label)} {100 * equal:.2g} %", c)
        )
    if not curves:
        blank(axes, "needs recordings with a class and without it")
    else:
        for alarms, misses, name, c in curves:
            axes.plot(
                norm.ppf(np.minimum(alarms, 0.999)),
                norm.ppf(np.minimum(misses, 0.999)),
                label=name,
                **line_of(c),
            )
        reach = [float(np.minimum(alarms, misses).min()) for alarms, misses, _, _ in curves]
        low = max(1e-4, min(reach)) / 1.3
        high = min(
            0.7,
            max(0.05, 2.5 * max(float(np.maximum(a, m)[np.argmin(np.abs(a - m))]) for a, m, _, _ in curves)),
        )
        marks = [tick for tick in _TICKS if low <= tick / 100 <= high]
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(norm.ppf(np.array(marks) / 100), [f"{tick:g}" for tick in marks])
        axes.set(
            xlim=norm.ppf([low, high]),
            ylim=norm.ppf([low, high]),
            xlabel="false alarms, %",
            ylabel="misses, %",
        )
        axes.set_title("Detection errors (DET); equal error rate by name", fontsize=10)
        axes.grid(alpha=0.3)
        legend_beside(axes)
    save(figure, path)


def draw_roc(true: Flags, scores: NDArray[Any], labels: Sequence[str], path: Path) -> None:
    """Hits against false alarms, the area by name; only the corner that holds the curves.

    Args:
        true, scores: (n, C).
        labels: C names.
        path: of the PNG.
    """
    from sklearn import metrics

    figure = make_figure(6.6, 5)
    axes = figure.subplots()
    edge, floor = 0.02, 0.98
    for c, label in enumerate(labels):
        if not _both(true[:, c]):
            continue
        alarms, hits, _ = metrics.roc_curve(true[:, c], scores[:, c])
        axes.plot(alarms, hits, label=f"{short(label)} {metrics.auc(alarms, hits):.3f}", **line_of(c))
        # To where nine in ten of what the curve has to win is won, and a little more.
        edge = max(edge, 1.5 * float(alarms[np.argmax(hits >= 0.95)]))
        floor = min(floor, float(hits[np.searchsorted(alarms, 0.01, side="right") - 1]) - 0.05)
    if not axes.lines:
        blank(axes, "needs recordings with a class and without it")
    else:
        edge, floor = min(1.0, edge), max(0.0, floor)
        axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        axes.set(
            xlim=(-0.01 * edge, edge),
            ylim=(floor, 1 + 0.02 * (1 - floor)),
            xlabel="false alarm rate",
            ylabel="hit rate",
        )
        axes.set_title("Hits and false alarms (ROC); area by name", fontsize=10)
        axes.grid(alpha=0.3)
        legend_beside(axes)
    save(figure, path)


def _both(true: Flags) -> bool:
    return bool(true.any() and not true.all())
