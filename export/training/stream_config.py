"""StreamConfig: how recordings become batches."""

from __future__ import annotations

import msgspec

from stream.errors import SpecError


class StreamConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How recordings become batches.

    Attributes:
        carry: True: long streams whose state is carried from batch to batch; False: each recording alone, from
            the initial state.
        rows: recordings or streams in a batch; 0 = chosen by the amount of data.
        frames: feature frames in a batch of streams. Gradients do not go back further.
        gap: (shortest, longest) gap between recordings, seconds.
        silence: share of gaps that are digital silence; the others are background, or without backgrounds
            there is no gap.
        background_class: the class of the gaps. None: they carry no weight (softmax) or have no class (sigmoid).
        reset: probability that a row is reset to the initial state at the beginning of a batch.
        balance: 0 = every recording once an epoch. Above 0, as many recordings are drawn with all classes equally
            likely, and within a class a speaker or source with n recordings n ** (1 - balance) times as likely as
            one with a single recording.
    """

    carry: bool = True
    rows: int = 0
    frames: int = 200
    gap: tuple[float, float] = (0.0, 0.5)
    silence: float = 0.3
    background_class: str | None = None
    reset: float = 0.03
    balance: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gap[0] <= self.gap[1] <= 60:
            raise SpecError(
                f"gap {self.gap[0]:g} to {self.gap[1]:g}: must be 0 to 60 seconds, shortest first"
            )
        if self.rows < 0 or self.frames < 1:
            raise SpecError(f"rows {self.rows}, frames {self.frames}: must not be negative or zero")
        for name in ("silence", "reset", "balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpecError(f"{name} {getattr(self, name):g}: must be 0 to 1")
