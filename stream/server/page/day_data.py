"""A day of a history as JSON for the page: what ``stream-classify report`` computes, in seconds since midnight."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.logbook.contents import HeardEvent
from stream.logbook.reader import HistoryReader
from stream.printable import printable
from stream.report.day_pictures import level_curve, not_heard
from stream.report.days import Day, chosen_days, zone_name
from stream.report.figures import MINUTE_SECONDS, DayFigures, read_figures
from stream.report.page import facts
from stream.report.words import clock, length, long_date
from stream.server.refusals import Refused

MOST_EVENTS = 5000  # the newest ones of a day that has more


def read_day(path: str, name: str, source: str, now: float | None = None) -> dict[str, Any]:
    """Read a day.

    Args:
        path: of the history.
        name: a date such as 2026-11-27, today or yesterday.
        source: only what this one heard; "" is all.
        now: seconds since 1970.

    Raises:
        Refused: no such day or source.
        HistoryInvalid, OutputError, TryAgain: the history cannot be read.
    """
    now = time.time() if now is None else now
    try:
        (day,) = chosen_days(name, None, now)
    except UsageError:
        raise Refused(
            "invalid_day", f"{printable(name)}: want a date such as 2026-11-27, today or yesterday"
        ) from None
    with HistoryReader(path, now) as history:
        if source and source not in history.sources:
            raise Refused(
                "unknown_source", f"{printable(source)}: the history has no source of this name", status=404
            )
        figures = read_figures(history, [day], source or None, now)
        sources = history.sources
    (one,) = figures.days
    labels = figures.labels
    shown = one.events[-MOST_EVENTS:]
    return {
        "date": day.date.isoformat(),
        "name": long_date(day),
        "zone": zone_name(day.start),
        "previous": _date(day.date - timedelta(days=1)),
        "next": _date(day.date + timedelta(days=1)) if day.end <= now else None,
        "seconds": day.seconds,
        "sources": [printable(each) for each in sources],
        "labels": [printable(label) for label in labels],
        "empty": one.is_empty,
        "facts": [{"name": name, "value": value} for name, value in facts(figures)],
        "counts": {printable(label): one.total.events[label] for label in labels},
        "hours": _hours(one),
        "bands": [
            {
                "start": band.start - day.start,
                "end": band.end - day.start,
                "lost": band.lost,
                "words": band.words,
            }
            for band in not_heard(one)
        ],
        "level": _level(one),
        "marks": [
            {"at": mark.at - day.start, "words": f"marked at {clock(mark.at)}: {printable(mark.text)}"}
            for mark in one.marks
        ],
        "events": [_event(event, day, {label: i for i, label in enumerate(labels)}) for event in shown],
        "left_out": len(one.events) - len(shown),
    }


def _date(day: date) -> str:
    return day.isoformat()


def _hours(figures: DayFigures) -> list[dict[str, Any]]:
    return [
        {
            "name": hour.name,
            "start": hour.start - figures.day.start,
            "end": hour.end - figures.day.start,
            "heard": round(hour.heard, 1),
            "lost": round(hour.lost, 1),
            "listened": length(hour.heard),
            "events": {printable(label): count for label, count in hour.events.items() if count},
        }
        for hour in figures.hours
    ]


def _level(figures: DayFigures) -> dict[str, Any]:
    step, mean, loudest = level_curve(figures)
    return {"step": step * MINUTE_SECONDS, "mean": _numbers(mean), "loudest": _numbers(loudest)}


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(value) else round(value, 1) for value in values.tolist()]


def _event(event: HeardEvent, day: Day, index: Mapping[str, int]) -> dict[str, Any]:
    onset = max(0.0, event.onset - day.start)
    return {
        "id": event.number,
        "key": f"{event.run.id}/{event.number}/{event.label}",
        "label": printable(event.label),
        "index": index.get(event.label, -1),
        "source": printable(event.run.source),
        "onset": round(onset, 3),
        "seconds": round(event.offset - day.start - onset, 3),
        "when": clock(event.onset),
        "length": length(event.seconds),
        "peak": round(event.peak, 4),
        "cut": event.cut,
        "on": event.is_on,
        "clip": f"v1/clips/{event.run.id}-{event.number}" if event.clip else None,
    }
