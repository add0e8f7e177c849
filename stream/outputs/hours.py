"""Hours of the day and days of the week, by the wall clock here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
_SPAN = re.compile(r"\s*(\d{1,2})(?::(\d\d))?\s*-\s*(\d{1,2})(?::(\d\d))?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of the day, in minutes since midnight: [start, end). One that ends before it starts goes over midnight."""

    start: int
    end: int


def read_hours(text: str) -> Hours:
    """ "22:00-07:00" or "8-18".

    Raises:
        ValueError: it is neither.
    """
    found = _SPAN.fullmatch(text)
    if found is not None:
        start, end = (60 * int(found[i]) + int(found[i + 1] or 0) for i in (1, 3))
        minutes_fit = all(int(found[i] or 0) < 60 for i in (2, 4))
        if minutes_fit and start < MINUTES_A_DAY and end <= MINUTES_A_DAY and start != end:
            return Hours(start, end)
    raise ValueError(f"{text!r}: want hours such as 22:00-07:00, from one time to another one")


def read_days(text: str) -> frozenset[int]:
    """ "sat" or "mon-fri": numbers of days, Monday is 0. "fri-mon" goes over the end of the week.

    Raises:
        ValueError: it is neither.
    """
    first, dash, last = (part.strip().lower() for part in text.partition("-"))
    try:
        low, high = DAYS.index(first), DAYS.index(last if dash else first)
    except ValueError:
        raise ValueError(f"{text!r}: want days such as sat or mon-fri, of {', '.join(DAYS)}") from None
    return frozenset(day % 7 for day in range(low, high + 1 + 7 * (high < low)))


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something may be done.

    Attributes:
        hours: any of them; none = at any hour.
        days: numbers from Monday = 0. Hours that go over midnight belong to the day on which they start.
    """

    hours: tuple[Hours, ...] = ()
    days: frozenset[int] = frozenset(range(7))

    def includes(self, moment: datetime) -> bool:
        """Whether a moment, as the wall clock shows it, is within. Only its hour, minute and date are looked at, so
        an hour that the clocks skip does not come, and one that they repeat comes twice."""
        minute, day = 60 * moment.hour + moment.minute, moment.weekday()
        if not self.hours:
            return day in self.days
        for span in self.hours:
            if span.start < span.end:
                if span.start <= minute < span.end and day in self.days:
                    return True
            elif (minute >= span.start and day in self.days) or (
                minute < span.end and (day - 1) % 7 in self.days
            ):
                return True
        return False
