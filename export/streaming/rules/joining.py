"""Operators that join, pad or split along an axis. Padding in time costs nothing: it only moves the lag."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import WHOLE, Context
from export.streaming.memory import masked
from export.streaming.node import Node
from export.streaming.rules.normalisation import check_axes
from export.streaming.rules.pointwise import align, closed, merged
from export.streaming.rules.registry import rule


def shift(ctx: Context, node: Node, alignment: Alignment, rows: int, source: str) -> None:
    """Register an output that is the input with ``rows`` rows put before it (negative: taken away)."""
    rows *= alignment.every
    offset = Fraction(rows) / alignment.rate
    lag = alignment.lag - rows
    moved = replace(
        alignment,
        lag=lag,
        first=None if alignment.first is None else alignment.first - offset,
        last=alignment.last - offset,
        lookahead_layer=ctx.lookahead_layer(node, alignment, lag, alignment.rate),
    )
    ctx.derive(node, moved, alignment.name, node.outputs.index(source))


@rule("Pad")
def pad(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    rank = len(alignment.axes)
    full = _pads(ctx, node, rank)
    batch, time = alignment.batch, alignment.time
    if full[batch] or full[batch + rank]:
        ctx.refuse(node, "it pads the batch or folded time", "pad time as an axis of its own")
    mode = node.attrs.get("mode", b"constant").decode()
    value = float(ctx.fixed(node, node.inputs[2]).reshape(-1)[0]) if node.input(2) else 0.0
    before = 0
    if time is not None:
        before = full[time]
        full[time] = full[time + rank] = 0
    if before > 0 and mode not in ("constant", "edge"):
        ctx.refuse(
            node,
            f"{mode} padding at the start copies frames to come",
            "pad with a constant, or by mode='replicate', which repeats the first frame",
        )
    if any(full):
        alignment = closed(ctx, node, alignment)
        extra = [ctx.write.constant(np.float32(value))] if value else []
        name = ctx.write.one("Pad", [alignment.name, ctx.write.ints(*full), *extra], "padded", mode=mode)
        alignment = replace(alignment, name=name)
    if before > 0 and mode == "edge":
        repeat_first(ctx, node, alignment, before)
        return
    if before > 0:
        _check_padded_once(ctx, node, alignment)
        alignment = masked(ctx, alignment, value)
    shift(ctx, node, alignment, before, node.output)


def repeat_first(ctx: Context, node: Node, alignment: Alignment, rows: int) -> None:
    """Replicate padding: before a stream's first frame lie copies of it."""
    if alignment.lag > 0:
        ctx.refuse(
            node,
            f"it repeats the first of frames that come late ({alignment.lookahead_layer})",
            "pad before what looks ahead, or with a constant",
        )
    # Rows known before the sound (padding before this one) are copied as they are known.
    edge = alignment.edge or alignment.lag == 0
    shift(ctx, node, replace(alignment, edge=edge), rows, node.output)


def _check_padded_once(ctx: Context, node: Node, alignment: Alignment) -> None:
    if alignment.edge:
        ctx.refuse(node, "it pads with a constant what was padded with copies of the first frame", "pad once")


def _pads(ctx: Context, node: Node, rank: int) -> list[int]:
    pads = [int(p) for p in ctx.fixed(node, node.inputs[1])]
    if not node.input(3):
        return pads
    axes = [int(a) % rank for a in ctx.fixed(node, node.inputs[3])]
    full = [0] * (2 * rank)
    for i, axis in enumerate(axes):
        full[axis], full[axis + rank] = pads[i], pads[i + len(axes)]
    return full


