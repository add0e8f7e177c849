"""recalibrate: rules for a budget, what they give, and what the card's own gave on the same sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from export.calibration import EventReport, HeardStream, calibrate, event_report, heard_events
from export.calibration.curve import RulePoint
from export.calibration.event_report import OWN
from export.recalibration.budget_text import Budget
from export.recalibration.promise import Promise, allowed_count
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import UsageError
from stream.inference.card import ModelCard


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Rules for a budget of false alarms.

    Attributes:
        rules: of the whole model.
        was: those of its card.
        chosen: classes they were chosen for; the others keep theirs.
        before, after: what the card's rules and these give for the chosen classes.
        curves: chosen class -> the rules that were tried, and what they give.
        highest: chosen class -> its highest score in sound without events.
        budget: that was asked for.
        hours: without events.
    """

    rules: DetectorSpec
    was: DetectorSpec
    chosen: tuple[str, ...]
    before: EventReport
    after: EventReport
    curves: Mapping[str, Sequence[RulePoint]]
    highest: Mapping[str, float]
    budget: Budget
    hours: float

    @property
    def promise(self) -> Promise:
        """Of all chosen classes together."""
        return Promise(self.budget, round(self.after.false_count), self.hours, len(self.chosen))

    def promise_of(self, label: str) -> Promise:
        """Of one class."""
        kinds = self.after.judged
        count = sum(self.after.classes[label].false[kind] for kind in kinds)
        return Promise(self.budget, count, self.hours, 1)


def chosen_classes(card: ModelCard, wanted: Sequence[str]) -> tuple[str, ...]:
    """The classes to find rules for: those that can be events, or those of them that are ``wanted``.

    Raises:
        UsageError: a class that the model does not have or never reports, or no class is left.
    """
    enabled = [label for label in card.labels if card.detector.rule(label).enabled]
    for label in wanted:
        if label not in enabled:
            why = "is never reported by this model" if label in card.labels else "is not in this model"
            raise UsageError(f"--class {label}: {why}; its events are {', '.join(enabled) or 'none'}")
    if not enabled:
        raise UsageError(f"model {card.name}: reports no class; there is nothing to calibrate")
    return tuple(label for label in enabled if label in wanted or not wanted)


def recalibrate(
    card: ModelCard,
    negatives: Sequence[HeardStream],
    own: Sequence[HeardStream],
    budget: Budget,
    chosen: Sequence[str],
) -> Recalibration:
    """Find a rule for each chosen class: most events found, soonest, within what the budget allows in these hours.

    Where the hours promise less than the budget, rules without any false alarm in them are looked for. A class without
    labelled recordings keeps the card's rule, with the level raised as far as the budget asks for.

    Args:
        card: of the model.
        negatives: streams without events.
        own: streams with events, and of what the model was wrong about; may be empty.
        budget: of false alarms of all chosen classes together.
        chosen: classes.
    """
    base = DetectorSpec(
        default=card.detector.default,
        classes={label: _only(card.detector.rule(label), label in chosen) for label in card.labels},
    )
    hours = sum(stream.hours for stream in negatives)
    streams = [*own, *negatives]
    found = calibrate(
        streams,
        card.labels,
        budget_per_hour=budget.per_hour,
        allowed=float(allowed_count(budget, hours, len(chosen))),
        strict=True,  # who asks for a budget wants it kept, and is told what that costs
        base=base,
    )
    others = [label for label in card.labels if label not in chosen]
    before = event_report(((s, heard_events(s, card.labels, base)) for s in streams), card.labels, others)
    rules = {label: (found.rules if label in chosen else card.detector).rule(label) for label in card.labels}
    highest = {
        label: max(
            (float(np.max(s.probs[:, card.labels.index(label)], initial=0)) for s in negatives), default=0.0
        )
        for label in chosen
    }
    return Recalibration(
        DetectorSpec(default=card.detector.default, classes=rules), card.detector,
        tuple(chosen), before, found.report, found.curves, highest, budget, hours,
    )  # fmt: skip


def _only(rule: ClassRule, chosen: bool) -> ClassRule:
    return msgspec.structs.replace(rule, enabled=rule.enabled and chosen)


def has_events(streams: Sequence[HeardStream], label: str) -> bool:
    """Whether there is anything to find of a class."""
    return any(event.label == label for stream in streams if stream.kind == OWN for event in stream.truth)
