"""Figures against strong labels, event by event: what a person counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from export.data.recording import Interval
from export.evaluation.listen import Heard

ONSET_COLLAR = 0.2  # seconds
OFFSET_COLLAR, OFFSET_SHARE = 0.2, 0.2  # seconds, or share of the event's length, whichever is more


def event_figures(
    heard: Sequence[Heard], labels: tuple[str, ...], *, onset: float = ONSET_COLLAR, offsets: bool = True
) -> dict[str, Any]:
    """F1 with collars, false alarms per hour and detection delay of the live detector's events.

    An event is found when one of its class begins within the onset collar of it and ends within the offset
    collar; each answers for one at most (the assignment that finds most). A false alarm is an event that
    touches no true event of its class at all. Delay: from a true onset to the moment the detector decided
    about the first event that overlaps it.
    """
    hours = sum(each.duration for each in heard) / 3600
    found: dict[str, Any] = {}
    for label in labels:
        hits = said = true = alarms = 0
        delays: list[float] = []
        for each in heard:
            wanted = [e for e in each.recording.events or () if e.label == label]
            got = [e for e in each.events if e.label == label]
            hits += _matches(wanted, got, onset, offsets)
            said += len(got)
            true += len(wanted)
            alarms += sum(not any(_overlap(e, w) for w in wanted) for e in got)
            delays += _delays(each, wanted, label)
        found[label] = {
            "f1": 2 * hits / max(said + true, 1),
            "precision": hits / max(said, 1),
            "recall": hits / max(true, 1),
            "events": true,
            "false_alarms_per_hour": alarms / max(hours, 1e-9),
            "detected": len(delays),
            "median_delay_seconds": float(np.median(delays)) if delays else None,
        }
    return {
        "hours": hours,
        "onset_collar_seconds": onset,
        "macro_f1": float(np.mean([figures["f1"] for figures in found.values()])),
        "classes": found,
    }


def _matches(wanted: Sequence[Interval], got: Sequence[Interval], onset: float, offsets: bool) -> int:
    if not wanted or not got:
        return 0
    fits = np.array([[_fits(w, g, onset, offsets) for g in got] for w in wanted])
    rows, columns = linear_sum_assignment(-fits.astype(np.int64))
    return int(fits[rows, columns].sum())


def _fits(wanted: Interval, got: Interval, onset: float, offsets: bool) -> bool:
    if abs(got.onset - wanted.onset) > onset:
        return False
    collar = max(OFFSET_COLLAR, OFFSET_SHARE * (wanted.offset - wanted.onset))
    return not offsets or abs(got.offset - wanted.offset) <= collar


def _overlap(a: Interval, b: Interval) -> bool:
    return a.onset < b.offset and b.onset < a.offset


def _delays(heard: Heard, wanted: Sequence[Interval], label: str) -> list[float]:
    """Seconds from each true onset to the report of the first event that overlaps it."""
    delays = []
    for true in wanted:
        reports = [e.decided for e in heard.events if e.label == label and _overlap(e, true)]
        if reports:
            delays.append(max(0.0, min(reports) - true.onset))  # 0: it was on already
    return delays
