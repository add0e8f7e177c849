"""View: how a person looks at the readings, apart from what they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """What keys have changed about the picture.

    Attributes:
        chosen: index of the class that keys are about; None before one is chosen.
        skipped: newest events that are scrolled over.
        paused: the picture stands still, while listening goes on.
    """

    chosen: int | None = None
    skipped: int = 0
    paused: bool = False
