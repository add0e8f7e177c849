"""Square roots of a difference that only rounding makes negative: mean of squares less square of the mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.node import Node

_LARGEST = 1e-2  # what is added under a root as a floor, not as a term
_MOVING = ("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_BESIDE = ("Add", "Div", "Mul", "Sum")
_DEEP = 12


def floored(ctx: Context, node: Node, alignment: Alignment) -> Alignment:
    """What a root is taken of, kept at the floor that the network adds to a difference.

    In a constant sound the two sides of the difference are equal but for rounding, and whether it comes out below minus
    the floor is chance: it may be fine in the network, and NaN in the stream. Only where it is never below the floor in
    what is probed.
    """
    under = ctx.producer(node.inputs[0])
    if under is None or under.op != "Add":
        return alignment
    floors = [ctx.probe.fixed(name) for name in under.inputs if not ctx.varies(name)]
    rest = [name for name in under.inputs if ctx.varies(name)]
    if len(rest) != 1 or len(floors) != 1 or floors[0] is None or floors[0].size != 1:
        return alignment
    floor = np.float32(floors[0].reshape(-1)[0])
    if not 0 < floor <= _LARGEST or not _subtracts(ctx, rest[0]):
        return alignment
    if any(value.min() < 0.99 * floor for value in ctx.probe.values(node.inputs[0])):
        return alignment
    write = ctx.write
    return replace(alignment, name=write.one("Max", [alignment.name, write.constant(floor)], "floored"))


def _subtracts(ctx: Context, name: str, deep: int = _DEEP) -> bool:
    """True if a tensor is a difference, moved, scaled or with something added."""
    node = ctx.producer(name)
    if node is None or deep == 0:
        return False
    if node.op == "Sub":
        return True
    inputs = node.inputs if node.op in _BESIDE else node.inputs[:1] if node.op in _MOVING else ()
    return any(ctx.varies(each) and _subtracts(ctx, each, deep - 1) for each in inputs)
