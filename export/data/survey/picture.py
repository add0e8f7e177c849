"""A survey for the eye: how much of each class there is, how loud its recordings are, and how long.

The three parts share their rows, so a class that is unlike the others stands out in its row.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.atomic import write_bytes
from export.data.recording import SPLITS
from export.data.survey.summary import Survey
from stream.printable import printable

_COLOURS = {"train": "#4477aa", "validation": "#ccbb44", "test": "#ee6677"}
_MOST_INCHES = 60.0
_NAME_LENGTH = 24


def draw(found: Survey, path: Path) -> None:
    """Write the picture as PNG.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.figure import Figure  # the figure alone: no window system, no global state
    from matplotlib.ticker import MultipleLocator

    names = [printable(each.name)[:_NAME_LENGTH] or "(no class)" for each in found.classes]
    names = [name.replace("$", r"\$") for name in names]  # else what is between two of them is mathematics
    height = min(_MOST_INCHES, 1.6 + 0.32 * len(names))
    figure = Figure(figsize=(11, height), dpi=100, layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True)
    rows = np.arange(len(names))
    start = np.zeros(len(names))
    for part in SPLITS:
        minutes = np.array([each.split_seconds[part] / 60 for each in found.classes])
        if minutes.any():
            left.barh(rows, minutes, left=start, color=_COLOURS[part], label=part)
        start += minutes
    left.set(title="sound", xlabel="minutes", ylim=(len(names) - 0.5, -0.5))
    left.set_yticks(rows, names)
    if left.patches:
        figure.legend(loc="outside lower left", ncols=3, fontsize="small", frameon=False)
    _histogram(middle, [each.levels for each in found.classes], np.arange(-80.0, 1.0, 2.0))
    middle.set(title="level of the recordings", xlabel="dBFS")
    _histogram(right, [np.log10(np.maximum(each.lengths, 1e-3)) for each in found.classes], _decades(found))
    right.set(title="length of the recordings", xlabel="seconds")
    right.xaxis.set_major_locator(MultipleLocator(1))
    right.xaxis.set_major_formatter(lambda power, _: f"{10**power:g}")
    figure.text(0.99, 0.01, "shade: share of the class's recordings", ha="right", fontsize="small")
    buffer = BytesIO()
    with warnings.catch_warnings():  # a letter that the font lacks is drawn as a box: that is enough
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())


def _decades(found: Survey) -> NDArray[np.float64]:
    """Edges of bins of length, as powers of ten of a second: whole decades around all recordings."""
    lengths = [seconds for each in found.classes for seconds in each.lengths] or [1.0]
    first = np.floor(np.log10(max(min(lengths), 1e-3)))
    last = max(np.floor(np.log10(max(max(lengths), 1e-3))) + 1, first + 2)
    edges: NDArray[np.float64] = np.linspace(first, last, round(15 * (last - first)) + 1)
    return edges


def _histogram(
    axis: Any, values: Sequence[Sequence[float] | NDArray[np.float64]], edges: NDArray[np.float64]
) -> None:
    """A row of shades for each class; what lies beyond the edges counts into the last bins."""
    counts = np.array(
        [np.histogram(np.clip(np.asarray(row, float), edges[0], edges[-1]), edges)[0] for row in values],
        float,
    )
    share = counts / np.maximum(counts.max(axis=1, keepdims=True), 1)
    extent = (edges[0], edges[-1], len(values) - 0.5, -0.5)
    axis.imshow(share, aspect="auto", cmap="Blues", extent=extent, interpolation="nearest", vmin=0, vmax=1)
