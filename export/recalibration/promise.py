"""What hours of listening say about the false alarms to come."""

from __future__ import annotations

import math
from dataclasses import dataclass

from export.calibration.event_report import rate
from export.recalibration.budget_text import Budget
from stream.decisions.poisson import upper_bound

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Promise:
    """False alarms heard, and those to come at most.

    A level that was chosen just above what some hours held is exceeded later no more often than the Poisson bound of
    these hours says: so many extremes of a process lie as its events do. Several classes with a level each add up, so
    every chosen class beyond the first counts as one event more. Rules of several shapes (with labelled recordings) are
    a choice that this does not account for: then the bound is somewhat too low.

    Attributes:
        budget: that was asked for.
        count: false alarms in these hours.
        hours: that were heard.
        chosen: classes whose rules were chosen on these hours.
    """

    budget: Budget
    count: int
    hours: float
    chosen: int

    @property
    def at_most_per_hour(self) -> float:
        """Upper 95 % bound of the rate of false alarms to come; infinite without any hours."""
        return upper_bound(self.count + max(0, self.chosen - 1), self.hours, CONFIDENCE)

    @property
    def kept(self) -> bool:
        """Whether the budget is promised, not just met."""
        return self.at_most_per_hour <= self.budget.per_hour

    def sentence(self) -> str:
        """The promise in words, and what it would take where it is less than was asked for."""
        events = {0: "without a false alarm", 1: "with 1 false alarm"}.get(
            self.count, f"with {self.count} false alarms"
        )
        most = rate(self.at_most_per_hour * self.budget.hours)
        several = f" (all {self.chosen} classes together)" if self.chosen > 1 else ""
        said = f"{_length(self.hours)} {events} promise at most {most} a {self.budget.unit}{several}"
        said = said.replace("a hour", "an hour")
        if self.kept:
            return f"{said}, with 95 % confidence: within {self.budget}"
        needed = hours_needed(self.budget, self.chosen)
        if self.count / self.hours > self.budget.per_hour if self.hours else False:
            return f"{said}, not {self.budget}: no rule that was tried is quieter"
        return f"{said}, not {self.budget}: that would take {_length(needed)} without one"


def allowed_count(budget: Budget, hours: float, chosen: int) -> int:
    """The most false alarms in these hours with which the budget is still promised; 0 where no count is."""
    low, high = 0, math.floor(budget.per_hour * hours) + 1  # so many are more than the budget itself
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if Promise(budget, middle, hours, chosen).kept else (low, middle)
    return low


def hours_needed(budget: Budget, chosen: int) -> float:
    """Hours without a false alarm that promise the budget."""
    return upper_bound(max(0, chosen - 1), 1.0, CONFIDENCE) / budget.per_hour


def _length(hours: float) -> str:
    return f"{hours:.3g} h" if hours >= 1 else f"{60 * hours:.2g} min"
