"""A day drawn: when each class was there, how loud it was, how many events each hour had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.logbook.contents import HeardEvent
from stream.report.days import HOUR_SECONDS
from stream.report.drawing import line, path, picture, rectangle, words
from stream.report.figures import DayFigures
from stream.report.words import clock, dbfs, length, long_date

WIDTH, LEFT, RIGHT = 1000.0, 116.0, 12.0
ROW, ROW_GAP = 22.0, 6.0
LEVEL_HEIGHT, BARS_HEIGHT = 84.0, 96.0
AXIS, SPACE = 26.0, 36.0
LEVELS_DBFS = (0, -20, -40, -60, -80)
LEVEL_POINTS = 480  # of a curve of levels: three minutes each
LEAST_WIDTH = 1.6  # of an event, so that a short one can be seen
MOST_TIPS = 3000  # events with words of their own; more are drawn without
CURVE_POINTS = 90  # drawn of the scores around an event
LABEL_CHARACTERS = 15


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of a day in which nothing was heard.

    Attributes:
        start, end: seconds since 1970.
        lost: sound was lost in it; otherwise nothing was listened to.
        words: the same for people.
    """

    start: float
    end: float
    lost: bool
    words: str


def not_heard(figures: DayFigures) -> Iterator[Band]:
    """Where nothing was listened to, and where sound was lost, by minutes."""
    lost = (figures.lost > 30) & (figures.heard < 30)
    for there, what in ((figures.heard == 0) & ~lost, "not listening"), (lost, "sound lost"):
        for begin, end in _stretches(there):
            start, stop = figures.day.start + 60 * begin, min(figures.day.start + 60 * end, figures.day.end)
            words_of_it = f"{what} from {clock(start)} for {length(stop - start)}"
            yield Band(start, stop, there is lost, words_of_it)


