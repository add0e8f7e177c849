"""Shapes of streaming tensors as they are written: for any batch and chunk."""

from __future__ import annotations

from math import prod

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.rules.folding import Run
from export.streaming.writer import Dims


def dims_of(runs: list[Run]) -> Dims:
    return [
        (frozenset(f.what for f in run if isinstance(f.what, str)), prod(f.size for f in run)) for run in runs
    ]


def real_dims(alignment: Alignment) -> Dims:
    """The axes of the streaming tensor."""
    dims: Dims = []
    for place, axis in enumerate(alignment.axes):
        if place == alignment.batch:
            names = {f for f in alignment.fold if isinstance(f, str)} | (
                {"T"} if alignment.summary else set()
            )
            size = prod(f for f in alignment.fold if isinstance(f, int))
            dims.append((frozenset(names - {"T"} if alignment.open else names), size))
            dims += [(frozenset("T"), 1)] if alignment.open else []
        elif axis.kind in ("fixed", "keys"):
            dims.append((frozenset(), axis.size))
        else:
            dims.append((frozenset("T"), alignment.outer))
    return dims


def reshaped(ctx: Context, name: str, before: Dims, after: Dims) -> str:
    """Reshape for any batch and chunk: a constant shape if one of the two axes keeps its place."""
    if before == after:
        return name
    free = [place for place, (names, _) in enumerate(after) if names]
    shape = [-1 if names else size for names, size in after]
    if len(free) == 2:
        kept = [place for place in free if place < len(before) and before[place] == after[place]]
        if not kept:
            place = next(p for p in free if "N" in after[p][0])
            streams = ctx.write.one("Shape", [ctx.features], "streams", start=0, end=1)
            if after[place][1] != 1:
                streams = ctx.write.one("Mul", [streams, ctx.write.ints(after[place][1])], "streams")
            parts = [streams if p == place else ctx.write.ints(size) for p, size in enumerate(shape)]
            return ctx.write.one(
                "Reshape", [name, ctx.write.one("Concat", parts, "shape", axis=0)], "reshaped"
            )
        shape[kept[0]] = 0
    return ctx.write.reshape(name, shape, dims=(before, after))
