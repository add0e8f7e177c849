"""The report as plain values, for ``--json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from stream.report.false_alarms import FalseAlarms
from stream.report.figures import Figures, HourFigures
from stream.report.verdicts import Key, Verdict, key

REPORT_SCHEMA = 1


def as_data(
    figures: Figures, alarms: Sequence[FalseAlarms], verdicts: Mapping[Key, Verdict]
) -> dict[str, Any]:
    """JSON-ready; times as RFC 3339 with the local offset from UTC, levels in dBFS, everything else in seconds."""
    return {
        "schema": REPORT_SCHEMA,
        "history": figures.path,
        "sources": figures.sources,
        "labels": figures.labels,
        "total": _part(figures.total),
        "days": [
            {
                "date": day.day.date.isoformat(),
                **_part(day.total),
                "hours": [_part(hour) for hour in day.hours],
            }
            for day in figures.days
        ],
        "false_alarms_per_hour": [
            {
                "label": each.label or None,
                "promised": each.promised,
                "observed": each.observed,
                "at_least": each.at_least,
                "at_most": each.at_most if math.isfinite(each.at_most) else None,
                "events": each.events,
                "reviewed": each.reviewed,
                "wrong": each.wrong,
                "standing": each.standing or None,
            }
            for each in alarms
        ],
        "events": [
            {
                "label": event.label,
                "onset": _time(event.onset),
                "offset": None if event.is_on else _time(event.offset),
                "seconds": round(event.seconds, 3),
                "peak": event.peak,
                "mean": event.mean,
                "cut": event.cut,
                "verdict": verdicts.get(key(event)),
                "source": event.run.source,
                "model": event.run.model,
                "clip": event.clip,
            }
            for event in figures.events
        ],
        "lost": [
            {
                "start": _time(gap.start),
                "seconds": round(gap.seconds, 3),
                "reason": gap.reason,
                "open": gap.is_open,
            }
            for day in figures.days
            for gap in day.gaps
        ],
        "marks": [{"at": _time(mark.at), "text": mark.text} for day in figures.days for mark in day.marks],
    }


def _part(part: HourFigures) -> dict[str, Any]:
    return {
        "start": _time(part.start),
        "end": _time(part.end),
        "heard": round(part.heard, 3),
        "lost": round(part.lost, 3),
        "mean_dbfs": None if part.mean_dbfs is None else round(part.mean_dbfs, 2),
        "max_dbfs": part.max_dbfs,
        "events": {label: count for label, count in part.events.items() if count},
        "seconds": {label: round(seconds, 3) for label, seconds in part.seconds.items() if seconds},
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
