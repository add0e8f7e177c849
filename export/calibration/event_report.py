"""What a model's events are worth to whoever listens: found, missed, doubled, false by kind of sound, delay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.calibration.heard import HeardStream
from export.calibration.matching import Matching, match, true_times
from export.metrics.prediction import DetectedEvent
from export.scenes.negatives import KINDS
from stream.decisions.poisson import upper_bound

OWN = "own"
Heard = tuple[HeardStream, Sequence[DetectedEvent]]


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Counts of one class, or of all.

    Attributes:
        events: true events; pieces of one class with less than 0.25 s between them are one.
        found: of these, that a detected event of the class belongs to: it overlaps [onset, offset + 0.5 s] and began
            no more than 0.5 s before the onset.
        merged: of the missed, those during which an event was on that had begun before.
        doubled: further detected events on true events that were found already.
        false: kind of stream -> detected events that belong to no true event; one that goes on counts again
            every 10 s.
        delays: seconds from the true onset to the moment it was reported, of events found whose detected event did not
            begin more than 0.1 s before them.
    """

    events: int
    found: int
    merged: int
    doubled: int
    false: Mapping[str, int]
    delays: tuple[float, ...]

    @property
    def missed(self) -> int:
        """True events that were not found."""
        return self.events - self.found

    def delay(self, share: float = 0.5) -> float | None:
        """Quantile of the delays in seconds; None without any."""
        return float(np.quantile(self.delays, share)) if self.delays else None


@dataclass(frozen=True, slots=True)
class EventReport:
    """Events found and false alarms of a model on streams as they will be heard.

    Attributes:
        hours: kind of stream -> length. "own" are streams of the data's own recordings, with pauses and with what is
            no class between; the others hold no events.
        classes: label -> counts; only classes that can be events.
    """

    hours: Mapping[str, float]
    classes: Mapping[str, EventCounts]

    @property
    def total(self) -> EventCounts:
        """Counts of all classes."""
        parts = list(self.classes.values())
        return EventCounts(
            sum(part.events for part in parts),
            sum(part.found for part in parts),
            sum(part.merged for part in parts),
            sum(part.doubled for part in parts),
            {kind: sum(part.false[kind] for part in parts) for kind in self.hours},
            tuple(delay for part in parts for delay in part.delays),
        )

    @property
    def judged(self) -> tuple[str, ...]:
        """The kinds that count for a budget of false alarms: all but "own", or that where there is no other."""
        return tuple(kind for kind in self.hours if kind != OWN) or tuple(self.hours)

    @property
    def false_count(self) -> float:
        """False alarms in ``judged_hours``, as if each kind had the same share of them."""
        return equal_count(self.total.false, self.hours, self.judged)

    @property
    def judged_hours(self) -> float:
        """Hours of the judged kinds."""
        return sum(self.hours[kind] for kind in self.judged)

    @property
    def false_per_hour(self) -> float:
        """False alarms in an hour that is made of the judged kinds in equal parts; 0 where there are none."""
        return self.false_count / self.judged_hours if self.judged_hours else 0.0

    @property
    def false_per_hour_at_most(self) -> float:
        """Upper 95 % bound of ``false_per_hour``."""
        return upper_bound(int(np.ceil(self.false_count)), self.judged_hours)

    def to_dict(self) -> dict[str, Any]:
        """Plain figures, JSON-ready."""
        return {
            "hours": dict(self.hours),
            "false_per_hour": self.false_per_hour,
            "false_per_hour_at_most": _finite(self.false_per_hour_at_most),
            "all": _plain(self.total, self.hours),
            "classes": {label: _plain(counts, self.hours) for label, counts in self.classes.items()},
        }


def event_report(heard: Iterable[Heard], labels: Sequence[str], disabled: Sequence[str] = ()) -> EventReport:
    """Compare detected events with true ones.

    Args:
        heard: streams, each with the events that the detector reported in it (``heard_events``), in order of onset.
        labels: of the model.
        disabled: classes that are never an event.
    """
    pairs = list(heard)
    kinds = [kind for kind in (*KINDS, OWN) if any(stream.kind == kind for stream, _ in pairs)]
    kinds += sorted({stream.kind for stream, _ in pairs} - set(kinds))
    hours = {kind: sum(stream.hours for stream, _ in pairs if stream.kind == kind) for kind in kinds}
    classes = {label: _counts(pairs, label, kinds) for label in labels if label not in disabled}
    return EventReport(hours, classes)


def equal_count(counts: Mapping[str, float], hours: Mapping[str, float], kinds: Sequence[str]) -> float:
    """The count that all hours of ``kinds`` together would hold if each kind had the same share of them."""
    lasting = [kind for kind in kinds if hours[kind] > 0]
    if not lasting:
        return 0.0
    each = sum(hours[kind] for kind in lasting) / len(lasting)
    return float(sum(counts[kind] * each / hours[kind] for kind in lasting))


def rate(value: float) -> str:
    """An hourly rate in at most four characters: 0, 0.25, 3.1, 47, 1.2k."""
    if value >= 1000:
        return f"{value / 1000:.3g}k" if value >= 10_000 else f"{value / 1000:.1f}k"
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.2g}"


def _counts(pairs: Sequence[Heard], label: str, kinds: Sequence[str]) -> EventCounts:
    false = dict.fromkeys(kinds, 0)
    matched: list[Matching] = []
    for stream, events in pairs:
        mine = sorted((e for e in events if e.label == label), key=lambda e: e.onset)
        times = np.array([(e.onset, e.offset, e.decided) for e in mine], np.float64).reshape(-1, 3)
        one = match(true_times(stream.truth, label), times[:, 0], times[:, 1], times[:, 2])
        matched.append(one)
        false[stream.kind] += int(one.false.sum())
    return EventCounts(
        events=sum(len(one.found) for one in matched),
        found=sum(int(one.found.sum()) for one in matched),
        merged=sum(int(one.merged.sum()) for one in matched),
        doubled=sum(int(one.doubled.sum()) for one in matched),
        false=false,
        delays=tuple(float(delay) for one in matched for delay in one.delays),
    )


def _plain(counts: EventCounts, hours: Mapping[str, float]) -> dict[str, Any]:
    return {
        "events": counts.events,
        "found": counts.found,
        "missed": counts.missed,
        "merged": counts.merged,
        "doubled": counts.doubled,
        "median_delay_seconds": counts.delay(0.5),
        "p90_delay_seconds": counts.delay(0.9),
        "false": {
            kind: {
                "events": counts.false[kind],
                "per_hour": counts.false[kind] / hours[kind] if hours[kind] else None,
                "per_hour_at_most": _finite(upper_bound(counts.false[kind], hours[kind])),
            }
            for kind in hours
        },
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
