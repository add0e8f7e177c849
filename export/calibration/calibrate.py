"""Rules of the detector for a budget of false alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from export.calibration.budget import share_budget
from export.calibration.curve import MIN_FOUND_SHARE, ClassCurve, RulePoint
from export.calibration.detecting import heard_events
from export.calibration.event_report import OWN, EventReport, event_report, rate
from export.calibration.grid import HIGHEST_LEVELS, LEVELS
from export.calibration.heard import HeardStream
from export.calibration.stretches import Axis
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import DataError

# A count of n speaks for a rate of (n + 0.5) / hours: none in six minutes is not none an hour.
HALF = 0.5
MANY_MISSED_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Calibration:
    """Rules and what they give.

    Attributes:
        rules: for the card.
        report: of these rules, by the live detector, on the streams they were chosen on.
        curves: label -> every rule that was tried, and what it gives.
        kept: label -> whether the class keeps within the model's budget.
        budget_per_hour: false alarms an hour of the whole model.
        advice: what to do where the budget is not kept or not proven, or much is missed; "" otherwise.
    """

    rules: DetectorSpec
    report: EventReport
    curves: Mapping[str, tuple[RulePoint, ...]]
    kept: Mapping[str, bool]
    budget_per_hour: float
    advice: str


def calibrate(
    streams: Sequence[HeardStream],
    labels: tuple[str, ...],
    *,
    budget_per_hour: float = 1.0,
    allowed: float | None = None,
    strict: bool = False,
    background: str | None = None,
    base: DetectorSpec = DetectorSpec(),  # noqa: B008 (immutable)
) -> Calibration:
    """Choose a rule for each class: fewest events missed, doubled and confused within the budget, then least delay.

    The budget is of the whole model, and of sound that is no class: an hour made of every kind of stream but "own",
    in equal parts. Without such streams it is of the "own" ones. Counts are small, so n false alarms are taken for
    n + 0.5. False alarms in the data's own streams count as errors beside missed and doubled events, because other
    classes come there far more often than they will live. See ``share_budget`` for what happens where the budget
    cannot be kept.

    Args:
        streams: of one model, as they will be heard, none of them trained on.
        labels: of the model.
        budget_per_hour: false alarms an hour.
        allowed: false alarms that these streams may hold; None = as many as the budget allows in their hours.
        strict: keep the budget whatever it costs: rules that find less than half of the events are tried too, and
            levels up to 1.
        background: a class that is never an event.
        base: rules of classes of which the streams hold no event: these keep them, with the level raised until the
            budget is kept. What it disables stays disabled.

    Raises:
        DataError: no streams, or they are of different models.
    """
    if not streams:
        raise DataError("calibration: no streams; give some with events and some without")
    if len({(stream.sample_rate, stream.hop, stream.probs.shape[1]) for stream in streams}) > 1:
        raise DataError("calibration: the streams have different rates or classes; give those of one model")
    disabled = [name for name in labels if name == background or not base.rule(name).enabled]
    asked = [label for label in labels if label not in disabled]
    axis = Axis.of(streams)
    judged = [s.hours for s in streams if s.kind != OWN] or [s.hours for s in streams]
    if allowed is None:
        allowed = max(0.0, budget_per_hour * sum(judged) - HALF)
    levels = (*LEVELS, *HIGHEST_LEVELS) if strict else LEVELS
    curves = {
        label: ClassCurve(streams, labels.index(label), label, axis, allowed, levels) for label in asked
    }
    points = {label: curve.points(base.rule(label)) for label, curve in curves.items()}
    events = {label: curve.events for label, curve in curves.items()}
    chosen, kept = share_budget(points, events, allowed, 0.0 if strict else MIN_FOUND_SHARE)
    classes = {label: point.rule for label, point in chosen.items()}
    for label in asked:
        if not events[label]:  # nothing to choose by but false alarms
            classes[label] = _quiet(points[label], allowed / max(1, len(asked)), any(events.values()))
    for label in disabled:
        classes[label] = msgspec.structs.replace(base.rule(label), enabled=False)
    rules = DetectorSpec(default=base.default, classes={label: classes[label] for label in labels})
    report = event_report(((s, heard_events(s, labels, rules)) for s in streams), labels, disabled)
    advice = _advice(report, kept, budget_per_hour, allowed)
    return Calibration(
        rules, report, {label: tuple(p) for label, p in points.items()}, kept, budget_per_hour, advice
    )


def _quiet(points: Sequence[RulePoint], allowed: float, others: bool) -> ClassRule:
    """The rule of a class without events: the first within the budget.

    Unless ``others`` have events, "own" streams hold nothing but what the model was wrong about, and the first of those
    that are wrong least is taken. Otherwise they are full of other classes, which come far less often live.
    """
    rare = [point for point in points if point.false <= allowed + 1e-9] or points[-1:]
    return rare[0].rule if others else min(rare, key=lambda point: point.confused).rule  # the first of equals


def _advice(report: EventReport, kept: Mapping[str, bool], budget: float, allowed: float) -> str:
    loud = [label for label, within in kept.items() if not within]
    if loud and report.false_count > allowed:
        return (
            f"{rate(report.false_per_hour)} false alarms an hour, not {budget:g}: {_names(loud)} at any threshold that "
            "still finds half of the events; give recordings of what is mistaken for it by --background, more "
            "recordings of the class, or allow more by --false-alarms"
        )
    if allowed <= 0:
        return (
            f"{report.judged_hours:.1f} h without events are too few to show {budget:g} false alarms an hour; "
            "at least half an hour for each is needed"
        )
    deaf = [
        label for label, c in report.classes.items() if c.events and c.missed > MANY_MISSED_SHARE * c.events
    ]
    if deaf:
        return (
            f"{_names(deaf)}: more than a quarter of the events are missed within {budget:g} false alarms an hour; "
            "give more recordings from more sources, train longer, or allow more by --false-alarms"
        )
    return ""


def _names(labels: Sequence[str]) -> str:
    return ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