def level_curve(figures: DayFigures) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Minutes behind each point, and (P,) mean and loudest level, dBFS; NaN without sound."""
    step = max(1, -(-len(figures.mean_dbfs) // LEVEL_POINTS))
    return step, _maxima(figures.mean_dbfs, step), _maxima(figures.max_dbfs, step)


class DayPicture:
    """Draws one day.

    Args:
        figures: of the day.
        labels: of the classes, in the order of their rows and colours.
    """

    def __init__(self, figures: DayFigures, labels: Sequence[str]) -> None:
        self._figures, self._labels = figures, labels
        self._day = figures.day
        self._scale = (WIDTH - LEFT - RIGHT) / self._day.seconds

    def svg(self) -> str:
        """Everything over one axis of time."""
        figures, rows = self._figures, len(self._labels)
        bottom_of_rows = AXIS + rows * (ROW + ROW_GAP)
        level_top = bottom_of_rows + SPACE
        bars_top = level_top + LEVEL_HEIGHT + SPACE
        height = bars_top + BARS_HEIGHT + AXIS
        tops = [AXIS + number * (ROW + ROW_GAP) for number in range(rows)]
        shapes = list(self._axis(height))
        shapes += [rectangle(LEFT, y, WIDTH - LEFT - RIGHT, ROW, "track") for y in tops]
        shapes += self._not_heard(AXIS, level_top + LEVEL_HEIGHT)
        for number, (label, y) in enumerate(zip(self._labels, tops, strict=True)):
            shapes += self._row(number, label, y)
        shapes += self._level(level_top)
        shapes += self._bars(bars_top)
        shapes += self._marks(AXIS, bars_top + BARS_HEIGHT)
        counts = ", ".join(f"{label} {figures.total.events[label]}" for label in self._labels)
        return picture(
            WIDTH,
            height,
            f"Timeline of {long_date(self._day)}",
            f"Events: {counts or 'none'}. Level {dbfs(figures.total.mean_dbfs)}. The tables below say the same.",
            shapes,
        )

    def _x(self, seconds: float) -> float:
        return LEFT + (min(max(seconds, self._day.start), self._day.end) - self._day.start) * self._scale

    def _axis(self, height: float) -> Iterator[str]:
        for number, hour in enumerate(self._figures.hours):
            x = self._x(hour.start)
            yield line(x, AXIS - 4, x, height - AXIS, "grid" if number % 3 else "grid strong")
            if number % 3 == 0:
                name = hour.name if ":" in hour.name else f"{hour.name}:00"
                yield words(x, AXIS - 10, name, "axis", "start" if number == 0 else "middle")
        yield line(WIDTH - RIGHT, AXIS - 4, WIDTH - RIGHT, height - AXIS, "grid strong")
        yield words(WIDTH - RIGHT, AXIS - 10, "24:00", "axis", "end")

    def _not_heard(self, top: float, bottom: float) -> Iterator[str]:
        """Where nothing was listened to, and where sound was lost."""
        for band in not_heard(self._figures):
            x, look = self._x(band.start), "lost" if band.lost else "absent"
            yield rectangle(x, top, self._x(band.end) - x, bottom - top, look, band.words)

    def _row(self, number: int, label: str, y: float) -> Iterator[str]:
        short = label if len(label) <= LABEL_CHARACTERS else label[: LABEL_CHARACTERS - 1] + "…"
        yield words(LEFT - 10, y + ROW / 2 + 4.5, short, "label", "end")
        events = [event for event in self._figures.events if event.label == label]
        tips = len(self._figures.events) <= MOST_TIPS
        for event in events:
            x = self._x(event.onset)
            width = max(LEAST_WIDTH, self._x(event.offset) - x)
            yield rectangle(x, y + 2, width, ROW - 4, f"c{number}", event_words(event) if tips else "")

    def _level(self, top: float) -> Iterator[str]:
        bottom = top + LEVEL_HEIGHT

        def y(level: float) -> float:
            return (
                top + LEVEL_HEIGHT * (LEVELS_DBFS[0] - min(max(level, LEVELS_DBFS[-1]), 0)) / -LEVELS_DBFS[-1]
            )

        yield words(LEFT - 10, top - 15, "level, dBFS", "label", "end")
        for level in LEVELS_DBFS:
            yield line(LEFT, y(level), WIDTH - RIGHT, y(level), "grid")
            yield words(LEFT - 10, y(level) + 4, str(level), "axis", "end")
        step, mean, loudest = level_curve(self._figures)
        for begin, end in _stretches(~np.isnan(mean)):
            at = [self._x(self._day.start + 60 * step * (i + 0.5)) for i in range(begin, end)]
            high = [(x, y(v)) for x, v in zip(at, loudest[begin:end], strict=True)]
            low = [(x, y(v)) for x, v in zip(at, mean[begin:end], strict=True)]
            yield path([*high, *reversed(low)], "loudest", closed=True)
            yield path([(at[0], bottom), *low, (at[-1], bottom)], "mean", closed=True)

    def _bars(self, top: float) -> Iterator[str]:
        """Events that began in each hour, classes on top of each other."""
        bottom = top + BARS_HEIGHT
        totals = [sum(hour.events.values()) for hour in self._figures.hours]
        most = max(1, *totals)
        yield words(LEFT - 10, top - 9, "events an hour", "label", "end")
        yield words(LEFT - 10, top + 8, str(most), "axis", "end")
        yield words(LEFT - 10, bottom, "0", "axis", "end")
        yield line(LEFT, bottom, WIDTH - RIGHT, bottom, "grid strong")
        for hour, total in zip(self._figures.hours, totals, strict=True):
            left = self._x(hour.start) + 3
            width = (hour.end - hour.start) * self._scale - 6
            y = bottom
            for number, label in enumerate(self._labels):
                count = hour.events[label]
                if count:
                    high = BARS_HEIGHT * count / most
                    y -= high
                    tip = f"{count} × {label}, {hour.name} h"
                    yield rectangle(left, y, width, high, f"c{number}", tip)
            if total and hour.end - hour.start >= HOUR_SECONDS / 2:
                yield words(left + width / 2, bottom + 15, str(total), "axis", "middle")

    def _marks(self, top: float, bottom: float) -> Iterator[str]:
        for mark in self._figures.marks:
            x = self._x(mark.at)
            yield line(x, top - 4, x, bottom, "mark", f"marked at {clock(mark.at)}: {mark.text}")


def event_words(event: HeardEvent) -> str:
    """An event in a few words."""
    end = ", still on" if event.is_on else ", cut" if event.cut else ""
    return f"{event.label} at {clock(event.onset)} for {length(event.seconds)}, peak {event.peak:.2f}{end}"


def curve_svg(event: HeardEvent, threshold: float | None, look: str) -> str:
    """The probability around one event, as a small picture; "" where none was kept."""
    values = event.curve
    if not len(values):
        return ""
    width, height = 180.0, 28.0
    seconds = max(len(values) * event.curve_step, 1e-6)

    def x(at: float) -> float:
        return width * (at - event.curve_start) / seconds

    begin, end = max(0.0, x(0.0)), min(width, x(event.seconds))
    shapes = [rectangle(begin, 0, max(end - begin, 1.0), height, f"{look} faint")]
    if threshold is not None:
        y = height * (1 - threshold)
        shapes.append(line(0, y, width, y, "threshold"))
    step = max(1, len(values) // CURVE_POINTS)
    for start, stop in _stretches(~np.isnan(values)):
        part = _maxima(values[start:stop].astype(np.float64), step)
        points = [
            (width * (start + step * i + 0.5) / len(values), height * (1 - float(v)))
            for i, v in enumerate(part)
        ]
        shapes.append(path(points, f"curve {look}"))
    return picture(width, height, f"Probability of {event.label}", event_words(event), shapes)


def _stretches(there: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Where it is true without a break: first index, and one past the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    yield from zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True)


def _maxima(values: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """The highest of each ``step`` values, NaN where all are."""
    count = -(-len(values) // step)
    padded = np.full(count * step, np.nan)
    padded[: len(values)] = values
    filled = np.where(np.isnan(padded), -np.inf, padded).reshape(count, step).max(axis=1)
    return np.where(np.isinf(filled), np.nan, filled)