@rule("Concat")
def concat(ctx: Context, node: Node) -> None:
    axes = ctx.axes(node, node.output)
    axis = node.attrs["axis"] % len(axes)
    if axes[axis].kind == "time":
        _concat_time(ctx, node, axis)
        return
    if axes[axis].kind != "fixed":
        ctx.refuse(node, "it joins along the batch", "join along features")
    moving = [name for name in node.inputs if ctx.varies(name)]
    alignments = align(ctx, node, [ctx.alignment(name) for name in moving])
    constant = [ctx.static_operand(node, name) for name in node.inputs if name not in moving]
    if constant:
        alignments = [closed(ctx, node, t) for t in alignments]
    if len({(t.batch, t.time) for t in alignments}) > 1:
        ctx.refuse(node, "it joins tensors whose time axes differ", "transpose one of them")
    parts = iter(t.name for t in alignments)
    fixed = iter([_for_every_frame(ctx, value, alignments[0], axis) for value in constant])
    inputs = [next(parts) if name in moving else next(fixed) for name in node.inputs]
    name, *_ = ctx.copy(node, inputs, axis=alignments[0].real(axis))
    ctx.derive(node, merged(alignments, alignments[0]), name)


def _for_every_frame(ctx: Context, value: np.ndarray, like: Alignment, axis: int) -> str:
    """A constant as long as a tensor's streams and frames, to be joined to it along ``axis``."""
    write = ctx.write
    sizes = [
        write.ints(value.shape[place])
        if place == axis or each.kind == "fixed"
        else write.one("Shape", [like.name], "size", start=place, end=place + 1)
        for place, each in enumerate(like.axes)
    ]
    return write.one(
        "Expand", [write.constant(value), write.one("Concat", sizes, "shape", axis=0)], "constant"
    )


def _concat_time(ctx: Context, node: Node, axis: int) -> None:
    """Constants before the sequence pad it; constants behind it matter only to what looks at the end."""
    moving = [i for i, name in enumerate(node.inputs) if ctx.varies(name)]
    if len(moving) == 2 == len(node.inputs) and _first_frames(ctx, node, axis):
        rows = ctx.probe.value(node.inputs[0]).shape[axis]
        repeat_first(ctx, node, ctx.alignment(node.inputs[1]), rows)
        return
    if len(moving) > 1:
        ctx.refuse(node, f"it puts one sequence behind another, so {WHOLE}", "join along features")
    alignment = ctx.alignment(node.inputs[moving[0]])
    if alignment.time != axis:
        ctx.refuse(node, "it puts a summary into the sequence", "join along features")
    values = [ctx.static_operand(node, name) for name in node.inputs[: moving[0]]]
    rows = sum(ctx.probe.value(name).shape[axis] for name in node.inputs[: moving[0]])
    if rows:
        _check_padded_once(ctx, node, alignment)
    if rows and alignment.lag > 0:
        level = np.unique(np.concatenate([v.reshape(-1) for v in values]))
        if level.size != 1:
            ctx.refuse(
                node, "it puts learned frames before a sequence that starts late", "pad with a constant"
            )
        alignment = masked(ctx, alignment, level[0])
    shift(ctx, node, alignment, rows, node.output)


def _first_frames(ctx: Context, node: Node, axis: int) -> bool:
    """True if what stands first is the first row of what follows, perhaps repeated."""
    first, rest = node.inputs
    if not ctx.refused(first) or ctx.refused(rest) or ctx.alignment(rest).time != axis:
        return False
    for part, whole in zip(ctx.probe.values(first), ctx.probe.values(rest), strict=True):
        if not np.array_equal(part, np.broadcast_to(whole.take([0], axis=axis), part.shape)):
            return False
    return True


@rule("Split")
def split(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    axis = node.attrs.get("axis", 0) % len(alignment.axes)
    check_axes(ctx, node, alignment, [axis], "split features, not time")
    sizes = [ctx.axes(node, name)[axis].size for name in node.outputs]
    count = len(node.outputs)
    name, *rest = ctx.write.emit(
        "Split", [alignment.name, ctx.write.ints(*sizes)], "split", count, axis=alignment.real(axis)
    )
    for position, part in enumerate([name, *rest]):
        ctx.derive(node, alignment, part, position)
