"""What the axes of an offline tensor mean, found by watching which sizes change with batch and length."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor of the offline graph.

    Attributes:
        kind: "fixed"; "batch" (``size`` rows a stream); "time" (``rate`` * T + ``offset`` long); "both"
            (streams times frames folded into one axis, perhaps with features); "mixed" (features times frames, the
            features slower: nothing but a reshape can read it); "keys" (frames that others are compared with: of the
            streaming tensor, the ``size`` last ones).
        size: length if fixed; rows a stream if batch.
        rate: rows a feature frame.
        offset: rows more (or fewer) than ``rate`` * T, from padding and trimming.
    """

    kind: Literal["fixed", "batch", "time", "both", "mixed", "keys"]
    size: int = 1
    rate: Fraction = Fraction(0)
    offset: int = 0


Axes = tuple[Axis, ...]
MOVING = ("time", "both", "mixed")  # kinds that grow with the length


def classify(small: int, longer: int, wider: int, lengths: tuple[int, int]) -> Axis | None:
    """The meaning of a size seen at (batch 2, lengths[0]), (2, lengths[1]) and (3, lengths[0]).

    None if no meaning fits: the size is not a multiple of the batch, or not linear in the length.
    """
    t1, t2 = lengths
    if small == longer == wider:
        return Axis("fixed", small)
    if small == longer:
        return Axis("batch", small // 2) if small * 3 == wider * 2 and small % 2 == 0 else None
    folded = small != wider
    if folded:
        if small * 3 != wider * 2 or small % 2 or longer % 2:
            return None
        small, longer = small // 2, longer // 2
    rate = Fraction(longer - small, t2 - t1)
    offset = small - rate * t1
    if rate <= 0 or offset.denominator != 1:
        return None
    return Axis("both" if folded else "time", 1, rate, int(offset))


def find(axes: Axes, *kinds: str) -> int | None:
    """Position of the first axis of one of these kinds."""
    return next((i for i, axis in enumerate(axes) if axis.kind in kinds), None)
