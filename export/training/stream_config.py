"""StreamConfig: the settings by which recordings become batches."""

from __future__ import annotations

import msgspec

from stream.errors import SpecError


class StreamConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How recordings become batches.

    Attributes:
        carry: True: streams with carried state; False: each recording alone from the initial state.
        rows: recordings or streams side by side; 0 = chosen from the amount of data.
        frames: feature frames of a batch of streams: gradients reach no further back.
        gap: (least, most) seconds between recordings.
        silence: share of gaps that are digital silence; the others are background, or without background
            no gap at all.
        quiet: the class that gaps belong to; None: they teach nothing (softmax) or no class (sigmoid).
        fresh: chance that a row is reset at a batch.
        even: 0 = every recording once an epoch; above 0, as many are drawn with classes equally likely and, in a
            class, a speaker or source of n recordings n ** (1 - even) times as likely as one of a single.
    """

    carry: bool = True
    rows: int = 0
    frames: int = 200
    gap: tuple[float, float] = (0.0, 0.5)
    silence: float = 0.3
    quiet: str | None = None
    fresh: float = 0.03
    even: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gap[0] <= self.gap[1] <= 60:
            raise SpecError(f"gap {self.gap[0]:g} to {self.gap[1]:g}: must be 0 to 60 seconds, least first")
        if self.rows < 0 or self.frames < 1:
            raise SpecError(f"rows {self.rows}, frames {self.frames}: must not be negative or zero")
        if not 0 <= self.even <= 1:
            raise SpecError(f"even {self.even:g}: must be 0 to 1")
