"""Timeline: half a minute of probabilities, and which columns of stream time a cell shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style

from stream.dashboard.text import TextLine, runs
from stream.dashboard.theme import Theme
from stream.telemetry import Readings

WINDOWS_SECONDS = (
    10.0,
    20.0,
    30.0,
)  # a row shows one of them, at least: the first that holds all of the stream, or the last
QUIET, PASSIVE, ACTIVE, COLD = range(4)  # what a cell is,
GAP = 4  # and, added to it, that samples were lost in it


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """The common time axis of timelines and spectrogram.

    A cell covers ``step`` columns and always the same ones: cells are cut at multiples of the step in
    absolute time, so the picture scrolls by whole cells and does not shimmer.

    Attributes:
        cells: width.
        step: columns a cell.
        starts: (cells + 1,) index of each cell's first column in the arrays of the readings; negative = not kept.
        seconds: a cell's length.
    """

    cells: int
    step: int
    starts: NDArray[np.int64]
    seconds: float

    @classmethod
    def of(cls, readings: Readings, cells: int) -> Axis:
        passed = _columns_passed(readings) * readings.column_seconds
        shown = next((window for window in WINDOWS_SECONDS if passed <= window), WINDOWS_SECONDS[-1])
        step = max(1, -(-round(shown / readings.column_seconds) // max(1, cells)))
        newest = max(readings.newest_column, 0) // step
        kept = readings.timeline.shape[1]
        starts = (np.arange(newest - cells + 1, newest + 2) * step) - (readings.newest_column - kept + 1)
        return cls(cells, step, starts, step * readings.column_seconds)

    def fold(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, W) columns to (N, cells): the highest of each cell; NaN where there is nothing."""
        rows, kept = values.shape
        out = np.full((rows, self.cells * self.step), np.nan, np.float32)
        first, last = int(self.starts[0]), min(int(self.starts[-1]), kept)
        out[:, max(0, -first) : last - first] = values[:, max(0, first) : last]
        folded: NDArray[np.float32] = np.fmax.reduce(out.reshape(rows, self.cells, self.step), axis=2)
        return folded

    def label(self, width: int, theme: Theme) -> TextLine:
        """``width`` = cells + 2: a rule with the seconds written in, "now" at its right end."""
        rule = theme.glyphs.rules[0]
        text = [rule] * width
        shown = self.cells * self.seconds
        every = 5 if shown < 25 else 10
        marks = [(width - 5, " now ")]
        for age in range(every, int(shown) + 1, every):
            word = f" -{age} s "
            marks.append((width - 2 - round(age / self.seconds) - len(word) // 2, word))
        for at, word in marks:
            end = max(0, at) + len(word)
            if at >= -len(word) // 2 and set(text[max(0, at) : end + 1]) == {
                rule
            }:  # else there is no room for it
                text[max(0, at) : end] = word
        return [Segment("".join(text[:width]), theme.quiet)]


def _columns_passed(readings: Readings) -> int:
    """How many columns there are from the first one with anything in it to the newest."""
    heard = ~np.isnan(readings.timeline).all(axis=0) | readings.gaps
    return len(heard) - int(heard.argmax()) if heard.any() else 0


def threshold_row(threshold: float, height: int) -> int | None:
    """Which of ``height`` lines of a class, from the top, its threshold crosses; None where there is no room for it."""
    if height < 2 or np.isnan(threshold):
        return None
    return height - 1 - min(height - 1, int(threshold * height))


def timelines(
    readings: Readings, axis: Axis, indices: list[int], height: int, theme: Theme
) -> list[TextLine]:
    """``height`` lines for each class of ``indices``, each ``axis.cells`` wide.

    The colour is full where an event was on and faint elsewhere. Slashes are lost samples, dots a model that
    is not warm yet; a dashed line is the threshold.
    """
    probs = axis.fold(readings.timeline[indices])
    active = axis.fold(readings.active[indices].astype(np.float32)) > 0
    gaps = axis.fold(readings.gaps[None].astype(np.float32))[0] > 0
    cold = axis.fold(readings.cold[None].astype(np.float32))[0] > 0
    lines: list[TextLine] = []
    for row, index in enumerate(indices):
        threshold = float(readings.thresholds[index])
        lines += curve(probs[row], active[row], gaps, cold, threshold, index, height, theme)
    return lines


def curve(
    probs: NDArray[np.float32],
    active: NDArray[np.bool_],
    gaps: NDArray[np.bool_],
    cold: NDArray[np.bool_],
    threshold: float,
    index: int,
    height: int,
    theme: Theme,
) -> list[TextLine]:
    """``height`` lines of one class.

    Args:
        probs: (cells,), NaN where there is none.
        active, gaps, cold: (cells,): an event is on, samples were lost, the model is not warm.
        threshold: NaN of a class that is never reported.
        index: of the class, for its colour.
    """
    steps = len(theme.glyphs.low_eighths) - 1
    room = height * steps - (height > 1)  # one step of air between tall rows
    known = ~np.isnan(probs)
    level = np.where(known, np.maximum(1, np.rint(np.nan_to_num(probs) * room)), 0).astype(np.uint8)
    kind = np.where(active, ACTIVE, np.where(level > 1, PASSIVE, QUIET))
    kind = np.where(cold & known, COLD, kind)
    kinds = (kind + np.where(gaps, GAP, 0)).astype(np.uint8).tobytes()
    colours = (index, not np.isnan(threshold))
    crossed = threshold_row(threshold, height)
    lines: list[TextLine] = []
    for line, floor in enumerate(range((height - 1) * steps, -1, -steps)):
        height_here = np.clip(level.astype(np.int16) - floor, 0, steps)
        part = height_here.astype(np.uint8).tobytes()
        # The cells before the newest stay as they are until the picture scrolls.
        how = (floor == 0, line == crossed, *colours, theme)
        lines.append(_strip(part[:-1], kinds[:-1], *how) + _strip(part[-1:], kinds[-1:], *how))
    return lines


@lru_cache(maxsize=1024)
def _strip(
    amounts: bytes, kinds: bytes, lowest: bool, crossed: bool, index: int, enabled: bool, theme: Theme
) -> TextLine:
    glyphs = theme.glyphs
    styles = {ACTIVE: theme.accent(index, enabled), PASSIVE: theme.faint(index, enabled), QUIET: theme.quiet}
    cells: list[tuple[str, Style]] = []
    for amount, kind in zip(amounts, kinds, strict=True):
        # Beside a short loss in the same cell, what was heard is still shown.
        if kind >= GAP and amount <= lowest:
            cells.append((glyphs.gap, theme.alarm))
            continue
        kind %= GAP
        if kind == COLD:
            cells.append((glyphs.cold if lowest else glyphs.bar if crossed else " ", theme.quiet))
        elif crossed and amount <= lowest:
            cells.append((glyphs.bar, theme.quiet))
        else:
            cells.append((glyphs.low_eighths[amount], styles[kind]))
    return runs(cells)
