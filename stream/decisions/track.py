"""What a detector keeps of one class between rows, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass

OFF, RISING, ON, FALLING = range(4)


@dataclass(slots=True)
class Track:
    """Where one class stands. ``total``/``rows``/``peak`` run from the onset; ``*_on`` hold them as of the last
    row that was on, which is what an event reports when a fall turns out to be its end."""

    threshold: float
    release: float
    confirm: float
    rows_on: int
    rows_off: int
    refractory: int
    mode: int = OFF
    onset: int = 0
    last_on: int = 0  # one past the last row that was on
    waited: int = 0  # rows spent rising or falling
    sure: bool = False  # ``confirm`` was reached since the onset
    total: float = 0.0
    rows: int = 0
    peak: float = 0.0
    total_on: float = 0.0
    rows_seen_on: int = 0
    free_from: int | None = None  # sample before which a new onset is refused
    gap: int = 0
    id: int = -1


@dataclass(frozen=True, slots=True)
class Change:
    """An event found in a push, before ids are given in order of decision."""

    row: int
    column: int
    onset: int
    offset: int | None
    peak: float
    mean: float
    decided: int
    gap: int
    cut: bool
