"""How a reshape regroups streams, frames and features: the same row of factors, cut at other places.

A tensor's shape is a row of factors, slowest first: "N" streams, "T" frames, and numbers. An axis is a run of them. A
reshape keeps the row and moves the cuts, so what becomes of streams and frames can be read off the sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd, prod

from export.streaming.alignment import Alignment, Fold
from export.streaming.axes import Axes


@dataclass(frozen=True)
class Factor:
    """A factor of a shape.

    Attributes:
        what: "N", "T" or a number.
        front: it comes from the source's axes up to that of the streams, behind which a summary has its frames.
    """

    what: str | int
    front: bool

    @property
    def size(self) -> int:
        return self.what if isinstance(self.what, int) else 1


Run = list[Factor]


@dataclass(frozen=True)
class Regrouped:
    """A reshape, understood.

    Attributes:
        runs: for each axis of the result, its factors.
        rows: rows of the result for a row of the source: more than 1 where features become frames, less where frames
            are stacked.
        outer: as in Alignment.
    """

    runs: list[Run]
    rows: Fraction
    outer: int

    @property
    def fold(self) -> Fold:
        """The factors of the axis with the streams."""
        run = next(run for run in self.runs if any(f.what == "N" for f in run))
        return tuple(f.what for f in run)


def regroup(alignment: Alignment, axes: Axes) -> Regrouped | None:
    """Match the sizes of a reshape's result with the factors of its source; None if they do not fit."""
    row = _Row(alignment)
    runs: list[Run] = []
    rows, outer = Fraction(1), 1
    for axis in axes:
        if axis.kind == "fixed":
            run = row.take(axis.size)
        elif axis.kind == "batch":
            run = row.take(axis.size, "N")
        else:
            ratio = axis.rate / alignment.rate * alignment.every
            if 1 not in (ratio.numerator, ratio.denominator):
                return None
            run = row.take(ratio.numerator, *(("N", "T") if axis.kind == "both" else "T"))
            if run and ratio.denominator > 1:  # frames are stacked: what is left of T are features
                if run[-1].what != "T":
                    return None
                row.give_back(ratio.denominator)
                rows /= ratio.denominator
            if run and axis.kind == "time":
                place = next(i for i, f in enumerate(run) if f.what == "T")
                outer, inner = prod(f.size for f in run[:place]), prod(f.size for f in run[place:])
                if outer > 1 and inner > 1:
                    return None
                rows *= inner
        if run is None:
            return None
        runs.append(run)
    return None if row.left else Regrouped(runs, rows, outer)


class _Row:
    """The factors of a tensor that no axis of the result has taken yet."""

    def __init__(self, alignment: Alignment) -> None:
        self.left: Run = []
        self._apart = alignment.summary  # factors must not be merged across the place of the frames
        for place, axis in enumerate(alignment.axes):
            front = place <= alignment.batch
            if place == alignment.batch:
                names: list[str | int] = list(alignment.fold)
            elif axis.kind in ("fixed", "keys"):
                names = [axis.size]
            else:
                names = [alignment.outer, "T"]
            for name in names:
                self._append(Factor(name, front))

    def _append(self, factor: Factor) -> None:
        if factor.what == 1:
            return
        last = self.left[-1] if self.left else None
        both = last is not None and isinstance(last.what, int) and isinstance(factor.what, int)
        if last is not None and both and (last.front == factor.front or not self._apart):
            self.left[-1] = Factor(last.size * factor.size, last.front)
        else:
            self.left.append(factor)

    def give_back(self, size: int) -> None:
        rest, self.left = self.left, []
        for factor in [Factor(size, False), *rest]:
            self._append(factor)

    def take(self, size: int, *names: str) -> Run | None:
        """The next factors: these names and numbers whose product is ``size``; None if they are not there."""
        run: Run = []
        waiting = set(names)
        while size > 1 or waiting:
            if not self.left:
                return None
            head = self.left[0]
            if isinstance(head.what, str):
                if head.what not in waiting:
                    return None
                waiting.remove(head.what)
                run.append(self.left.pop(0))
                continue
            part = gcd(head.what, size)
            if part == 1 or (part != head.what and (waiting or part != size)):
                return None
            run.append(Factor(part, head.front))
            size //= part
            if part == head.what:
                self.left.pop(0)
            else:
                self.left[0] = Factor(head.what // part, head.front)
        return run
