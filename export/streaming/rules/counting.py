"""The number of the frame as a value: ``arange`` over time. It is counted on, and a running sum over it is a mean."""

from __future__ import annotations

import numpy as np
from onnx import helper

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.memory import row_numbers, spread
from export.streaming.node import Node
from export.streaming.rules.running import running_mean

_TOLERANCE = 1e-6  # relative; a count in float32


def counts(ctx: Context, name: str) -> tuple[int, float, float] | None:
    """(time axis counted from the end, first value, step) of a tensor that holds the numbers of the rows; else None."""
    if ctx.varies(name) or ctx.probe.fixed(name) is not None:
        return None
    axes = ctx.probe.axes(name)
    times = [i for i, axis in enumerate(axes or ()) if axis.kind == "time"]
    if axes is None or len(times) != 1 or any(axis.kind not in ("time", "fixed") for axis in axes):
        return None
    (time,) = times
    first = step = 0.0
    for value in ctx.probe.values(name):
        rows = np.moveaxis(value, time, -1).reshape(-1, value.shape[time]).astype(np.float64)
        first, step = float(rows[0, 0]), float(rows[0, 1] - rows[0, 0])
        line = first + step * np.arange(rows.shape[1])
        if step == 0 or np.abs(rows - line).max() > _TOLERANCE * np.abs(line).max():
            return None
    return time - len(axes), first, step


def counted(ctx: Context, node: Node, name: str, lead: Alignment) -> str | None:
    """A streaming tensor in place of an offline one that counts rows, broadcastable over ``lead``; else None."""
    found = counts(ctx, name)
    if found is None or lead.open or lead.time is None or lead.summary:
        return None
    behind, first, step = found
    if lead.time - len(lead.axes) != behind or any(
        axis.size != 1 for axis in ctx.axes(node, name) if axis.kind == "fixed"
    ):
        return None
    write = ctx.write
    rows = write.one("Add", [row_numbers(ctx, lead), write.ints(-lead.lag)], "number")
    if lead.lag > 0:
        rows = write.one("Max", [rows, write.ints(0)], "number")
    dtype = ctx.probe.value(name).dtype
    if np.issubdtype(dtype, np.integer):
        whole = write.one("Mul", [rows, write.constant(np.int64(step))], "count") if step != 1 else rows
        whole = write.one("Add", [whole, write.constant(np.int64(first))], "count") if first else whole
        if dtype != np.int64:
            whole = write.one("Cast", [whole], "count", to=int(helper.np_dtype_to_tensor_dtype(dtype)))
        return spread(ctx, lead, whole)
    number = write.one("Cast", [rows], "number", to=1)
    number = write.one("Mul", [number, write.constant(np.float32(step))], "count") if step != 1 else number
    number = write.one("Add", [number, write.constant(np.float32(first))], "count") if first else number
    return spread(ctx, lead, number)


def means_of_sums(ctx: Context, node: Node) -> bool:
    """Write what a running sum is divided by its count for: a mean, which loses no precision in a long stream.

    Args:
        node: CumSum along time.

    Returns:
        True if nothing else needs the sum.
    """
    quotients = ctx.users(node.output)
    if not quotients or not all(each.op == "Div" and each.inputs[0] == node.output for each in quotients):
        return False
    summed = ctx.alignment(node.inputs[0])
    divisors = [counts(ctx, each.inputs[1]) for each in quotients]
    for each, found in zip(quotients, divisors, strict=True):
        if found is None or summed.time is None or found[0] != summed.time - len(summed.axes):
            return False
        if abs(found[1] - found[2]) > _TOLERANCE * abs(found[2]):  # first = step: 1, 2, 3 times something
            return False
        if any(axis.size != 1 for axis in ctx.axes(each, each.inputs[1]) if axis.kind == "fixed"):
            return False
        if ctx.axes(each, each.output) != ctx.axes(node, node.output):
            return False
    mean = running_mean(ctx, node, summed)
    for each, found in zip(quotients, divisors, strict=True):
        assert found is not None
        name = mean
        if found[2] != 1:
            name = ctx.write.one("Div", [mean, ctx.write.constant(np.float32(found[2]))], "mean")
        ctx.derive(each, summed, name, first=None)
    ctx.refuse_later(node.output, node, "it is a sum that only its mean stands for", "use the mean")
    return True
