"""The report on a terminal: 80 columns are enough, and colours only repeat what the words say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from stream.dashboard.ground import ground_of_environment
from stream.dashboard.text import fit
from stream.dashboard.theme import Glyphs, Theme
from stream.printable import printable
from stream.report.days import zone_name
from stream.report.false_alarms import FalseAlarms
from stream.report.figures import DayFigures, Figures, HourFigures
from stream.report.words import alarm_caption, days_text, dbfs, hourly, length, long_date

LABEL_WIDTH = 14
HOUR_CLASSES = 5  # columns of the table of hours; the others are one column together
LOUDEST_DBFS, QUIETEST_DBFS = 0.0, -80.0  # of the level's row


class DayText:
    """Prints a report.

    Args:
        console: to print on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._theme = Theme.of(console, ground_of_environment())
        self._glyphs: Glyphs = self._theme.glyphs

    def show(self, figures: Figures, alarms: Sequence[FalseAlarms]) -> None:
        """All of it."""
        self._head(figures)
        if all(day.is_empty for day in figures.days):
            self._line(self._nothing(figures))
            return
        self._line(self._summary(figures.total, sum(day.day.seconds for day in figures.days)))
        self._line("")
        self._print(self._classes(figures, alarms))
        self._line("")
        if len(figures.days) == 1:
            self._day(figures.days[0], figures.labels)
        else:
            self._days(figures)
        self._alarms(figures, alarms)

    def _head(self, figures: Figures) -> None:
        days, first, last = figures.days, figures.days[0].day, figures.days[-1].day
        title = long_date(first) if len(days) == 1 else f"{long_date(first)} to {long_date(last)}"
        self._line(f"{title}, {zone_name(first.start)}", "bold")
        models = sorted({run.model for run in figures.runs})
        if figures.sources:
            self._line(f"{', '.join(figures.sources)}  (model {', '.join(models)})")
        if len(days) == 1 and round(first.seconds / 3600) != 24:
            self._line(f"the clocks change: the day has {first.seconds / 3600:g} hours")
        for run in figures.runs:
            if not run.live:
                self._line(f"{run.source}: a recording; times count from when it was read", "dim")
                break

    def _nothing(self, figures: Figures) -> str:
        some = "on this day" if len(figures.days) == 1 else "in these days"
        return f"nothing was recorded {some}; --last 30d looks further back"

    def _summary(self, total: HourFigures, whole: float) -> str:
        lost = f", {length(total.lost)} lost" if total.lost >= 0.05 else ""
        level = f"; level {dbfs(total.mean_dbfs)}, loudest {dbfs(total.max_dbfs)}" if total.sound else ""
        return f"listened {length(total.heard)} of {length(whole)}{lost}{level}"

    def _classes(self, figures: Figures, alarms: Sequence[FalseAlarms]) -> Table:
        judged = {each.label: each for each in alarms if each.reviewed}
        table = _table()
        table.add_column("class", max_width=LABEL_WIDTH, overflow="ellipsis", no_wrap=True)
        for name in (
            "events",
            "time",
            "longest",
            "strongest",
            "most in an hour",
            *(["wrong"] if judged else []),
        ):
            table.add_column(name, justify="right", no_wrap=True)
        hours = [(day, hour) for day in figures.days for hour in day.hours]
        for number, label in enumerate(figures.labels):
            events = [event for event in figures.events if event.label == label]
            day, busiest = max(hours, key=lambda each: each[1].events[label])
            most = busiest.events[label]
            when = f"{busiest.name} h" if len(figures.days) == 1 else days_text(day.day, day.day)
            found = judged.get(label)
            table.add_row(
                Text(self._safe(label), self._colour(number)),
                str(figures.total.events[label]),
                length(figures.total.seconds[label]),
                length(max(event.seconds for event in events)) if events else "",
                f"{max(event.peak for event in events):.2f}" if events else "",
                f"{most} ({when})" if most else "",
                *([f"{found.wrong} of {found.reviewed}" if found else ""] if judged else []),
            )
        return table

    def _day(self, day: DayFigures, labels: Sequence[str]) -> None:
        per_hour = max(1, (self._console.width - LABEL_WIDTH - 2) // len(day.hours))
        for row in self._timeline(day, labels, per_hour):
            self._print(row)
        self._line("")
        self._print(self._hours(day, labels))

    def _timeline(self, day: DayFigures, labels: Sequence[str], per_hour: int) -> list[Text]:
        """A row a class: how much of each stretch it was there; then the level."""
        count = per_hour * len(day.hours)
        edges = np.linspace(0, len(day.heard), count + 1).astype(int)
        heard = _sums(day.heard, edges)
        axis = "".join(fit(hour.name, 3 * per_hour, "") for hour in day.hours[::3])
        lines = [Text(fit("", LABEL_WIDTH + 1, "") + axis, "dim")]
        steps = self._glyphs.low_eighths
        for number, label in enumerate(labels):
            share = _sums(day.share.get(label, np.zeros(len(day.heard))), edges)
            cells = "".join(
                self._empty(h)
                if not s
                else steps[max(1, round(math.sqrt(min(1.0, s / max(h, 1.0))) * (len(steps) - 1)))]
                for s, h in zip(share, heard, strict=True)
            )
            lines.append(self._row(label, cells, self._colour(number)))
        lost = _sums(day.lost, edges)
        cells = "".join(
            self._level_cell(_loudest(day.mean_dbfs[a:b]), self._glyphs.gap if gone else self._empty(h))
            for a, b, h, gone in zip(edges[:-1], edges[1:], heard, lost, strict=True)
        )
        lines.append(self._row("level", cells, Style()))
        return lines

    def _level_cell(self, dbfs: float, otherwise: str) -> str:
        if math.isnan(dbfs):
            return otherwise
        steps = self._glyphs.low_eighths
        share = (dbfs - QUIETEST_DBFS) / (LOUDEST_DBFS - QUIETEST_DBFS)
        return steps[max(1, round(min(max(share, 0.0), 1.0) * (len(steps) - 1)))]

    def _empty(self, heard: float) -> str:
        """Listened and nothing there, or not listened at all."""
        return self._glyphs.dot if heard else " "

    def _row(self, label: str, cells: str, style: Style) -> Text:
        row = Text(fit(self._safe(label), LABEL_WIDTH, self._glyphs.ellipsis) + " ")
        row.append(cells, style)
        return row

    def _hours(self, day: DayFigures, labels: Sequence[str]) -> Table:
        """Events that began in each hour; hours in which nothing was listened to are left out."""
        table = _table()
        busy = sorted(labels, key=lambda label: -day.total.events[label])[:HOUR_CLASSES]
        shown = [label for label in labels if label in busy]
        others = [label for label in labels if label not in busy]
        table.add_column("hour", no_wrap=True)
        table.add_column("listened", justify="right", no_wrap=True)
        table.add_column("level", justify="right", no_wrap=True)
        for label in shown:
            table.add_column(
                self._safe(label), justify="right", max_width=10, overflow="ellipsis", no_wrap=True
            )
        if others:
            table.add_column("others", justify="right", no_wrap=True)
        for hour in day.hours:
            if not (hour.heard or hour.lost or hour.events):
                continue
            counts = [hour.events[label] for label in shown]
            if others:
                counts.append(sum(hour.events[label] for label in others))
            cells = [
                Text(str(count) if count else self._glyphs.dot, "" if count else "dim") for count in counts
            ]
            table.add_row(
                hour.name, length(hour.heard), "" if hour.mean_dbfs is None else dbfs(hour.mean_dbfs), *cells
            )
        return table

    def _days(self, figures: Figures) -> None:
        table = _table()
        for name in ("day", "listened", "level", "events"):
            table.add_column(name, justify="left" if name == "day" else "right", no_wrap=True)
        table.add_column("events by hour", no_wrap=True)
        most = max(sum(hour.events.values()) for day in figures.days for hour in day.hours)
        for row in figures.rows():
            day = row[0]
            date = Text(days_text(day.day, row[-1].day))
            if day.is_empty:
                table.add_row(date, Text("no data", "dim"), "", "", "")
                continue
            table.add_row(
                date,
                length(day.total.heard),
                dbfs(day.total.mean_dbfs),
                str(sum(day.total.events.values())),
                "".join(self._bar(hour, most) for hour in day.hours),
            )
        self._print(table)
        self._line("--day DATE shows one of them", "dim")

    def _bar(self, hour: HourFigures, most: int) -> str:
        count, steps = sum(hour.events.values()), self._glyphs.low_eighths
        return steps[max(1, round(count / most * (len(steps) - 1)))] if count else self._empty(hour.heard)

    def _alarms(self, figures: Figures, alarms: Sequence[FalseAlarms]) -> None:
        told = [each for each in alarms if each.promised is not None or each.reviewed]
        self._line("")
        if not told:
            self._line(
                "false alarms: the model's card promises nothing for the rules in force, and no clip was reviewed",
                "dim",
            )
            return
        table = _table()
        table.add_column("false alarms an hour", max_width=20, overflow="ellipsis", no_wrap=True)
        for name in ("promised", "observed", "at least", "at most", "reviewed", ""):
            table.add_column(name, justify="left" if not name else "right", no_wrap=True)
        for each in told:
            table.add_row(
                self._safe(each.label) or "all",
                hourly(each.promised),
                hourly(each.observed),
                hourly(each.at_least),
                hourly(each.at_most),
                f"{each.reviewed} of {each.events}",
                each.standing,
                style="bold" if not each.label else "",
            )
        self._print(table)
        self._line(alarm_caption(figures.total.heard), "dim")

    def _colour(self, number: int) -> Style:
        return self._theme.accent(number)

    def _safe(self, text: str) -> str:
        return printable(text, self._console.encoding)

    def _line(self, text: str, style: str = "") -> None:
        self._print(Text(self._safe(text), style))

    def _print(self, what: Text | Table) -> None:
        self._console.print(what, soft_wrap=False, highlight=False, markup=False)


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def _sums(values: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums between the edges."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(total[edges[1:]] - total[edges[:-1]])


def _loudest(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else math.nan
