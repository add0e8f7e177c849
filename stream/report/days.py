"""Days and hours of the local time zone. A day is from midnight to midnight, whatever the clocks do in between."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date as CalendarDate
from datetime import datetime, timedelta

from stream.errors import UsageError

HOUR_SECONDS = 3600
MOST_DAYS = 366
_EARLIEST, _LATEST = CalendarDate(1971, 1, 1), CalendarDate(5000, 1, 1)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the local time zone; 23 or 25 hours long where the clocks change.

    Attributes:
        date: in the calendar.
        start, end: midnights, seconds since 1970.
    """

    date: CalendarDate
    start: float
    end: float

    @classmethod
    def of(cls, day: CalendarDate) -> Day:
        return cls(day, _midnight(day), _midnight(day + timedelta(days=1)))

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def hours(self) -> list[tuple[str, float, float]]:
        """What the clock shows at the beginning of each hour, and its start and end: 23 to 25 of them.

        In the night in which the clocks go back, one name comes twice.
        """
        starts = [self.start + HOUR_SECONDS * hour for hour in range(-int(-self.seconds // HOUR_SECONDS))]
        return [(clock_hour(start), start, min(start + HOUR_SECONDS, self.end)) for start in starts]


def clock_hour(seconds: float) -> str:
    """ "07", or "07:30" where the clocks have moved by half an hour."""
    moment = datetime.fromtimestamp(seconds)
    return moment.strftime("%H" if moment.minute == 0 else "%H:%M")


def zone_name(seconds: float) -> str:
    """Of the local time zone at that time, as the system calls it: "CET"."""
    return datetime.fromtimestamp(seconds).astimezone().tzname() or "local time"


def chosen_days(day: str | None, last: str | None, now: float) -> list[Day]:
    """The days that ``--day`` or ``--last`` ask for; today without either.

    Raises:
        UsageError: both, or one that cannot be understood.
    """
    if day is not None and last is not None:
        raise UsageError("--day and --last: each says which days; give one of them")
    today = datetime.fromtimestamp(now).date()
    if last is None:
        return [Day.of(_date("today" if day is None else day, today))]
    found = re.fullmatch(r"(\d{1,4})d", last.strip(), re.ASCII)
    count = int(found[1]) if found else 0
    if not 1 <= count <= MOST_DAYS:
        raise UsageError(f"--last {last}: want days, 1d to {MOST_DAYS}d; 7d is today and the six days before")
    return [Day.of(today - timedelta(days=back)) for back in range(count - 1, -1, -1)]


def _date(text: str, today: CalendarDate) -> CalendarDate:
    names = {"today": 0, "yesterday": 1}
    if text.strip() in names:
        return today - timedelta(days=names[text.strip()])
    try:
        found = datetime.strptime(text.strip(), "%Y-%m-%d").date()
    except ValueError:
        found = CalendarDate.min
    if not _EARLIEST <= found <= _LATEST:
        raise UsageError(f"--day {text}: want a date such as 2026-11-26, today or yesterday")
    return found


def _midnight(day: CalendarDate) -> float:
    """Where the clocks skip midnight, the moment at which they do."""
    return datetime(day.year, day.month, day.day).timestamp()
