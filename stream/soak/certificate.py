"""The certificate of a soak: one line per claim, each with the figures that it rests on."""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, frozen=True):
    """One claim.

    Attributes:
        claim: what should hold.
        ok: whether it does; None = not measured here.
        detail: the figures.
    """

    claim: str
    ok: bool | None
    detail: str

    def __str__(self) -> str:
        word = {True: "ok      ", False: "FAILED  ", None: "unknown "}[self.ok]
        return f"{word} {self.claim}: {self.detail}"


class Certificate(msgspec.Struct, frozen=True):
    """What a soak found.

    Attributes:
        model, sha256: what was soaked.
        hours: of sound, gaps included.
        seed: of the schedule.
        start, end: absolute sample indices.
        sample_rate: Hz.
        state_norms: largest norm of the state in each round of the schedule.
        resident_mib: memory in RAM after each round; empty where not measured.
        settle_seconds: of reference sound after each round until the probabilities were those of a new stream;
            infinite if they never were.
        lines: the claims.
    """

    model: str
    sha256: str
    hours: float
    seed: int
    start: int
    end: int
    sample_rate: int
    state_norms: list[float]
    resident_mib: list[float]
    settle_seconds: list[float]
    lines: list[Line]

    @property
    def ok(self) -> bool:
        """True when no claim failed."""
        return all(line.ok is not False for line in self.lines)
