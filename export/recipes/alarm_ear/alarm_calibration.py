"""Choose the detector's rules on the validation part: as few false events as can be, then the most alarms in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from export.recipes.alarm_ear.alarm_settings import LABELS
from export.recipes.alarm_ear.alarm_streams import AlarmStreams
from export.recipes.alarm_ear.alarm_trials import events_of, outcomes, share, share_found
from stream.decisions.spec import ClassRule, DetectorSpec

Probs = NDArray[np.float32]
THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98)
MIN_ON_SECONDS = (0.08, 0.4)
SMOOTHING_SECONDS = (0.2, 0.6)
# Long enough for one alarm to stay one event where a group is not heard: a cycle of each standard, and of most beeps.
MIN_OFF_SECONDS = {"smoke_alarm": 4.0, "co_alarm": 6.0, "beep": 2.0}
RELEASE_SHARE = 0.3  # of the threshold
# What is allowed of each class, an hour of negatives that are full of look-alikes; a wrong class of a sounder counts.
ALLOWED_PER_HOUR = {"smoke_alarm": 0.25, "co_alarm": 0.25, "beep": 3.0}
WRONG_CLASS_COST = 0.5  # of a trial in which another class is reported, beside one that is found


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """A rule of one class and what it gives.

    Attributes:
        rule: which.
        found: share of the trials of its class that are found in time.
        wrong: share of the other classes' trials in which it is reported.
        false_per_hour: events where there is nothing.
    """

    rule: ClassRule
    found: float
    wrong: float
    false_per_hour: float


def calibrate(
    tried: AlarmStreams, tried_probs: Probs, nothing: Sequence[tuple[AlarmStreams, Probs]]
) -> DetectorSpec:
    """Rules by class.

    Args:
        tried, tried_probs: trials and what the network gave for them.
        nothing: streams without events, and the same.
    """
    hours = sum(streams.hours for streams, _ in nothing)
    rules = {}
    for label in LABELS:
        figures = [
            _figures(label, rule, tried, tried_probs, [probs for _, probs in nothing], hours)
            for rule in candidates(label)
        ]
        rules[label] = chosen(label, figures).rule
    return DetectorSpec(classes=rules)


def chosen(label: str, figures: Sequence[RuleFigures]) -> RuleFigures:
    """The rule that finds most within what is allowed; else one of those with fewest false events."""
    fewest = min(each.false_per_hour for each in figures)
    within = [each for each in figures if each.false_per_hour <= max(ALLOWED_PER_HOUR[label], fewest)]
    return max(within, key=lambda each: (each.found - WRONG_CLASS_COST * each.wrong, each.rule.threshold))


def candidates(label: str) -> Iterator[ClassRule]:
    """Rules that are tried for a class."""
    for threshold, min_on, smoothing in product(THRESHOLDS, MIN_ON_SECONDS, SMOOTHING_SECONDS):
        yield ClassRule(
            threshold=threshold, release=round(RELEASE_SHARE * threshold, 3), min_on=min_on,
            min_off=MIN_OFF_SECONDS[label], smoothing=smoothing,
        )  # fmt: skip


def _figures(
    label: str,
    rule: ClassRule,
    tried: AlarmStreams,
    tried_probs: Probs,
    nothing: Sequence[Probs],
    hours: float,
) -> RuleFigures:
    others = {other: ClassRule(enabled=False) for other in LABELS if other != label}
    detector = DetectorSpec(classes={label: rule, **others})
    rows = outcomes(tried, events_of(tried_probs, detector))
    mine = [row for row in rows if row.sounder.label == label]
    theirs = [row for row in rows if row.sounder.label != label]
    false = sum(len(events) for probs in nothing for events in events_of(probs, detector))
    wrong = share(label in row.heard for row in theirs)
    return RuleFigures(rule, share_found(mine), wrong, false / hours)
