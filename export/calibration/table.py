"""An event report as a table that fits 80 columns."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from export.calibration.event_report import EventCounts, EventReport, rate
from stream.decisions.poisson import upper_bound
from stream.printable import printable

_LABEL_WIDTH = 14


def event_table(report: EventReport) -> Table:
    """A row for each class, then all of them, hours, and what the true rates stay below."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("events", max_width=_LABEL_WIDTH, overflow="ellipsis", no_wrap=True)
    for name in ("found", "missed", "twice", "delay", "p90", *report.hours):
        table.add_column(name, justify="right", no_wrap=True)
    for label, counts in report.classes.items():
        table.add_row(escape(printable(label)), *_cells(counts, report))
    table.add_row("all", *_cells(report.total, report), style="bold")
    blank = [""] * 5
    table.add_row("  at most", *blank, *(_bound(report, kind) for kind in report.hours), style="dim")
    table.add_row("  heard", *blank, *(_length(hours) for hours in report.hours.values()), style="dim")
    return table


def event_caption(report: EventReport) -> str:
    """What the columns of ``event_table`` mean."""
    own = " own: wrong ones among the data's own recordings." if "own" in report.hours else ""
    return (
        "found: of all events; twice: found and reported again; delay and p90: seconds, median and of nine in "
        f"ten; then false events an hour of such sound; at most: with 95 % confidence, from what was heard.{own}"
    )


def _length(hours: float) -> str:
    return f"{rate(hours)}h" if hours >= 1 else f"{60 * hours:.2g}m"


def _cells(counts: EventCounts, report: EventReport) -> list[str]:
    delay, slow = counts.delay(0.5), counts.delay(0.9)
    return [
        f"{counts.found}/{counts.events}",
        str(counts.missed),
        str(counts.doubled),
        "" if delay is None else f"{delay:.2f}",
        "" if slow is None else f"{slow:.2f}",
        *(rate(counts.false[kind] / hours) if hours else "" for kind, hours in report.hours.items()),
    ]


def _bound(report: EventReport, kind: str) -> str:
    hours = report.hours[kind]
    return rate(upper_bound(report.total.false[kind], hours)) if hours else ""
