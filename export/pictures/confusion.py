"""True against predicted classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.pictures.canvas import blank, make_figure, save, short


def draw_confusion(
    table: NDArray[np.int64],
    labels: Sequence[str],
    path: Path,
    *,
    predicted: Sequence[str] | None = None,
    title: str = "Recordings by true and predicted class",
) -> None:
    """Shade and number by share of the true class, counts small below.

    Args:
        table: (R, K) counts, true classes as rows.
        labels: R names.
        path: of the PNG.
        predicted: K names; default ``labels``.
        title: of the picture.
    """
    columns = list(labels if predicted is None else predicted)
    kept = [row for row in range(len(table)) if table[row].sum()]  # a class without recordings has no shares
    counts, names = table[kept], [labels[row] for row in kept]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    cell = 0.62 if len(columns) <= 20 else 0.42
    figure = make_figure(max(4.5, cell * len(columns) + 2), max(4.0, cell * len(names) + 1.9))
    axes = figure.subplots()
    if not kept:
        blank(axes, "no recordings")
        save(figure, path)
        return
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[row, column] > 0.55 else "black"
            axes.text(
                column, row - 0.1, f"{100 * share[row, column]:.0f} %", ha="center", va="center", color=colour,
                fontsize=9 if cell > 0.5 else 7,
            )  # fmt: skip
            axes.text(
                column, row + 0.28, str(count), ha="center", va="center", color=colour,
                fontsize=7.5 if cell > 0.5 else 5, alpha=0.85,
            )  # fmt: skip
    axes.set_xticks(range(len(columns)), [short(name) for name in columns], rotation=50, ha="right")
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)
    right = sum(int(counts[k, columns.index(name)]) for k, name in enumerate(names) if name in columns)
    axes.set_title(f"{title}\n{right} of {int(counts.sum())} right", fontsize=10)
    axes.set(xlabel="predicted", ylabel="true")
    save(figure, path)
