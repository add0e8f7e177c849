"""Which true events were found, missed, doubled, and which detected events are false alarms; of one class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Interval

TOLERANCE_SECONDS = 0.5  # before its onset, and after its end, a detected event still belongs to a true one
JOINED_SECONDS = 0.25  # true events of one class with less between them are one
EARLY_SECONDS = (
    0.1  # a detected event that began earlier than this before a true one was on already: no delay
)
STUCK_SECONDS = 10.0  # a false alarm that goes on counts again each time this is over

Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Matching:
    """True and detected events of one class, each detected one counted once.

    Attributes:
        found: (N,) bool, the true event has a detected event of its own.
        merged: (N,) bool, of those not found: a detected event overlaps it that was on before.
        doubled: (N,) int64, further detected events on a found true event.
        delays: seconds from the true onset to the moment of the report, of those found whose event began with them.
        false: (M,) int64, false alarms that each detected event counts as.
    """

    found: NDArray[np.bool_]
    merged: NDArray[np.bool_]
    doubled: NDArray[np.int64]
    delays: Times
    false: NDArray[np.int64]


def true_times(events: Iterable[Interval], label: str) -> tuple[Times, Times]:
    """Onsets and offsets (N,) of one class in seconds, in order of time, those close together joined."""
    joined: list[list[float]] = []
    for onset, offset in sorted((e.onset, e.offset) for e in events if e.label == label):
        if joined and onset - joined[-1][1] < JOINED_SECONDS:
            joined[-1][1] = max(joined[-1][1], offset)
        else:
            joined.append([onset, offset])
    times = np.array(joined, np.float64).reshape(-1, 2)
    return times[:, 0], times[:, 1]


def match(true: tuple[Times, Times], onsets: Times, offsets: Times, decided: Times) -> Matching:
    """Match detected events with true ones, in order of time.

    A detected event belongs to a true one if it overlaps [onset, offset + 0.5 s] and began no more than 0.5 s before
    the onset. Each true event takes the first that
    belongs to it and was not taken: it is *found*. A detected event that belongs only to events that are found is a
    *double*; one that belongs to none is a *false alarm*. A true event without one of its own is *missed*, also where
    an event went on through it that was on before (*merged*): nobody was told of it. What is on without reason counts
    again every 10 s, so that a class that never ends is not one false alarm.

    Args:
        true: (N,) onsets and offsets from ``true_times``.
        onsets, offsets, decided: (M,) seconds, detected events in order of time.
    """
    begins, ends = true
    low = np.searchsorted(ends + TOLERANCE_SECONDS, onsets, side="right")
    high = np.searchsorted(begins, offsets, side="left")
    found, touched = np.zeros(len(begins), np.bool_), np.zeros(len(begins), np.bool_)
    doubled = np.zeros(len(begins), np.int64)
    false = 1 + ((offsets - onsets) // STUCK_SECONDS).astype(np.int64)
    delays: list[float] = []
    for k in np.flatnonzero(high > low).tolist():
        first, last = int(low[k]), int(high[k])
        touched[first:last] = True
        new = [i for i in range(first, last) if onsets[k] >= begins[i] - TOLERANCE_SECONDS]
        if not new:
            continue  # it was on before there was anything: a false alarm, whatever comes while it lasts
        false[k] = int(max(offsets[k] - ends[last - 1], 0.0) // STUCK_SECONDS)
        free = [i for i in new if not found[i]]
        if not free:
            doubled[new[0]] += 1
            continue
        within = [i for i in free if onsets[k] < ends[i]]  # rather than one that only the tolerance reaches
        own = (within or free)[0]
        found[own] = True
        if onsets[k] >= begins[own] - EARLY_SECONDS:
            delays.append(float(decided[k] - begins[own]))
    return Matching(found, touched & ~found, doubled, np.asarray(delays, np.float64), false)
