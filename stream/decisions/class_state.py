"""What a detector keeps of one class between rows, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from stream.errors import SnapshotInvalid

OFF, RISING, ON, FALLING = range(4)


@dataclass(slots=True)
class ClassState:
    """Where one class stands. ``total``/``rows``/``peak`` run from the onset; ``*_on`` hold them as of the last
    row that was on, which is what an event reports when a fall turns out to be its end."""

    threshold: float
    release: float
    peak_threshold: float
    rows_on: int
    rows_off: int
    refractory: int
    mode: int = OFF
    onset: int = 0
    last_on: int = 0  # one past the last row that was on
    waited: int = 0  # rows spent rising or falling
    sure: bool = False  # ``peak_threshold`` was reached since the onset
    total: float = 0.0
    rows: int = 0
    peak: float = 0.0
    total_on: float = 0.0
    rows_seen_on: int = 0
    free_from: int | None = None  # sample before which a new onset is refused
    gap: int = 0
    id: int = -1

    def values(self) -> dict[str, Any]:
        """What changes from row to row, as plain values."""
        return {name: getattr(self, name) for name in _CARRIED}

    def set_values(self, values: dict[str, Any]) -> None:
        """Continue from what ``values`` gave; SnapshotInvalid if it is something else."""
        if set(values) != set(_CARRIED) or values["mode"] not in (OFF, RISING, ON, FALLING):
            raise SnapshotInvalid("snapshot of 'detector': a class does not fit; save it again")
        for name, value in values.items():
            if not isinstance(value, (int, float)) and not (name == "free_from" and value is None):
                raise SnapshotInvalid(f"snapshot of 'detector': {name} is {value!r}; save it again")
            setattr(self, name, value)


_RULE = {"threshold", "release", "peak_threshold", "rows_on", "rows_off", "refractory"}
_CARRIED = tuple(field.name for field in fields(ClassState) if field.name not in _RULE)


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
