"""OutputReport: how an output is doing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputReport:
    """How an output is doing, for status lines and the end of a run.

    Attributes:
        name: as its option is called.
        target: what it was given: a folder, an address.
        delivered: messages that it took.
        waiting: messages in its queue.
        dropped: messages that it never got.
        errors: messages at which it failed.
        trouble: why it cannot deliver just now; "" where it can.
        held_back: events that its rule of acting did not let through.
    """

    name: str
    target: str
    delivered: int = 0
    waiting: int = 0
    dropped: int = 0
    errors: int = 0
    trouble: str = ""
    held_back: int = 0
