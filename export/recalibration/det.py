"""The table of missed events against false alarms: what another budget would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.markup import escape
from rich.table import Table

from export.calibration.curve import RulePoint
from export.calibration.event_report import rate
from export.calibration.grid import level_of
from export.recalibration.recalibrate import Recalibration
from stream.decisions.poisson import upper_bound
from stream.decisions.spec import ClassRule
from stream.printable import printable

ROWS = 6  # of a class, at most
_LABEL_WIDTH = 14


@dataclass(frozen=True, slots=True)
class DetPoint:
    """A rule on the curve: none that was tried misses less with as few false alarms.

    Attributes:
        rule: of the class.
        false: false alarms in the hours without events, with those of the levels beside it in part.
        found: events, in the same way.
        delay: median seconds; infinite where nothing was found.
        chosen: this is the rule that was chosen.
    """

    rule: ClassRule
    false: float
    found: float
    delay: float
    chosen: bool


def curve(points: Sequence[RulePoint], events: int, chosen: ClassRule) -> list[DetPoint]:
    """The curve of one class, from few false alarms to many; with the chosen rule, wherever it lies.

    Without events, it is the least strict rules for each count of false alarms.
    """
    best: list[RulePoint] = []
    for point in sorted(points, key=lambda p: (p.false, p.missed, level_of(p.rule), p.delay)):
        better = not best or (point.missed < best[-1].missed if events else point.false > best[-1].false)
        if better or point.rule == chosen:
            best.append(point)
    return [DetPoint(p.rule, p.false, events - p.missed, p.delay, p.rule == chosen) for p in best]


def thinned(points: Sequence[DetPoint], most: int = ROWS) -> list[DetPoint]:
    """At most so many of them, with the first, the last and the chosen one."""
    if len(points) <= most:
        return list(points)
    spread = np.unique(np.linspace(0, len(points) - 1, most - 1).round().astype(int)).tolist()
    return [p for i, p in enumerate(points) if i in spread or p.chosen]


def det_table(found: Recalibration) -> Table:
    """Some rows a class: false alarms in a unit of the budget, their bound, events found, delay; > marks the choice."""
    unit = found.budget.unit
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("class", max_width=_LABEL_WIDTH, overflow="ellipsis", no_wrap=True)
    for name in ("", "level", "min on", f"false/{unit}", "at most", "found", "delay"):
        table.add_column(name, justify="right", no_wrap=True)
    for label in found.chosen:
        events = found.after.classes[label].events
        rows = thinned(curve(found.curves[label], events, found.rules.rule(label)))
        for number, point in enumerate(rows):
            table.add_row(
                escape(printable(label)) if not number else "",
                *_cells(point, events, found.hours, found.budget.hours),
                style="bold" if point.chosen else "",
            )
    return table


def _cells(point: DetPoint, events: int, hours: float, unit: float) -> list[str]:
    most = upper_bound(round(point.false), hours) * unit
    return [
        ">" if point.chosen else "",
        f"{level_of(point.rule):.4g}",
        f"{point.rule.min_on:.3g}s",
        rate(point.false / hours * unit) if hours else "",
        rate(most) if hours else "",
        f"{100 * point.found / events:.0f}%" if events else "",
        f"{point.delay:.2f}s" if events and np.isfinite(point.delay) else "",
    ]
