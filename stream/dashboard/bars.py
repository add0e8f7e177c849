"""Bars: one class's probability with its peak and threshold, and the level meter."""

from __future__ import annotations

import math

from rich.segment import Segment
from rich.style import Style

from stream.dashboard.text import PLAIN, TextLine, blank, fit, runs
from stream.dashboard.theme import Theme
from stream.printable import printable
from stream.telemetry import Readings

METER_FLOOR_DBFS = -60.0  # at the left end of the meter
HIGH_LEVEL_DBFS = -6.0  # where it turns yellow


def gauge(share: float, width: int, eighths: str) -> str:
    """A bar of ``share`` (0 to 1) of ``width`` cells, in fractions of a cell."""
    steps = len(eighths) - 1
    filled = round(min(1.0, max(0.0, share)) * width * steps)
    text = eighths[-1] * (filled // steps)
    if filled % steps:
        text += eighths[filled % steps]
    return text + " " * (width - len(text))


def class_bar(
    readings: Readings, index: int, width: int, label_width: int, theme: Theme, *, chosen: bool = False
) -> TextLine:
    """``width`` cells: label, bar, number. The number is in bold while an event of the class is on; all is faint while
    no sound comes. The label of a ``chosen`` class is reversed."""
    glyphs = theme.glyphs
    threshold = float(readings.thresholds[index])
    enabled = not math.isnan(threshold)
    accent = theme.faint(index, enabled) if readings.stale else theme.accent(index, enabled)
    value = float(readings.probs[index])
    on = bool(readings.active[index, -1]) and not readings.stale
    label = fit(printable(readings.labels[index], theme.encoding), label_width, glyphs.ellipsis)
    bar_width = width - label_width - 6
    number = "  – " if math.isnan(value) and glyphs.half else "   -" if math.isnan(value) else f"{value:4.2f}"
    name = theme.quiet if readings.stale else accent + theme.strong if on else accent
    line = [Segment(label, name + Style(reverse=True) if chosen else name), Segment(" ")]
    if bar_width > 0:
        text = gauge(0.0 if math.isnan(value) else value, bar_width, glyphs.left_eighths)
        cells: list[tuple[str, Style]] = [(char, accent) for char in text]
        filled = sum(char != " " for char in text)
        for i in range(filled, bar_width):
            cells[i] = (glyphs.track, theme.quiet)
        peak = min(bar_width - 1, int(float(readings.peaks[index]) * bar_width))
        if readings.peaks[index] > 0.02 and peak >= filled:
            cells[peak] = (glyphs.peak, accent)
        if enabled:
            at = min(bar_width - 1, int(threshold * bar_width))
            if at >= filled:
                cells[at] = (glyphs.threshold, PLAIN)
            else:
                cells[at] = (glyphs.threshold, accent + Style(reverse=True) if glyphs.half else PLAIN)
        line += runs(cells)
    style = theme.quiet if readings.stale else theme.strong if on else PLAIN
    return [*line, Segment(" "), Segment(number, style)]


def class_note(readings: Readings, index: int, width: int, label_width: int, theme: Theme) -> TextLine:
    """``width`` cells under a bar: threshold and peak in numbers."""
    threshold = float(readings.thresholds[index])
    room = width - label_width - 1
    words = "not reported" if math.isnan(threshold) else f"threshold {threshold:.2f}"
    peak = f" {theme.glyphs.dot} peak {float(readings.peaks[index]):.2f}"
    if len(words + peak) <= room:
        words += peak
    return [*blank(label_width + 1), Segment(fit(words, room, theme.glyphs.ellipsis), theme.quiet)]


def level_meter(readings: Readings, width: int, theme: Theme) -> TextLine:
    """``width`` cells: level with peak mark on a scale of -60 to 0 dBFS, and the number; CLIP for the unit."""
    glyphs = theme.glyphs
    if readings.stale:
        words = "   no sound"
        track = glyphs.track * max(0, width - len(words) - 1)
        return [Segment(track, theme.quiet), Segment(" "), Segment(words, theme.quiet)]
    number = f"{readings.rms_dbfs:6.1f} "
    unit = Segment("CLIP", theme.alarm + theme.strong) if readings.clipped else Segment("dBFS")
    bar_width = max(0, width - len(number) - 5)
    text = gauge(1 - readings.rms_dbfs / METER_FLOOR_DBFS, bar_width, glyphs.left_eighths)
    cells: list[tuple[str, Style]] = []
    for i, char in enumerate(text):
        level = METER_FLOOR_DBFS * (1 - (i + 1) / bar_width)
        colour = theme.warning if level > HIGH_LEVEL_DBFS else theme.good
        cells.append((char, colour) if char != " " else (glyphs.track, theme.quiet))
    if bar_width and readings.peak_dbfs > METER_FLOOR_DBFS:
        peak = min(bar_width - 1, int((1 - readings.peak_dbfs / METER_FLOOR_DBFS) * bar_width))
        if text[peak] == " ":
            cells[peak] = (glyphs.peak, PLAIN)
    return [*runs(cells), Segment(" "), Segment(number), unit]
