"""Loss and figures by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.pictures.canvas import GREY, blank, legend_beside, line_of, make_figure, save, short

MOST_INSIDE = 5  # lines whose legend fits into the axes
_LOSSES = {"loss": "training", "val_loss": "validation"}
_MAIN = {
    "val_accuracy": "accuracy, state carried",
    "val_accuracy_alone": "accuracy, each recording alone",
    "val_balanced": "mean over classes, state carried",
    "val_f1": "frame F1, mean over classes, state carried",
    "val_f1_alone": "frame F1, each recording alone",
}
_PLAIN = {"epoch", "seconds", "learning_rate", "val_unscored"}


def draw_curves(history: Sequence[dict[str, float]], path: Path, best: float | None = None) -> None:
    """Losses on the left, validation figures on the right.

    Args:
        history: a record an epoch, as ``fit`` gives them: "epoch" counts from 0, "loss" is of the training.
        path: of the PNG.
        best: "epoch" of the record whose weights were kept; it is marked.
    """
    figure = make_figure(11, 4)
    left, right = figure.subplots(1, 2, width_ratios=[2, 3])
    epochs = [int(record["epoch"]) + 1 for record in history]
    names = sorted({name for record in history for name in record} - _PLAIN)
    others = [name for name in names if name not in _LOSSES and name not in _MAIN]
    _plot(left, epochs, history, {name: shown for name, shown in _LOSSES.items() if name in names})
    _plot(right, epochs, history, {name: shown for name, shown in _MAIN.items() if name in names})
    for number, name in enumerate(others):
        style = {**line_of(number + 3), "linewidth": 0.9, "alpha": 0.6}
        values = [record.get(name, np.nan) for record in history]
        right.plot(epochs, values, label=short(_other(name), 24), **style)
    for axes, title in ((left, "Loss"), (right, "Validation")):
        if not axes.lines:
            blank(axes, "no validation part" if epochs else "no epoch")
            continue
        axes.set_title(title, fontsize=10)
        axes.set(xlabel="epoch", xlim=(0.5, max(epochs) + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if best is not None:
            axes.axvline(
                best + 1, color=GREY, linewidth=1, linestyle=":", label=f"best: epoch {int(best) + 1}"
            )
        if len(axes.lines) > MOST_INSIDE:
            legend_beside(axes)
        else:
            axes.legend(fontsize=8)
    save(figure, path)


def _plot(axes: Any, epochs: list[int], history: Sequence[dict[str, float]], shown: dict[str, str]) -> None:
    for number, (name, label) in enumerate(shown.items()):
        values = [record.get(name, np.nan) for record in history]
        axes.plot(
            epochs, values, label=label, marker="o" if len(epochs) < 15 else None, ms=3, **line_of(number)
        )


def _other(name: str) -> str:
    plain = name.removeprefix("val_")
    return f"F1 {plain.removeprefix('f1_')}" if plain.startswith("f1_") else plain.replace("_", " ")
