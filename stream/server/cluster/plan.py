"""ClusterPlan: what is deployed on Ray."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stream.errors import UsageError
from stream.server.limits import Limits

if TYPE_CHECKING:
    from stream.inference.session import Model
    from stream.server.access.access import Access

MOST_REPLICAS = 10_000
FULL_AT = 0.7  # of a replica's streams: beyond, another replica is wanted
STREAMS_A_SHELF = 4000  # it takes the state of each every two seconds, at about 0.3 ms of a core
_RANGE = re.compile(r"(\d{1,9})(?:\.\.(\d{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many replicas there are: always at least ``low``, and up to ``high`` where many streams are open."""

    low: int
    high: int

    @classmethod
    def parse(cls, text: str) -> Replicas:
        """ "4", or "2..20".

        Raises:
            UsageError: it is neither, or out of range.
        """
        found = _RANGE.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"replicas {text!r}: want a number such as 4, or a range such as 2..20")
        low = int(found[1])
        high = low if found[2] is None else int(found[2])
        if not 1 <= low <= high <= MOST_REPLICAS:
            raise UsageError(
                f"replicas {text!r}: want 1 to {MOST_REPLICAS}, the smaller number first, such as 2..20"
            )
        return cls(low, high)

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """What is deployed. It is pickled with its models, so replicas need no files.

    Attributes:
        models: by the names that clients use; the first is the default.
        access: who may do what; tokens as they are now.
        limits: of every replica: ``streams`` is what one replica takes.
        replicas: how many.
        page: also the page for people.
        shelves: actors that hold streams on their way; None = as many as the streams need.
        shelf_bytes: that each of them holds at most.
        cpus: cores that Ray reserves for a replica.
    """

    models: dict[str, Model]
    access: Access
    limits: Limits = field(default_factory=Limits)
    replicas: Replicas = field(default_factory=lambda: Replicas(2, 2))
    page: bool = True
    shelves: int | None = None
    shelf_bytes: int = 256 << 20
    cpus: float = 1.0

    @property
    def shelves_wanted(self) -> int:
        """Actors that hold streams on their way."""
        return self.shelves or math.ceil(self.replicas.high * self.limits.streams / STREAMS_A_SHELF)

    @property
    def target_streams(self) -> int:
        """Open connections a replica that Ray aims for when it counts replicas."""
        return max(1, math.floor(self.limits.streams * FULL_AT))

    @property
    def most_connections(self) -> int:
        """Open connections that Ray lets a replica have: its streams, and what else is asked of it."""
        return self.limits.streams + self.limits.requests
