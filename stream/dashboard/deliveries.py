"""Deliveries: the status line of the outputs, what is wrong first."""

from __future__ import annotations

from stream.dashboard.text import PLAIN, TextLine, fit
from stream.dashboard.theme import Theme
from stream.dashboard.words import FIGURES_APART, Figure, line_of
from stream.outputs.output_report import OutputReport
from stream.printable import printable
from stream.telemetry import Readings

SHORTEST_REASON = 12  # cells; less says nothing


def delivery_line(readings: Readings, width: int, theme: Theme) -> TextLine:
    """``width`` cells: how each output is doing, and the reason of the first trouble where there is room."""
    line = undelivered(readings, theme)
    well = ", ".join(report.name for report in readings.outputs if not _problem(report))
    if well:
        line.append((printable(well, theme.encoding), "up to date", PLAIN))
    reason = next((report.trouble for report in readings.outputs if report.trouble), "")
    room = width - sum(len(f"{name} {value}") + FIGURES_APART for name, value, _ in line)
    if reason and room >= SHORTEST_REASON:
        line.append(("", fit(printable(reason, theme.encoding), room, theme.glyphs.ellipsis), theme.quiet))
    return line_of(line, width, theme)


def undelivered(readings: Readings, theme: Theme) -> list[Figure]:
    """A figure for each output that cannot deliver, or did not deliver everything."""
    return [
        (printable(report.name, theme.encoding), problem, theme.warning)
        for report in readings.outputs
        if (problem := _problem(report))
    ]


def _problem(report: OutputReport) -> str:
    """What is wrong with an output, in a few words; "" if nothing is."""
    said = []
    if report.trouble:
        said.append("trying again" + (f", {report.waiting} waiting" if report.waiting else ""))
    if lost := report.dropped + report.errors:
        said.append(f"{lost} not delivered")
    return ", ".join(said)
