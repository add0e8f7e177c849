"""What days come to: by class, by hour and by minute."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.logbook.contents import HeardEvent, LostSound, Mark, Minute, Run, StateChange
from stream.logbook.reader import HistoryReader
from stream.logbook.sound_level import decibels, mean_square
from stream.report.days import HOUR_SECONDS, Day

MINUTE_SECONDS = 60
MOST_EMPTY_ROWS = 3
SHOWN_ANYWAY = 8  # classes of a model that are shown also without an event


@dataclass(slots=True)
class HourFigures:
    """An hour, or a day, or all of it.

    Attributes:
        name: what the clock shows: "07".
        start, end: seconds since 1970.
        heard, lost: seconds with scores, and in gaps; of several sources together.
        events: label -> how many began.
        seconds: label -> seconds at its threshold or above.
        energy, sound: sum of mean squares times seconds, and seconds behind them.
        max_dbfs: of the loudest tenth of a second; None without sound.
    """

    name: str
    start: float
    end: float
    heard: float = 0.0
    lost: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    energy: float = 0.0
    sound: float = 0.0
    max_dbfs: float | None = None

    @property
    def mean_dbfs(self) -> float | None:
        """Root mean square; None without sound."""
        return decibels(self.energy / self.sound) if self.sound else None

    def add(self, minute: Minute) -> None:
        """Count a minute, without its events: these are counted by their onsets."""
        self.heard += minute.heard
        self.lost += minute.lost
        for label, seconds in minute.seconds.items():
            self.seconds[label] += seconds
        if minute.mean_dbfs is not None and minute.max_dbfs is not None:
            self.energy += mean_square(minute.mean_dbfs) * minute.sound
            self.sound += minute.sound
            self.max_dbfs = max(minute.max_dbfs, -math.inf if self.max_dbfs is None else self.max_dbfs)


@dataclass(slots=True, eq=False)
class DayFigures:
    """One day.

    Attributes:
        total: of the day.
        hours: 23 to 25 of them.
        events: that were on at some time of the day, in order of onset.
        share: label -> (M,) float64, seconds at the threshold or above in each minute of the day.
        heard: (M,) float64, seconds with scores in each minute.
        lost: (M,) float64, seconds in gaps.
        mean_dbfs, max_dbfs: (M,) float64, NaN without sound; the loudest of several sources.
    """

    day: Day
    total: HourFigures
    hours: list[HourFigures]
    events: list[HeardEvent]
    share: dict[str, NDArray[np.float64]]
    heard: NDArray[np.float64]
    lost: NDArray[np.float64]
    mean_dbfs: NDArray[np.float64]
    max_dbfs: NDArray[np.float64]
    gaps: list[LostSound]
    states: list[StateChange]
    marks: list[Mark]

    @property
    def is_empty(self) -> bool:
        """Nothing was listened to, or lost."""
        return not (self.events or self.total.heard or self.total.lost or self.states or self.marks)


@dataclass(slots=True, eq=False)
class Figures:
    """What a report tells.

    Attributes:
        path: of the history.
        sources: that were heard, in alphabetical order.
        runs: that were alive in these days.
        labels: of the classes that are shown, in the models' order.
        days: in order.
        total: of all days.
        events: that were on in these days, in order of onset, each once.
        now: seconds since 1970 when the history was read.
    """

    path: str
    sources: list[str]
    runs: list[Run]
    labels: list[str]
    days: list[DayFigures]
    total: HourFigures
    events: list[HeardEvent]
    now: float

    def rows(self) -> list[list[DayFigures]]:
        """The days as rows of a table: each one its own, but many empty ones in a row together."""
        found: list[list[DayFigures]] = []
        for empty, group in groupby(self.days, key=lambda day: day.is_empty):
            days = list(group)
            found += [days] if empty and len(days) > MOST_EMPTY_ROWS else [[day] for day in days]
        return found


def read_figures(history: HistoryReader, days: Sequence[Day], source: str | None, now: float) -> Figures:
    """Read what a report of these days needs.

    Raises:
        UsageError: no such source.
        HistoryInvalid, OutputError: the file is damaged, or cannot be read.
    """
    if source is not None and source not in history.sources:
        known = ", ".join(history.sources) or "none yet"
        raise UsageError(f"--source {source}: the history has none of this name; it has {known}")
    since, until = days[0].start, days[-1].end
    events = list(history.events(since=since, until=until, source=source))
    by_day = _by_day(events, days)
    figures = [_day(history, day, part, source) for day, part in zip(days, by_day, strict=True)]
    runs = [
        run
        for run in history.runs
        if run.started < until and run.seen >= since and source in (None, run.source)
    ]
    total = HourFigures("all", since, until)
    for day in figures:
        _put_together(total, day.total)
    labels = _shown(runs, total)
    return Figures(
        history.path, sorted({run.source for run in runs}), runs, labels, figures, total, events, now
    )


def _by_day(events: Sequence[HeardEvent], days: Sequence[Day]) -> list[list[HeardEvent]]:
    """The events of each day: one that lasts over midnight is in both."""
    found: list[list[HeardEvent]] = [[] for _ in days]
    ends = [day.end for day in days]
    for event in events:
        for place in range(bisect_right(ends, event.onset), len(days)):
            if place and event.offset < days[place].start:
                break
            found[place].append(event)
    return found


def _day(history: HistoryReader, day: Day, events: list[HeardEvent], source: str | None) -> DayFigures:
    count = math.ceil(day.seconds / MINUTE_SECONDS)
    heard, lost = np.zeros(count), np.zeros(count)
    mean, loudest = np.full(count, np.nan), np.full(count, np.nan)
    share: dict[str, NDArray[np.float64]] = {}
    hours = [HourFigures(name, start, end) for name, start, end in day.hours()]
    # A zone whose offset has seconds puts midnight within a minute: that minute belongs to the day it begins in.
    for minute in history.minutes(since=day.start, until=day.end, source=source):
        at = min(int((minute.start - day.start) // MINUTE_SECONDS), count - 1)
        hours[min(int((minute.start - day.start) // HOUR_SECONDS), len(hours) - 1)].add(minute)
        heard[at] += minute.heard
        lost[at] += minute.lost
        for label, seconds in minute.seconds.items():
            share.setdefault(label, np.zeros(count))[at] += seconds
        if minute.mean_dbfs is not None and minute.max_dbfs is not None:
            mean[at] = np.fmax(mean[at], minute.mean_dbfs)
            loudest[at] = np.fmax(loudest[at], minute.max_dbfs)
    for event in events:
        if event.onset >= day.start:
            hours[min(int((event.onset - day.start) // HOUR_SECONDS), len(hours) - 1)].events[
                event.label
            ] += 1
    total = HourFigures(day.date.isoformat(), day.start, day.end)
    for hour in hours:
        _put_together(total, hour)
    span = {"since": day.start, "until": day.end}
    return DayFigures(
        day, total, hours, events, share, heard, lost, mean, loudest,
        list(history.lost(**span, source=source)),
        list(history.states(**span, source=source)),
        list(history.marks(**span, source=source)),
    )  # fmt: skip


def _put_together(total: HourFigures, part: HourFigures) -> None:
    total.heard += part.heard
    total.lost += part.lost
    total.events.update(part.events)
    for label, seconds in part.seconds.items():
        total.seconds[label] += seconds
    total.energy += part.energy
    total.sound += part.sound
    if part.max_dbfs is not None:
        total.max_dbfs = max(part.max_dbfs, -math.inf if total.max_dbfs is None else total.max_dbfs)


def _shown(runs: Sequence[Run], total: HourFigures) -> list[str]:
    """Classes with something to tell, in the order of the newest model; all of a model that has few."""
    known = list(dict.fromkeys(label for run in reversed(runs) for label in run.labels))
    told = {label for label in (*total.events, *total.seconds) if total.events[label] or total.seconds[label]}
    few = len(known) <= SHOWN_ANYWAY
    return [label for label in known if few or label in told] + sorted(told - set(known))
