"""Operators that only move axes: Transpose, Squeeze, Unsqueeze, Flatten, Reshape, Expand, Tile."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import NoReturn

from export.streaming.alignment import Alignment
from export.streaming.axes import Axes, find
from export.streaming.context import WHOLE, Context
from export.streaming.memory import delay
from export.streaming.node import Node
from export.streaming.rules.normalisation import ADVICE
from export.streaming.rules.pointwise import closed
from export.streaming.rules.registry import rule


@rule("Transpose")
def transpose(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    rank = len(alignment.axes)
    perm = list(node.attrs.get("perm", range(rank)[::-1]))
    if alignment.open:
        order = [alignment.real(axis) for axis in perm]
        order.insert(perm.index(alignment.batch) + 1, alignment.real_time)
    else:
        order = perm
    ctx.derive(node, alignment, ctx.write.transpose(alignment.name, order))


@rule("Unsqueeze")
def unsqueeze(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    rank = len(alignment.axes)
    out_rank = rank + ctx.fixed(node, node.inputs[1]).size
    new = sorted(int(a) % out_rank for a in ctx.fixed(node, node.inputs[1]).reshape(-1))
    batch = [i for i in range(out_rank) if i not in new][alignment.batch]
    real = [axis + 1 if alignment.open and axis > batch else axis for axis in new]
    name = ctx.write.one("Unsqueeze", [alignment.name, ctx.write.ints(*real)], "unsqueezed")
    ctx.derive(node, alignment, name)


@rule("Squeeze")
def squeeze(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    if node.input(1):
        axes = [int(a) for a in ctx.fixed(node, node.inputs[1]).reshape(-1)]
    else:
        axes = [i for i, axis in enumerate(alignment.axes) if axis.kind == "fixed" and axis.size == 1]
    real = [alignment.real(axis) for axis in axes]
    name = ctx.write.one("Squeeze", [alignment.name, ctx.write.ints(*sorted(real))], "squeezed")
    ctx.derive(node, alignment, name)


@rule("Expand", "Tile")
def expand(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    axes = ctx.axes(node, node.output)
    before = (find(alignment.axes, "time", "both"), len(alignment.axes))
    after = (find(axes, "time", "both"), len(axes))
    if (before[0] is None) != (after[0] is None):
        ctx.refuse(
            node,
            "a summary of the whole sequence is repeated for every frame",
            "use a causal running statistic instead",
        )
    alignment = closed(ctx, node, alignment)
    if node.op == "Tile":
        repeats = ctx.fixed(node, node.inputs[1])
        name, *_ = ctx.copy(node, [alignment.name, ctx.write.constant(repeats)])
    else:
        shape = [axis.size if axis.kind == "fixed" else 1 for axis in axes]
        name = ctx.write.one("Expand", [alignment.name, ctx.write.ints(*shape)], "expanded")
    ctx.derive(node, alignment, name)


@rule("Flatten", "Reshape")
def reshape(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    axes = ctx.probe.axes(node.output)
    if axes is None:
        _refuse_mixing(ctx, node)
    if alignment.summary:
        _reshape_summary(ctx, node, alignment, axes)
        return
    time_in = find(alignment.axes, "time", "both")
    time_out = find(axes, "time", "both")
    if time_out is None or time_in is None:
        ctx.refuse(
            node,
            "it folds time into the features, so it needs the whole sequence",
            "keep the time axis (mean over time, or the last frame, make a summary)",
        )
    kinds = (alignment.axes[time_in].kind, axes[time_out].kind)
    if kinds == ("time", "both"):
        _fold(ctx, node, alignment, axes, time_in, time_out)
    elif kinds == ("both", "time"):
        _unfold(ctx, node, alignment, axes, time_out)
    else:
        _keep(ctx, node, alignment, axes, time_in, time_out)


def _refuse_mixing(ctx: Context, node: Node) -> NoReturn:
    if ctx.feeds(node.output, "InstanceNormalization"):  # how exporters write GroupNorm
        ctx.refuse(node, f"it normalises over time, so {WHOLE}", ADVICE)
    ctx.refuse(node, "it mixes time with another axis", "keep time an axis of its own")


def _sizes(axes: Axes) -> list[int]:
    """Sizes with batch and time as coprime large numbers, to compare products of axes."""
    unit = {"fixed": 1, "batch": 10007, "time": 1, "both": 10007}
    return [axis.size * unit[axis.kind] for axis in axes]


def _keep(ctx: Context, node: Node, alignment: Alignment, axes: Axes, time_in: int, time_out: int) -> None:
    """Time stays an axis; k frames may be stacked into one row of k times the features."""
    before, after = alignment.axes[time_in], axes[time_out]
    k = before.rate / after.rate
    sizes_in, sizes_out = _sizes(alignment.axes), _sizes(axes)
    stacked = k.denominator == 1 and prod(sizes_out[time_out + 1 :]) == k * prod(sizes_in[time_in + 1 :])
    if not stacked or prod(sizes_out[:time_out]) != prod(sizes_in[:time_in]):
        _refuse_mixing(ctx, node)
    step = int(k)
    if step > 1:
        alignment = delay(ctx, node, alignment, -alignment.lag % step)
    lag = alignment.lag // step
    rate = alignment.rate / step
    shape = _target(ctx, alignment, axes)
    name = (
        ctx.write.one("Reshape", [alignment.name, shape], "reshaped")
        if not alignment.open
        else alignment.name
    )
    if alignment.open:
        name = _reshape_open(ctx, node, alignment, axes)
    last = alignment.last + Fraction(step - 1) / alignment.rate
    ctx.derive(
        node,
        alignment,
        name,
        rate=rate,
        lag=lag,
        last=last,
        lookahead_layer=ctx.lookahead_layer(node, alignment, lag, rate),
    )


def _fold(ctx: Context, node: Node, alignment: Alignment, axes: Axes, time_in: int, time_out: int) -> None:
    """(N, T, F) -> (N * T, F). The streaming tensor stays (N, T, F): open."""
    sizes = _sizes(alignment.axes)
    rest_in, rest_out = prod(sizes[max(time_in, alignment.batch) + 1 :]), prod(_sizes(axes)[time_out + 1 :])
    between = sizes[min(time_in, alignment.batch) + 1 : max(time_in, alignment.batch)]
    if (
        rest_in != rest_out
        or prod(between) != 1
        or time_out != 0
        or alignment.axes[alignment.batch].size != 1
    ):
        ctx.refuse(node, "it mixes time with features and streams", "keep time an axis of its own")
    if alignment.batch > time_in:  # (T, N, F) -> (T * N, F)
        shape = [-1, *(axis.size for axis in axes[1:])]
        name = ctx.write.one("Reshape", [alignment.name, ctx.write.ints(*shape)], "folded")
        ctx.derive(node, alignment, name, time_major=True)
        return
    shape = [0, -1, *(axis.size for axis in axes[1:])]
    same = alignment.batch == 0 and [a.size for a in axes[1:]] == [
        a.size for a in alignment.axes[time_in + 1 :]
    ]
    if same and time_in == 1:
        name = alignment.name
    elif alignment.batch == 0:
        name = ctx.write.one("Reshape", [alignment.name, ctx.write.ints(*shape)], "reshaped")
    else:
        ctx.refuse(node, "it folds axes before the batch", "make the batch the first axis")
    ctx.derive(node, alignment, name, open=True)


def _unfold(ctx: Context, node: Node, alignment: Alignment, axes: Axes, time_out: int) -> None:
    """(N * T, F) -> (N, T, F), or (T, N, F) if it was folded so."""
    batch_out = find(axes, "batch")
    pair = (time_out, batch_out) if alignment.time_major else (batch_out, time_out)
    if pair != (0, 1) or axes[time_out].rate != alignment.rate:
        ctx.refuse(
            node, "it unfolds time from the batch in another order than it was folded", "keep the order"
        )
    rest = [axis.size for axis in axes[2:]]
    if alignment.open:
        if rest == [axis.size for axis in alignment.axes[1:]]:
            name = alignment.name
        else:
            name = ctx.write.one("Reshape", [alignment.name, ctx.write.ints(0, 0, *rest)], "reshaped")
        ctx.derive(node, alignment, name, open=False)
        return
    streams = ctx.write.one("Shape", [ctx.features], "streams", start=0, end=1)
    order = [ctx.write.ints(-1), streams] if alignment.time_major else [streams, ctx.write.ints(-1)]
    shape = ctx.write.one("Concat", [*order, ctx.write.ints(*rest)], "shape", axis=0)
    name = ctx.write.one("Reshape", [alignment.name, shape], "unfolded")
    ctx.derive(node, alignment, name, time_major=False)


def _reshape_summary(ctx: Context, node: Node, alignment: Alignment, axes: Axes) -> None:
    batch = find(axes, "batch", "both")
    if (
        batch is None
        or axes[batch].kind != "batch"
        or axes[batch].size != alignment.axes[alignment.batch].size
    ):
        ctx.refuse(node, "it mixes streams with features", "keep the batch axis")
    if prod(_sizes(axes)[:batch]) != prod(_sizes(alignment.axes)[: alignment.batch]):
        ctx.refuse(node, "it mixes streams with features", "keep the batch axis")
    if alignment.open:
        ctx.derive(node, alignment, _reshape_open(ctx, node, alignment, axes))
        return
    shape = [-1 if i == batch else axis.size for i, axis in enumerate(axes)]
    ctx.derive(
        node, alignment, ctx.write.one("Reshape", [alignment.name, ctx.write.ints(*shape)], "reshaped")
    )


def _reshape_open(ctx: Context, node: Node, alignment: Alignment, axes: Axes) -> str:
    """Reshape features of an open tensor: its batch and time axes are copied where they are."""
    batch = find(axes, "batch", "both")
    if batch != alignment.batch or (batch and axes[:batch] != alignment.axes[:batch]):
        ctx.refuse(node, "it reshapes axes before the batch", "make the batch the first axis")
    rest = [axis.size for axis in axes[batch + 1 :]]
    if rest == [axis.size for axis in alignment.axes[batch + 1 :]]:
        return alignment.name
    lead = [0] * (batch + 2)
    return ctx.write.one("Reshape", [alignment.name, ctx.write.ints(*lead, *rest)], "reshaped")


def _target(ctx: Context, alignment: Alignment, axes: Axes) -> str:
    """Shape operand that works for any batch and chunk: constant if one of the two axes keeps its place."""
    shape = [axis.size if axis.kind == "fixed" else -1 for axis in axes]
    free = [i for i, axis in enumerate(axes) if axis.kind != "fixed"]
    if len(free) == 2:
        kept = [
            i
            for i in free
            if i < len(alignment.axes)
            and alignment.axes[i].kind == axes[i].kind
            and (alignment.axes[i].size, alignment.axes[i].rate) == (axes[i].size, axes[i].rate)
        ]
        if not kept:
            batch = find(axes, "batch")
            assert batch is not None
            streams = ctx.write.one("Shape", [ctx.features], "streams", start=0, end=1)
            if axes[batch].size != 1:
                streams = ctx.write.one("Mul", [streams, ctx.write.ints(axes[batch].size)], "streams")
            parts = [streams if i == batch else ctx.write.ints(size) for i, size in enumerate(shape)]
            return ctx.write.one("Concat", parts, "shape", axis=0)
        shape[kept[0]] = 0
    return ctx.write.ints(*shape)
