"""False alarms: promised by the model's card against observed, with what the counts can say for certain."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stream.decisions.poisson import lower_bound, upper_bound
from stream.logbook.contents import HeardEvent
from stream.logbook.promise import ALL
from stream.report.figures import Figures
from stream.report.verdicts import Key, Verdict, key

EXACT_COUNT = 1000  # above it the normal approximation is as good, and quick
_Z = 1.645  # of 95 %
Standing = Literal["kept", "broken", "open", ""]


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """False alarms of one class, or of all.

    Attributes:
        label: "" for all classes.
        promised: an hour; None where the card says nothing, where the runs' cards say different things, or where other
            rules than the card's were in force.
        hours: listened.
        events: that were reported.
        reviewed: of them, that a person has judged.
        wrong: of those, that were wrong.
        at_least, at_most: an hour. Where nothing else was false than what was found wrong, and where all that was not
            judged was false, the true rate is above and below these with 95 % confidence each.
    """

    label: str
    promised: float | None
    hours: float
    events: int
    reviewed: int
    wrong: int
    at_least: float
    at_most: float

    @property
    def observed(self) -> float | None:
        """An hour, of those judged; None where nothing was judged though there was something."""
        return None if not self.hours or (self.events and not self.reviewed) else self.wrong / self.hours

    @property
    def standing(self) -> Standing:
        """Whether the promise is "kept" or "broken" for certain, or still "open"; "" without a promise."""
        if self.promised is None or not self.hours:
            return ""
        if self.at_most <= self.promised:
            return "kept"
        return "broken" if self.at_least > self.promised else "open"


def false_alarms(figures: Figures, verdicts: Mapping[Key, Verdict]) -> list[FalseAlarms]:
    """All classes together, then each class that is shown."""
    promised = _promised(figures)
    begun = [event for event in figures.events if event.onset >= figures.total.start]
    hours = figures.total.heard / 3600
    labels = [ALL, *figures.labels]
    return [_of(label, promised.get(label), hours, begun, verdicts) for label in labels]


def _of(
    label: str,
    promised: float | None,
    hours: float,
    begun: list[HeardEvent],
    verdicts: Mapping[Key, Verdict],
) -> FalseAlarms:
    said = Counter(verdicts.get(key(event), "") for event in begun if label in (ALL, event.label))
    wrong, right, unknown = said["wrong"], said["right"], said[""]
    return FalseAlarms(
        label, promised, hours, wrong + right + unknown, wrong + right, wrong,
        _lower(wrong, hours), _upper(wrong + unknown, hours),
    )  # fmt: skip


def _promised(figures: Figures) -> Mapping[str, float]:
    """What all runs promise alike."""
    said = [run.promised or {} for run in figures.runs]
    if not said:
        return {}
    rates = {label: rate for label, rate in said[0].items() if all(o.get(label) == rate for o in said)}
    each = [rates.get(label) for label in figures.runs[0].labels]
    if ALL not in rates and each and all(rate is not None for rate in each):
        rates[ALL] = sum(rate for rate in each if rate is not None)
    return rates


def _upper(count: int, hours: float) -> float:
    if count <= EXACT_COUNT:
        return upper_bound(count, hours)
    return (count + 1 + _Z * math.sqrt(count + 1)) / hours if hours else math.inf


def _lower(count: int, hours: float) -> float:
    if count <= EXACT_COUNT:
        return lower_bound(count, hours)
    return (count - _Z * math.sqrt(count)) / hours if hours else 0.0
