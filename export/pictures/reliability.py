"""Predicted probability against the share that is true, and how often each is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.metrics.frames import reliability
from export.pictures.canvas import GREY, legend_beside, line_of, make_figure, save, short

FEW = 10  # points of fewer are faint: their share is mostly chance


def draw_reliability(
    true: NDArray[np.bool_], scores: NDArray[Any], labels: Sequence[str], path: Path
) -> None:
    """A line for each class; below, how many scores each tenth holds.

    Args:
        true, scores: (n, C).
        labels: C names.
        path: of the PNG.
    """
    figure = make_figure(6.6, 6)
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    bins = np.linspace(0, 1, 11)
    for c, label in enumerate(labels):
        points = reliability(scores[:, c], true[:, c])
        style = line_of(c)
        upper.plot([p[0] for p in points], [p[1] for p in points], label=short(label), **style)
        for predicted, share, count in points:
            upper.plot(predicted, share, "o", ms=4, color=style["color"], alpha=1.0 if count >= FEW else 0.3)
        counts = np.histogram(scores[:, c], bins)[0].astype(float)
        counts[counts == 0] = np.nan
        lower.stairs(counts, bins, color=style["color"], linestyle=style["linestyle"])
    upper.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    upper.set(ylabel="share that is true", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    upper.set_title(
        f"Reliability; on the dotted line = as sure as right; faint: fewer than {FEW}", fontsize=10
    )
    upper.grid(alpha=0.3)
    legend_beside(upper)
    lower.set(xlabel="predicted probability", ylabel="how many", yscale="log", ylim=(0.7, None))
    lower.grid(alpha=0.3)
    save(figure, path)
