"""An explanation in the terminal: waveform, spectrogram, a curve for each class, and the reasons below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style

from stream.dashboard.layout import Screen
from stream.dashboard.spectrogram import paint
from stream.dashboard.text import TextLine, clip, fit, runs
from stream.dashboard.theme import Theme
from stream.dashboard.timeline import curve
from stream.printable import printable
from stream.replay.explanation import Explanation
from stream.replay.spectrum import envelope, folded, spectrum
from stream.replay.wording import sentences

LABEL_CELLS, NUMBER_CELLS = 10, 6
WAVE_LINES, SPECTRUM_LINES, CURVE_LINES = 2, 5, 2
MARKS = {"event": "good", "miss": "warning", "gap": "alarm", "mark": "strong", "class": "quiet"}
SIGNS = {"event": "+", "miss": "-", "gap": "/", "mark": "*", "class": "."}


def view(found: Explanation, width: int, theme: Theme, title: str = "") -> Screen:
    """Draw it in ``width`` cells.

    Args:
        title: the first line.
    """
    cells = max(10, width - LABEL_CELLS - NUMBER_CELLS)
    lines: list[TextLine] = []
    if title:
        lines.append([Segment(fit(title, width, theme.glyphs.ellipsis), theme.strong)])
    lines += _beside(_wave(found, cells, theme), "sound", f"{_peak(found):.2f}", theme)
    picture = spectrum(found.sound, found.sample_rate, cells, 4 * SPECTRUM_LINES)
    lines += _beside(paint(picture, SPECTRUM_LINES, theme), "spectrum", _top(found), theme)
    gaps = _covered([(gap.start, gap.end) for gap in found.gaps], found, cells)
    values = folded(found.at, found.averages, found.begin, found.end, cells)
    raw = folded(found.at, found.probs, found.begin, found.end, cells)
    for column, label in enumerate(found.labels):
        cold = np.isnan(values[column]) & ~np.isnan(raw[column])
        shown = np.where(cold, raw[column], values[column])
        on = [
            (event.onset, event.offset if event.offset is not None else round(found.end * found.model_rate))
            for event in found.events
            if event.label == label
        ]
        drawing = curve(
            shown.astype(np.float32),
            _covered(on, found, cells),
            gaps,
            cold,
            float(found.thresholds[column]),
            column,
            CURVE_LINES,
            theme,
        )
        high = shown[~np.isnan(shown)]
        lines += _beside(
            drawing, printable(label, theme.encoding), f"{high.max():.2f}" if len(high) else "-", theme
        )
    lines.append(_ruler(found, cells, theme))
    for kind, text in sentences(found):
        style: Style = getattr(theme, MARKS[kind])
        for number, line in enumerate(textwrap.wrap(text, width - 2) or [""]):
            sign = SIGNS[kind] if number == 0 else " "
            lines.append([Segment(f"{sign} ", style), Segment(printable(line, theme.encoding))])
    lines = [clip(line, width) for line in lines]
    return Screen(lines, width, len(lines))


def _beside(drawing: list[TextLine], label: str, number: str, theme: Theme) -> Iterator[TextLine]:
    """A drawing with its name on the left and a figure on the right, both in its last line."""
    for place, line in enumerate(drawing):
        last = place == len(drawing) - 1
        name = fit(label, LABEL_CELLS - 1, theme.glyphs.ellipsis) if last else " " * (LABEL_CELLS - 1)
        figure = number.rjust(NUMBER_CELLS - 1) if last else " " * (NUMBER_CELLS - 1)
        yield [Segment(name + " "), *line, Segment(" " + figure, theme.quiet)]


def _wave(found: Explanation, cells: int, theme: Theme) -> list[TextLine]:
    """The largest magnitude of each cell, relative to that of the window."""
    low, high = envelope(found.sound, cells)
    size = np.fmax(np.abs(low), np.abs(high))
    known = ~np.isnan(size)
    top = max(float(size[known].max()), 1e-4) if known.any() else 1.0
    glyphs = theme.glyphs
    steps = len(glyphs.low_eighths) - 1
    level = np.where(known, np.rint(np.nan_to_num(size) / top * WAVE_LINES * steps), 0).astype(int)
    lines = []
    for floor in range((WAVE_LINES - 1) * steps, -1, -steps):
        cells_here = [
            (glyphs.low_eighths[min(steps, max(0, int(each) - floor))], theme.quiet)
            if is_known
            else (glyphs.gap, theme.alarm)
            for each, is_known in zip(level, known, strict=True)
        ]
        lines.append(runs(cells_here))
    return lines


def _peak(found: Explanation) -> float:
    known = found.sound[np.isfinite(found.sound)]
    return float(np.abs(known).max()) if len(known) else 0.0


def _top(found: Explanation) -> str:
    return f"{found.sample_rate / 2000:.3g}k"


def _covered(spans: list[tuple[int, int]], found: Explanation, cells: int) -> NDArray[np.bool_]:
    """Which cells spans of samples touch."""
    out = np.zeros(cells, np.bool_)
    scale = cells / (found.end - found.begin)
    for start, stop in spans:
        low = (start / found.model_rate - found.begin) * scale
        high = (stop / found.model_rate - found.begin) * scale
        out[max(0, int(np.floor(low))) : max(0, int(np.ceil(high)))] = True
    return out


def _ruler(found: Explanation, cells: int, theme: Theme) -> TextLine:
    """Seconds of the stream under the drawings."""
    text = [theme.glyphs.rules[0]] * cells
    length = found.end - found.begin
    step = next(
        (each for each in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300, 600) if length / each <= cells / 10), 3600
    )
    second = np.ceil(found.begin / step) * step
    while second < found.end:
        word = f" {second:g} s "
        at = int((second - found.begin) / length * cells) - len(word) // 2
        if 0 <= at <= cells - len(word):
            text[at : at + len(word)] = word
        second = round(second + step, 6)
    return [Segment(" " * LABEL_CELLS), Segment("".join(text), theme.quiet)]
