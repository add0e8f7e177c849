"""A budget of false alarms for the whole model, shared among its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from export.calibration.curve import MIN_FOUND_SHARE, RulePoint

SAME_COST_SHARE = 0.01  # of the true events: rules whose errors differ by less are told apart by their delay


def share_budget(
    points: Mapping[str, Sequence[RulePoint]],
    events: Mapping[str, int],
    allowed: float,
    must_find: float = MIN_FOUND_SHARE,
) -> tuple[dict[str, RulePoint], dict[str, bool]]:
    """A rule for each class, and whether the class keeps within the budget.

    Only rules that find ``must_find`` of the class's events are looked at (or, where none does, those that find at
    least nine tenths of what any finds). Each class begins with the one of fewest false alarms. If these are too many
    in all, the classes with most of them do not keep the budget: they stay as they are, the best compromise there is,
    and the others share what is allowed. What is left is then given out, first up to an equal part for each class,
    then to anyone: always to the class that gains most per false alarm.

    Args:
        points: label -> rules and what they give.
        events: label -> true events.
        allowed: false alarms, as ``RulePoint.false`` counts them.
        must_find: share of its events.
    """
    usable = {label: _usable(points[label], events[label], must_find) for label in points}
    chosen = {label: min(usable[label], key=_fewest) for label in points}
    kept = dict.fromkeys(points, True)
    for label in sorted(points, key=lambda each: -chosen[each].false):
        if sum(chosen[each].false for each in points if kept[each]) <= allowed + 1e-9:
            break
        kept[label] = False
    sharing = [label for label in points if kept[label]]
    for most in (allowed / max(1, len(sharing)), allowed):
        while True:
            left = allowed - sum(chosen[label].false for label in sharing)
            steps = [
                (gain / max(more, 1e-6), -more, label, point)
                for label in sharing
                for point in usable[label]
                if (gain := chosen[label].cost - point.cost) > 1e-9
                and (more := point.false - chosen[label].false) <= left + 1e-9
                and point.false <= max(most, chosen[label].false) + 1e-9
            ]
            if not steps:
                break
            _, _, label, point = max(steps, key=lambda step: step[:3])
            chosen[label] = point
    return {label: _quickest(usable[label], chosen[label], events[label]) for label in points}, kept


def _usable(points: Sequence[RulePoint], events: int, must_find: float) -> list[RulePoint]:
    if not events:
        return list(points)
    best = max(events - point.missed for point in points)
    least = min(must_find * events, 0.9 * best)
    return [point for point in points if events - point.missed >= least - 1e-9]


def _fewest(point: RulePoint) -> tuple[float, float, float]:
    return point.false, point.cost, point.delay


def _quickest(points: Sequence[RulePoint], chosen: RulePoint, events: int) -> RulePoint:
    """Of the rules as good as the chosen one, the one with least delay."""
    same = [
        point
        for point in points
        if point.false <= chosen.false + 1e-9 and point.cost <= chosen.cost + SAME_COST_SHARE * events + 1e-9
    ]
    return min(same, key=lambda point: (point.delay, point.cost, point.false))
