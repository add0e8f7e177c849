"""Lengths, times and rates as text."""

from __future__ import annotations

import math
from datetime import datetime

from stream.report.days import Day


def length(seconds: float) -> str:
    """ "0.4 s", "12 s", "3 min", "1 h 05 min", "23 h"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds else "0 s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02d} min" if rest and hours < 100 else f"{round(minutes / 60)} h"


def clock(seconds: float) -> str:
    """What the local clock showed: 07:05:09."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


def date_and_clock(seconds: float) -> str:
    """2026-11-26 07:05:09, local time."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def long_date(day: Day) -> str:
    """Thursday 26 November 2026."""
    return f"{_WEEKDAYS[day.date.weekday()]} {day.date.day} {_MONTHS[day.date.month - 1]} {day.date.year}"


def short_date(day: Day) -> str:
    """Thu 26 Nov."""
    return f"{_WEEKDAYS[day.date.weekday()][:3]} {day.date.day:2d} {_MONTHS[day.date.month - 1][:3]}"


def hourly(rate: float | None) -> str:
    """A rate an hour, with the digits that mean something."""
    if rate is None:
        return "–"
    if not math.isfinite(rate):
        return "∞"
    if rate == 0:
        return "0"
    return (
        f"{rate:.0f}" if rate >= 99.5 else f"{rate:.{2 if rate < 0.995 else 1}f}" if rate >= 0.01 else "<0.01"
    )


def dbfs(level: float | None) -> str:
    """-41 dBFS."""
    return "–" if level is None else f"{level:.0f} dBFS"


def days_text(first: Day, last: Day) -> str:
    """Thu 26 Nov, or with another last day: 20 Oct to 26 Nov."""
    return (
        short_date(first)
        if first == last
        else f"{short_date(first)[4:].strip()} to {short_date(last)[4:].strip()}"
    )


def alarm_caption(heard: float) -> str:
    """What the columns about false alarms mean, in ``heard`` seconds."""
    return (
        f"In {length(heard)} listened. Observed: clips that were judged wrong. At least and at most: the true rate "
        "with 95 % confidence each (Poisson), if nothing else was false, and if all that was not judged was."
    )


# Not from the locale, which may be any: the rest of the report is English.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
