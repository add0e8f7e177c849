"""Rules of acting: which events an output is told of. The same for every output, as the settings file has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stream.errors import SpecError
from stream.outputs.hours import Hours, Schedule, read_days, read_hours
from stream.quantities import duration_seconds, level_dbfs

TOGETHER = "at-least and within belong together: at-least = 3 with within = '10m', or neither of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingRule:
    """Which events an output is told of: those that meet all of it.

    Events are counted for each class by itself; for several classes together, make a group of them. Counts and
    pauses go by the time of the sound, hours and days by the wall clock.

    Attributes:
        classes: only these; none = all.
        hours, days: only then, see `Schedule`.
        schedule: names of schedules, any of which must include the moment and be switched on; none = always.
        at_least: how many events of the class must have begun within the last ``within`` seconds, with this one.
        within: seconds.
        cooldown: seconds after the beginning of an event that was told of, in which no other one of its class is.
        first_of_day: only the first of its class on each day.
        score: only where the probability has reached this when the event begins.
        level: only where a tenth of a second of the event, when it begins, is as loud as this, dBFS (RMS).
    """

    classes: frozenset[str] = frozenset()
    hours: tuple[Hours, ...] = ()
    days: frozenset[int] = frozenset(range(7))
    schedule: tuple[str, ...] = ()
    at_least: int = 1
    within: float | None = None
    cooldown: float = 0.0
    first_of_day: bool = False
    score: float = 0.0
    level: float | None = None

    def __post_init__(self) -> None:
        if self.at_least > 1 and self.within is None:
            raise SpecError(TOGETHER)

    @property
    def when(self) -> Schedule:
        """Hours and days."""
        return Schedule(self.hours, self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingRules:
    """The rules for all outputs of a run. Values are by field of `ActingRule`.

    Attributes:
        every: for every output.
        outputs: name of an output -> what is different for it.
        schedules: by name.
    """

    every: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)

    def rule(self, output: str, own: Mapping[str, Any] = {}) -> ActingRule:  # not changed
        """The rule for one output.

        Args:
            output: its name.
            own: what is different for this very one, where there are several of its kind.

        Raises:
            SpecError: at-least without within, or the other way round.
        """
        fields = {**self.every, **self.outputs.get(output, {}), **own}
        if "within" in fields and "at_least" not in fields:
            raise SpecError(TOGETHER)
        return ActingRule(**fields)


def _texts(value: Any) -> tuple[str, ...]:
    """One text or several; none takes back what a wider rule says."""
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{value!r}: want text, or a list of texts")
    return tuple(found)


def _days(value: Any) -> frozenset[int]:
    return frozenset().union(*map(read_days, _texts(value))) or frozenset(range(7))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r}: want a number")
    return float(value)


def _seconds(value: Any) -> float:
    seconds = duration_seconds(value) if isinstance(value, str) else _number(value)
    if not 0 < seconds < 1e9:
        raise ValueError(f"{value!r}: want a time above 0, such as '5m' or a number of seconds")
    return seconds


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise ValueError(f"{value!r}: want a whole number from 1")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r}: want true or false")
    return value


def _score(value: Any) -> float:
    if not 0 <= _number(value) <= 1:
        raise ValueError(f"{value!r}: want a probability, 0 to 1")
    return float(value)


def _level(value: Any) -> float:
    level = level_dbfs(value) if isinstance(value, str) else _number(value)
    if not -120 <= level <= 20:
        raise ValueError(f"{value!r}: want a level in dBFS, -120 to 20")
    return level


SCHEDULE_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "hours": lambda value: tuple(map(read_hours, _texts(value))),
    "days": _days,
}
# name in the settings file -> what reads its value; a ValueError says what is wrong with that
FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "classes": lambda value: frozenset(_texts(value)),
    **SCHEDULE_FIELDS,
    "schedule": _texts,
    "at-least": _count,
    "within": _seconds,
    "cooldown": lambda value: 0.0 if value == 0 else _seconds(value),
    "first-of-day": _flag,
    "score": _score,
    "level": _level,
}
