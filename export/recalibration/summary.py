"""What was chosen and what it costs, as a table that fits 80 columns."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from export.calibration.event_report import EventCounts, rate
from export.calibration.grid import level_of
from export.recalibration.recalibrate import Recalibration
from stream.decisions.spec import ClassRule
from stream.printable import printable

_LABEL_WIDTH = 14


def summary_table(found: Recalibration) -> Table:
    """Each class with the card's rule and the new one: level, false alarms and their bound, events found, delay."""
    unit = found.budget.unit
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("class", max_width=_LABEL_WIDTH, overflow="ellipsis", no_wrap=True)
    for name in (
        "level",
        "false",
        f"at most/{unit}",
        "found",
        "delay",
        "was: level",
        "false",
        "found",
        "delay",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for label in found.chosen:
        new, old = found.after.classes[label], found.before.classes[label]
        table.add_row(
            escape(printable(label)),
            _level(found.rules.rule(label)),
            _false(new, found.after.judged),
            rate(found.promise_of(label).at_most_per_hour * found.budget.hours),
            *_events(new),
            _level(found.was.rule(label)),
            _false(old, found.before.judged),
            *_events(old),
        )
    return table


def summary_caption(found: Recalibration) -> str:
    """What the columns of ``summary_table`` mean."""
    return (
        f"level: score to reach; false: alarms in the {found.hours:.3g} h without events; at most: of the class by "
        "itself, with 95 % confidence; found: of the labelled events; delay: median; was: the model's own rules."
    )


def _level(rule: ClassRule) -> str:
    return f"{level_of(rule):.4g}"


def _false(counts: EventCounts, kinds: tuple[str, ...]) -> str:
    return str(sum(counts.false[kind] for kind in kinds))


def _events(counts: EventCounts) -> list[str]:
    if not counts.events:
        return ["", ""]
    delay = counts.delay()
    return [f"{counts.found}/{counts.events}", "" if delay is None else f"{delay:.2f}s"]
