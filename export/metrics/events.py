"""Figures of detected events against strong labels, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from export.data.recording import Interval
from export.metrics.prediction import DetectedEvent, Prediction

ONSET_COLLAR_SECONDS = 0.2
OFFSET_COLLAR_SECONDS, OFFSET_COLLAR_SHARE = 0.2, 0.2  # whichever is longer; the share is of the true event
SHORTEST_EVENT_SECONDS = 0.2  # shorter true events count neither as missed nor for the delay
EARLY_ONSET_SECONDS = 0.1  # an event that began earlier than this before a true onset was on already


def event_figures(
    predictions: Sequence[Prediction],
    labels: tuple[str, ...],
    *,
    onset_collar: float = ONSET_COLLAR_SECONDS,
    offsets: bool = True,
) -> dict[str, Any]:
    """F1 with collars, false alarms an hour, share of missed events and detection delay of the detector's events.

    F1: an event is found when a detected one of its class begins within the onset collar of it and ends within the
    offset collar; each is matched to one at most (the assignment with most matches).
    False alarm: a detected event that overlaps no true event of its class.
    Missed: a true event of at least 0.2 s that no detected event overlaps.
    Delay: from the onset of a true event of at least 0.2 s to the moment the detector reported the first detected
    event that overlaps it. True events that a detected event was already on for, more than 0.1 s before the onset,
    are left out of the median.

    Args:
        onset_collar: seconds.
        offsets: False = offsets are not compared.
    """
    hours = sum(each.duration for each in predictions) / 3600
    classes = {label: _class_figures(predictions, label, hours, onset_collar, offsets) for label in labels}
    return {
        "hours": hours,
        "onset_collar_seconds": onset_collar,
        "macro_f1": float(np.mean([figures["f1"] for figures in classes.values()])),
        "classes": classes,
    }


def _class_figures(
    predictions: Sequence[Prediction], label: str, hours: float, onset_collar: float, offsets: bool
) -> dict[str, Any]:
    hits = predicted = true = false_alarms = long_events = overlapped = missed = 0
    delays: list[float] = []
    for each in predictions:
        reference = [e for e in each.reference or () if e.label == label]
        detected = [e for e in each.events if e.label == label]
        hits += _matches(reference, detected, onset_collar, offsets)
        predicted += len(detected)
        true += len(reference)
        false_alarms += sum(not any(_overlap(e, r) for r in reference) for e in detected)
        for event in reference:
            found = [e for e in detected if _overlap(e, event)]
            overlapped += bool(found)
            if event.offset - event.onset < SHORTEST_EVENT_SECONDS - 1e-9:
                continue
            long_events += 1
            missed += not found
            if found and all(e.onset >= event.onset - EARLY_ONSET_SECONDS - 1e-9 for e in found):
                delays.append(min(e.decided for e in found) - event.onset)
    return {
        "f1": 2 * hits / max(predicted + true, 1),
        "precision": hits / max(predicted, 1),
        "recall": hits / max(true, 1),
        "events": true,
        "false_alarms_per_hour": false_alarms / max(hours, 1e-9),
        "detected": overlapped,
        "missed_share": missed / max(long_events, 1),
        "median_delay_seconds": float(np.median(delays)) if delays else None,
    }


def _matches(
    reference: Sequence[Interval], detected: Sequence[DetectedEvent], onset_collar: float, offsets: bool
) -> int:
    from scipy.optimize import linear_sum_assignment

    if not reference or not detected:
        return 0
    fits = np.array([[_fits(r, d, onset_collar, offsets) for d in detected] for r in reference])
    if not fits.any():
        return 0
    rows, columns = linear_sum_assignment(-fits.astype(np.int64))
    return int(fits[rows, columns].sum())


def _fits(true: Interval, detected: Interval, onset_collar: float, offsets: bool) -> bool:
    if abs(detected.onset - true.onset) > onset_collar:
        return False
    collar = max(OFFSET_COLLAR_SECONDS, OFFSET_COLLAR_SHARE * (true.offset - true.onset))
    return not offsets or abs(detected.offset - true.offset) <= collar


def _overlap(a: Interval, b: Interval) -> bool:
    return a.onset < b.offset and b.onset < a.offset
