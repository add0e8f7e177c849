"""Days of the local time zone: from midnight to midnight, whatever the clocks do."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.report.days import Day, chosen_days, zone_name

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="time zones by TZ")


class Zone:
    """The process's local time zone, which can be changed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, name: str) -> None:
        self._monkeypatch.setenv("TZ", name)
        time.tzset()


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    with monkeypatch.context() as patch:
        yield Zone(patch)
    time.tzset()


def test_the_day_on_which_clocks_go_forward_has_23_hours(zone: Zone) -> None:
    zone("Europe/Berlin")
    hours = Day.of(date(2026, 3, 29)).hours()
    assert [name for name, _, _ in hours] == [f"{h:02d}" for h in range(24) if h != 2]
    assert hours[-1][2] - hours[0][1] == 23 * 3600


def test_the_day_on_which_clocks_go_back_has_25_hours(zone: Zone) -> None:
    zone("Europe/Berlin")
    day = Day.of(date(2026, 10, 25))
    assert [name for name, _, _ in day.hours()][:5] == ["00", "01", "02", "02", "03"]
    assert day.seconds == 25 * 3600
    assert zone_name(day.start) == "CEST"


def test_clocks_that_move_by_half_an_hour_and_at_midnight(zone: Zone) -> None:
    zone("Australia/Lord_Howe")
    day = Day.of(date(2026, 4, 5))  # back by half an hour
    assert day.seconds == 24.5 * 3600
    assert [end - start for _, start, end in day.hours()][-1] == 1800
    zone("America/Havana")  # forward at midnight: 00:00 does not exist
    day = Day.of(date(2026, 3, 8))
    assert day.seconds == 23 * 3600
    assert day.hours()[0][0] == "01"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "Africa/Cairo"]
    ),
    st.dates(date(2000, 1, 1), date(2035, 1, 1)),
)
def test_days_follow_each_other_without_a_gap(name: str, day: date) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Zone(patch)(name)
        one, other = Day.of(day), Day.of(day + timedelta(days=1))
        assert one.end == other.start
        hours = one.hours()
        assert hours[0][1] == one.start
        assert hours[-1][2] == one.end
        assert all(a[2] == b[1] for a, b in pairwise(hours))
        if one.seconds:  # a day that a country skipped by moving across the date line has none
            shown = datetime.fromtimestamp(one.start, ZoneInfo(name))
            assert shown.date() == day
    time.tzset()


def test_which_days_are_asked_for(zone: Zone) -> None:
    zone("Europe/Berlin")
    now = datetime(2026, 11, 27, 0, 30).timestamp()
    assert [day.date for day in chosen_days(None, None, now)] == [date(2026, 11, 27)]
    assert [day.date for day in chosen_days("yesterday", None, now)] == [date(2026, 11, 26)]
    assert [day.date for day in chosen_days("2026-02-28", None, now)] == [date(2026, 2, 28)]
    assert [day.date.day for day in chosen_days(None, "3d", now)] == [25, 26, 27]


@pytest.mark.parametrize(
    ("day", "last"),
    [
        ("2026-02-30", None), ("tomorrow", None), ("", None), ("26.11.2026", None), ("0001-01-01", None),
        ("9999-12-31", None), (None, "7"), (None, "0d"), (None, "9999d"), (None, ""), (None, "٣d"), ("today", "7d"),
    ],
)  # fmt: skip
def test_what_is_no_day_is_refused(day: str | None, last: str | None) -> None:
    with pytest.raises(UsageError, match=r"--day|--last"):
        chosen_days(day, last, 1.8e9)
