"""What each rule of a class gives: misses, doubles, false alarms and delay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from export.calibration.event_report import OWN, equal_count
from export.calibration.grid import LEVELS, ending_rules, first_rules, hysteresis_rules, raised_rules
from export.calibration.heard import HeardStream
from export.calibration.matching import match, true_times
from export.calibration.stretches import Axis, ClassRows
from stream.decisions.spec import ClassRule

MIN_FOUND_SHARE = 0.5  # a rule that finds fewer events than this is of no use, where another finds more
# A row of rules is tried from the highest level down, to the first that cannot be chosen: one with so many times the
# allowed false alarms (or with this many, where few are allowed) that finds half of the events. Where too little is
# found at any level, a hundred times as many end it.
HOPELESS_TIMES, HOPELESS_COUNT, HOPELESS_ANYWAY = 5.0, 10.0, 100.0
# Rules of neighbouring levels count too: one that is good only at exactly this threshold is luck.
NEIGHBOURS = (0.25, 0.5, 0.25)


@dataclass(frozen=True, slots=True)
class RulePoint:
    """A rule of one class, and what it gives on average with those of the levels beside it.

    Attributes:
        rule: of the class.
        missed, doubled: true events, and further events on them.
        confused: false alarms in the data's own streams: other classes, pauses and what is no class between.
        false: false alarms in sound that is no class, as ``EventReport.false_count``.
        delay: median seconds; inf where nothing was found.
    """

    rule: ClassRule
    missed: float
    doubled: float
    confused: float
    false: float
    delay: float

    @property
    def cost(self) -> float:
        """Errors in the data's own streams."""
        return self.missed + self.doubled + self.confused


class ClassCurve:
    """Tries rules of one class on heard streams.

    Args:
        streams: with one sample rate and one hop.
        column, label: of the class.
        axis: of the streams.
        allowed: false alarms of the whole model, as ``RulePoint.false`` counts them.
        levels: to try, in rising order.
    """

    def __init__(
        self,
        streams: Sequence[HeardStream],
        column: int,
        label: str,
        axis: Axis,
        allowed: float,
        levels: Sequence[float] = LEVELS,
    ) -> None:
        self._levels = levels
        self._streams, self._column, self._axis = streams, column, axis
        self._hopeless = max(HOPELESS_COUNT, HOPELESS_TIMES * allowed)
        self._rows: dict[float, ClassRows] = {}
        begins, ends = [], []
        for stream, begin in zip(streams, axis.begins, strict=True):
            onsets, offsets = true_times(stream.truth, label)
            begins.append(onsets + begin)
            ends.append(offsets + begin)
        self.true = np.concatenate(begins), np.concatenate(ends)
        self.events = len(self.true[0])
        self._kinds = np.array([stream.kind for stream in streams])
        self._hours = {
            kind: sum(stream.hours for stream in streams if stream.kind == kind)
            for kind in sorted(set(self._kinds.tolist()))
        }
        self._judged = [kind for kind in self._hours if kind != OWN] or list(self._hours)

    def points(self, base: ClassRule = ClassRule()) -> list[RulePoint]:  # noqa: B008 (immutable)
        """Every rule of the grid: first levels, smoothing and time on; then, about the best, ends and hysteresis.

        Of a class without events: ``base`` and stricter ones like it, the least strict first.
        """
        if not self.events:
            return self._tried(raised_rules(base))
        lengths = self.true[1] - self.true[0]
        found = self._tried(first_rules(float(np.median(lengths)), self._levels))
        for more in (ending_rules, hysteresis_rules):
            found += self._tried(more(min(found, key=_guess).rule, self._levels))
        return found

    def _tried(self, rows: Sequence[Sequence[ClassRule]]) -> list[RulePoint]:
        return [point for row in rows for point in averaged(self._row(row))]

    def _row(self, rules: Sequence[ClassRule]) -> list[RulePoint]:
        """What the rules give, in order of their levels, from the highest down to one that is hopeless."""
        found: list[RulePoint] = []
        for rule in reversed(rules):
            point = self.point(rule)
            found.append(point)
            enough = self.events - point.missed >= MIN_FOUND_SHARE * self.events
            if point.false > self._hopeless * (1 if enough else HOPELESS_ANYWAY):
                break
        return found[::-1]

    def point(self, rule: ClassRule) -> RulePoint:
        """What one rule gives by itself."""
        if rule.smoothing not in self._rows:
            self._rows[rule.smoothing] = ClassRows(self._streams, self._column, rule.smoothing, self._axis)
        found = self._rows[rule.smoothing].events(rule)
        result = match(self.true, found.onsets, found.offsets, found.decided)
        kinds = self._kinds[self._axis.stream_of(found.onsets)]
        false = {kind: float(result.false[kinds == kind].sum()) for kind in self._hours}
        return RulePoint(
            rule,
            float(self.events - result.found.sum()),
            float(result.doubled.sum()),
            false.get(OWN, 0.0),
            equal_count(false, self._hours, self._judged),
            float(np.median(result.delays)) if len(result.delays) else np.inf,
        )


def averaged(row: Sequence[RulePoint]) -> list[RulePoint]:
    """Points of one row of levels, each with the figures of its neighbours in part."""
    values = np.array([(p.missed, p.doubled, p.confused, p.false) for p in row])
    padded = np.concatenate([values[:1], values, values[-1:]])
    low, middle, high = NEIGHBOURS
    mixed = low * padded[:-2] + middle * padded[1:-1] + high * padded[2:]
    return [
        replace(point, missed=m, doubled=d, confused=c, false=f)
        for point, (m, d, c, f) in zip(row, mixed.tolist(), strict=True)
    ]


def _guess(point: RulePoint) -> tuple[float, float]:
    """For the search alone: an hour's false alarm weighs as much as an event."""
    return point.cost + point.false, point.delay
