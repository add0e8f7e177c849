"""The report as one HTML file: pictures and tables, no script, nothing loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stream._version import __version__
from stream.dashboard import palette
from stream.logbook.contents import HeardEvent
from stream.report.day_pictures import DayPicture, curve_svg
from stream.report.days import zone_name
from stream.report.drawing import safe
from stream.report.false_alarms import FalseAlarms
from stream.report.figures import DayFigures, Figures, HourFigures
from stream.report.verdicts import Key, Verdict, key
from stream.report.words import (
    alarm_caption,
    clock,
    date_and_clock,
    days_text,
    dbfs,
    hourly,
    length,
    long_date,
)

MOST_EVENTS = 1000  # in the list of a page
MOST_CURVES = 400  # with their scores drawn
MOST_TROUBLES = 200
SHOWN_GAP_SECONDS = 1.0
ALL_ROW = ' class="all"'
STANDINGS = {"kept": "kept", "broken": "broken", "open": "not certain yet", "": ""}


def page(figures: Figures, alarms: Sequence[FalseAlarms], verdicts: Mapping[Key, Verdict]) -> str:
    """The whole document."""
    days = figures.days
    first, last = days[0].day, days[-1].day
    title = long_date(first) if len(days) == 1 else f"{long_date(first)} to {long_date(last)}"
    empty = all(day.is_empty for day in days)
    body = [*_head(figures, title)]
    if empty:
        body.append("<p>Nothing was recorded in this time.</p>")
    else:
        body += _facts(figures)
        if len(days) == 1:
            body += [*_day(days[0], figures.labels, alone=True), *_classes(figures, verdicts)]
        else:
            body += [*_classes(figures, verdicts), *_days(figures)]
            for day in days:
                if not day.is_empty:
                    body += _day(day, figures.labels, alone=False)
        body += [*_alarms(figures, alarms), *_troubles(figures), *_events(figures, verdicts)]
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8") + _colours(len(figures.labels))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Heard: {safe(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + f"\n</main>\n<footer>Made by stream-classify {safe(__version__)} on "
        f"{safe(date_and_clock(figures.now))} from {safe(figures.path)}</footer>\n</body>\n</html>\n"
    )


def _colours(classes: int) -> str:
    """A colour for each class, on either ground."""

    def rules(accents: Sequence[str]) -> str:
        hues = accents[:-1]
        return "".join(
            f".c{i} {{ fill: {hues[i % len(hues)]}; stroke: none; }} .curve.c{i} {{ fill: none; "
            f"stroke: {hues[i % len(hues)]}; }} .d{i} {{ background: {hues[i % len(hues)]}; }}\n"
            for i in range(classes)
        )

    dark = rules(palette.DARK.full)
    return f"{rules(palette.LIGHT.full)}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _head(figures: Figures, title: str) -> Iterator[str]:
    day = figures.days[0].day
    yield f"<h1>{safe(title)}</h1>"
    models = ", ".join(sorted({run.model for run in figures.runs}))
    heard = f"{', '.join(figures.sources)} · model {models} · " if figures.sources else ""
    yield f'<p class="quiet">{safe(heard)}local time ({safe(zone_name(day.start))})</p>'
    for each in figures.days:
        hours = each.day.seconds / 3600
        if round(hours) != 24:
            yield f'<p class="quiet">{safe(long_date(each.day))}: the clocks change, the day has {hours:g} hours.</p>'
    if any(not run.live for run in figures.runs):
        yield '<p class="quiet">Of recordings, times count from when they were read.</p>'


def facts(figures: Figures) -> list[tuple[str, str]]:
    """What it comes to in a few numbers: what, and how much."""
    total, whole = figures.total, sum(day.day.seconds for day in figures.days)
    return [
        ("listened", f"{length(total.heard)} of {length(whole)}"),
        ("events", str(sum(total.events.values()))),
        ("sound lost", length(total.lost)),
        ("mean level", dbfs(total.mean_dbfs)),
        ("loudest", dbfs(total.max_dbfs)),
    ]


def _facts(figures: Figures) -> Iterator[str]:
    cells = "".join(
        f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in facts(figures)
    )
    yield f'<dl class="facts">{cells}</dl>'


def _classes(figures: Figures, verdicts: Mapping[Key, Verdict]) -> Iterator[str]:
    rows = []
    for number, label in enumerate(figures.labels):
        events = [event for event in figures.events if event.label == label]
        said = [verdicts[key(event)] for event in events if key(event) in verdicts]
        rows.append(
            [
                f'<span class="dot d{number}"></span>{safe(label)}',
                str(figures.total.events[label]),
                safe(length(figures.total.seconds[label])),
                safe(length(max(event.seconds for event in events))) if events else "",
                f"{max(event.peak for event in events):.2f}" if events else "",
                *([f"{said.count('wrong')} of {len(said)}" if said else ""] if verdicts else []),
            ]
        )
    head = ["class", "events", "time", "longest", "strongest", *(["judged wrong"] if verdicts else [])]
    yield "<h2>Classes</h2>"
    yield _table(head, rows, "Time: at the threshold or above. Strongest: the highest smoothed probability.")


def _days(figures: Figures) -> Iterator[str]:
    rows = []
    for part in figures.rows():
        name, day = safe(days_text(part[0].day, part[-1].day)), part[0]
        if day.is_empty:
            rows.append([name, "no data", "", "", *("" for _ in figures.labels)])
            continue
        cells = [safe(length(day.total.heard)), safe(dbfs(day.total.mean_dbfs)), safe(length(day.total.lost))]
        rows.append([name, *cells, *(str(day.total.events[label]) for label in figures.labels)])
    yield "<h2>Days</h2>"
    yield _wide(_table(["day", "listened", "level", "lost", *map(safe, figures.labels)], rows), "days")


def _day(day: DayFigures, labels: Sequence[str], *, alone: bool) -> Iterator[str]:
    yield f"<h2>{'Timeline' if alone else safe(long_date(day.day))}</h2>"
    yield (
        f"<figure>{_wide(DayPicture(day, labels).svg(), 'picture of the day')}"
        "<figcaption>Bars are events; grey: not listening; red: sound lost; dashed: marked moments. "
        "Level: root mean square of each minute, and behind it "
        "the loudest tenth of a second.</figcaption></figure>"
    )
    rows = [_hour(hour, labels) for hour in day.hours if hour.heard or hour.lost or hour.events]
    table = _table(["hour", "listened", "lost", "level", "loudest", *map(safe, labels)], rows)
    yield f"<details><summary>By hour</summary>{_wide(table, 'hours')}</details>"


def _hour(hour: HourFigures, labels: Sequence[str]) -> list[str]:
    return [
        safe(hour.name),
        safe(length(hour.heard)),
        safe(length(hour.lost)) if hour.lost >= 0.05 else "",
        safe(dbfs(hour.mean_dbfs)),
        safe(dbfs(hour.max_dbfs)),
        *(str(hour.events[label] or "") for label in labels),
    ]


def _alarms(figures: Figures, alarms: Sequence[FalseAlarms]) -> Iterator[str]:
    yield "<h2>False alarms an hour</h2>"
    told = [each for each in alarms if each.promised is not None or each.reviewed]
    if not told:
        yield (
            '<p class="quiet">The model\'s card promises nothing for the rules in force, and no clip was reviewed.</p>'
        )
        return
    rows = [
        [
            safe(each.label) or "all",
            hourly(each.promised),
            hourly(each.observed),
            hourly(each.at_least),
            hourly(each.at_most),
            f"{each.reviewed} of {each.events}",
            f'<span class="{each.standing}">{safe(STANDINGS[each.standing])}</span>',
        ]
        for each in told
    ]
    yield _table(
        ["class", "promised", "observed", "at least", "at most", "reviewed", "promise"],
        rows,
        alarm_caption(figures.total.heard),
    )


def _troubles(figures: Figures) -> Iterator[str]:
    found = [
        (
            gap.start,
            "sound lost",
            f"{length(gap.seconds)}{' so far' if gap.is_open else ''} ({gap.reason})",
            gap.run.source,
        )
        for day in figures.days
        for gap in day.gaps
        if gap.seconds >= SHOWN_GAP_SECONDS
    ]
    found += [
        (state.at, state.state, state.detail, state.run.source)
        for day in figures.days
        for state in day.states
    ]
    found += [(mark.at, "marked", mark.text, mark.run.source) for day in figures.days for mark in day.marks]
    if not found:
        return
    rows = [
        [safe(date_and_clock(at)), safe(what), safe(detail), safe(source)]
        for at, what, detail, source in sorted(set(found))[:MOST_TROUBLES]
    ]
    left = f"; the first {MOST_TROUBLES} of {len(found)}" if len(found) > MOST_TROUBLES else ""
    yield "<h2>Gaps, states and marks</h2>"
    table = _table(["time", "what", "detail", "source"], rows, f"gaps of a second and more{left}", left=True)
    yield _wide(table, "gaps, states and marks")


def _events(figures: Figures, verdicts: Mapping[Key, Verdict]) -> Iterator[str]:
    events = figures.events
    time = clock if len(figures.days) == 1 else date_and_clock
    have_clips = any(event.clip for event in events)
    rows = []
    for place, event in enumerate(events[:MOST_EVENTS]):
        number = figures.labels.index(event.label) if event.label in figures.labels else 0
        rows.append(
            [
                safe(time(event.onset)),
                f'<span class="dot d{number}"></span>{safe(event.label)}',
                safe("still on" if event.is_on else length(event.seconds) + (", cut" if event.cut else "")),
                f"{event.peak:.2f}",
                curve_svg(event, _threshold(event), f"c{number}") if place < MOST_CURVES else "",
                *([safe(verdicts.get(key(event), ""))] if verdicts else []),
                *([safe(Path(event.clip).name) if event.clip else ""] if have_clips else []),
            ]
        )
    left = (
        f" The first {MOST_EVENTS} of {len(events)}; --csv writes all." if len(events) > MOST_EVENTS else ""
    )
    head = ["onset", "class", "length", "peak", "probability"]
    head += [*(["verdict"] if verdicts else []), *(["clip"] if have_clips else [])]
    yield "<h2>Events</h2>"
    table = _table(
        head,
        rows,
        "Probability from two seconds before the onset on; shaded: the event; dashed: the threshold.",
        left=True,
    )
    yield f"<details><summary>{len(events)} events.{left}</summary>{_wide(table, 'events')}</details>"


def _wide(content: str, name: str) -> str:
    """What may be wider than a small screen, and can be scrolled by keys too."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{safe(name)}">{content}</div>'


def _threshold(event: HeardEvent) -> float | None:
    """Of the rule in force, as the history has it."""
    try:
        value = json.loads(event.rule).get("threshold")
    except (ValueError, AttributeError, RecursionError):
        return None
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", *, left: bool = False
) -> str:
    """A table; cells are HTML."""
    look = ' class="left"' if left else ""
    names = "".join(f'<th scope="col"{look}>{name}</th>' for name in head)
    lines = "".join(
        f'<tr{ALL_ROW if row[0] == "all" else ""}><th scope="row">{row[0]}</th>'
        + "".join(f"<td{look}>{cell}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    words = f"<caption>{safe(caption)}</caption>" if caption else ""
    return f"<table>{words}<thead><tr>{names}</tr></thead>\n<tbody>\n{lines}</tbody></table>"
