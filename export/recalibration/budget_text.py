"""How many false alarms are allowed, as people say it: 1/day, 0.5/h, 2/week."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from stream.errors import SpecError

_HOURS = {"h": 1.0, "hour": 1.0, "d": 24.0, "day": 24.0, "w": 168.0, "week": 168.0}
_NAMES = {1.0: "hour", 24.0: "day", 168.0: "week"}
_FORM = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*([a-z]+)\s*", re.IGNORECASE)
_MOST_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Budget:
    """False alarms of the whole model in a unit of time.

    Attributes:
        count: of them.
        hours: of the unit.
    """

    count: float
    hours: float

    @property
    def per_hour(self) -> float:
        """False alarms an hour."""
        return self.count / self.hours

    @property
    def unit(self) -> str:
        """hour, day or week."""
        return _NAMES[self.hours]

    def __str__(self) -> str:
        return f"{self.count:g} a{'n' * (self.unit == 'hour')} {self.unit}"


def parse_budget(text: str) -> Budget:
    """The budget that ``text`` says.

    Raises:
        SpecError: not a number and a unit, none at all, or more than one a second.
    """
    found = _FORM.fullmatch(text)
    hours = _HOURS.get(found[2].lower()) if found else None
    if found is None or hours is None:
        raise SpecError(f"{text!r}: want a number and h, day or week, as in 1/day, 0.5/h or 2/week")
    budget = Budget(float(found[1]), hours)
    if not 0 < budget.count < math.inf:
        raise SpecError(
            f"{text!r}: no number of hours can promise that there will be none; allow some, as in 1/week"
        )
    if budget.per_hour > _MOST_PER_HOUR:
        raise SpecError(f"{text!r}: is more than one a second, which is no limit; allow less, as in 1/day")
    return budget
