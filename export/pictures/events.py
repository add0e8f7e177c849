"""Found, missed and doubled events by class; false alarms an hour by kind of sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.calibration.event_report import EventReport, rate
from export.pictures.canvas import DOUBLED, FALSE, FOUND, GREY, MISSED, blank, make_figure, save, short
from stream.decisions.poisson import upper_bound


def draw_events(report: EventReport, path: Path) -> None:
    """Bars of the share found, missed and doubled by class, and of false events an hour with their 95 % bound."""
    heights = max(len(report.classes), len(report.hours)) + 1
    figure = make_figure(10, max(3.2, 0.36 * heights + 1.4))
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _classes(left, report)
    _kinds(right, report)
    save(figure, path)


def _classes(axes: Any, report: EventReport) -> None:
    rows = [(label, counts) for label, counts in report.classes.items() if counts.events]
    if not rows:
        blank(axes, "no events in these recordings")
        return
    rows.append(("all", report.total))
    for place, (_, counts) in enumerate(rows):
        found, missed, doubled = (
            100 * n / counts.events for n in (counts.found, counts.missed, counts.doubled)
        )
        axes.barh(place, found, color=FOUND, height=0.7)
        axes.barh(place, missed, left=found, color=MISSED, height=0.7)
        axes.barh(place, doubled, left=102, color=DOUBLED, height=0.7)
        delay = counts.delay()
        late = "" if delay is None else f", {delay:.2f} s"
        inside = found > 30
        axes.text(
            1 if inside else found + 1, place, f"{counts.found} of {counts.events}{late}", va="center",
            fontsize=8, color="white" if inside else "black",
        )  # fmt: skip
        if counts.doubled:
            axes.text(103 + doubled, place, str(counts.doubled), va="center", fontsize=8, color=DOUBLED)
    most = max(counts.doubled / counts.events for _, counts in rows)
    axes.set_yticks(range(len(rows)), [short(label) for label, _ in rows])
    axes.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
    axes.set(xlim=(0, 112 + 100 * most), ylim=(len(rows) - 0.4, -0.6))
    for colour, name in ((FOUND, "found, median delay"), (MISSED, "missed"), (DOUBLED, "reported again")):
        axes.barh(0, 0, color=colour, label=name)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8, frameon=False)


def _kinds(axes: Any, report: EventReport) -> None:
    kinds = [kind for kind, hours in report.hours.items() if hours]
    if not kinds:
        blank(axes, "no sound")
        return
    total, tops = report.total.false, []
    for place, kind in enumerate(kinds):
        per_hour, most = total[kind] / report.hours[kind], upper_bound(total[kind], report.hours[kind])
        tops.append(most)
        axes.plot([per_hour, most], [place, place], color=GREY, linewidth=1.2)
        axes.plot([most], [place], "|", color=GREY, ms=8)
        axes.barh(place, per_hour, color=FALSE, height=0.7)
        axes.text(most, place - 0.02, f"  {rate(per_hour)} (at most {rate(most)})", va="center", fontsize=8)
    axes.set_yticks(range(len(kinds)), kinds)
    # Linear to one an hour, then by powers of ten: one kind must not hide the others.
    axes.set_xscale("symlog", linthresh=1, linscale=0.7)
    axes.set(xlim=(0, 200 * max(*tops, 1)), ylim=(len(kinds) - 0.4, -0.6))
    ticks = [0, *(10**power for power in range(7) if 10**power <= 2 * max(*tops, 1))]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_title("false events an hour (with 95 %)", fontsize=9)
