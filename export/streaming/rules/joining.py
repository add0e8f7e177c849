"""Operators that join, pad or split along an axis. Padding in time costs nothing: it only moves the lag."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from export.streaming.context import WHOLE, Context
from export.streaming.memory import masked
from export.streaming.node import Node
from export.streaming.rules.normalisation import check_axes
from export.streaming.rules.pointwise import align, closed, merged
from export.streaming.rules.registry import rule
from export.streaming.track import Track


def shift(ctx: Context, node: Node, track: Track, rows: int, source: str) -> None:
    """Register an output that is the input with ``rows`` rows put before it (negative: taken away)."""
    offset = Fraction(rows) / track.rate
    lag = track.lag - rows
    moved = replace(
        track,
        lag=lag,
        first=None if track.first is None else track.first - offset,
        last=track.last - offset,
        blame=ctx.blame(node, track, lag, track.rate),
    )
    ctx.derive(node, moved, track.name, node.outputs.index(source))


@rule("Pad")
def pad(ctx: Context, node: Node) -> None:
    track = ctx.track(node.inputs[0])
    rank = len(track.axes)
    full = _pads(ctx, node, rank)
    batch, time = track.batch, track.time
    if full[batch] or full[batch + rank]:
        ctx.refuse(node, "it pads the batch or folded time", "pad time as an axis of its own")
    mode = node.attrs.get("mode", b"constant").decode()
    value = float(ctx.fixed(node, node.inputs[2]).reshape(-1)[0]) if node.input(2) else 0.0
    before = 0
    if time is not None:
        before = full[time]
        full[time] = full[time + rank] = 0
    if before > 0 and mode != "constant":
        ctx.refuse(node, f"{mode} padding at the start copies frames to come", "pad with a constant")
    if any(full):
        track = closed(ctx, node, track)
        extra = [ctx.write.constant(np.float32(value))] if value else []
        name = ctx.write.one("Pad", [track.name, ctx.write.ints(*full), *extra], "padded", mode=mode)
        track = replace(track, name=name)
    if before > 0:
        track = masked(ctx, track, value)
    shift(ctx, node, track, before, node.output)


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
    moving = [name for name in node.inputs if ctx.moves(name)]
    tracks = align(ctx, node, [ctx.track(name) for name in moving])
    if len(moving) < len(node.inputs):
        ctx.refuse(node, "it joins constants to the features", "add a bias instead")
    if len({(t.batch, t.time) for t in tracks}) > 1:
        ctx.refuse(node, "it joins tensors whose time axes differ", "transpose one of them")
    name, *_ = ctx.copy(node, [t.name for t in tracks], axis=tracks[0].real(axis))
    ctx.derive(node, merged(tracks, tracks[0]), name)


def _concat_time(ctx: Context, node: Node, axis: int) -> None:
    """Constants before the sequence pad it; constants behind it matter only to what looks at the end."""
    moving = [i for i, name in enumerate(node.inputs) if ctx.moves(name)]
    if len(moving) > 1:
        ctx.refuse(node, f"it puts one sequence behind another, so {WHOLE}", "join along features")
    track = ctx.track(node.inputs[moving[0]])
    if track.time != axis:
        ctx.refuse(node, "it puts a summary into the sequence", "join along features")
    values = [ctx.static_operand(node, name) for name in node.inputs[: moving[0]]]
    rows = sum(ctx.probe.value(name).shape[axis] for name in node.inputs[: moving[0]])
    if rows and track.lag > 0:
        level = np.unique(np.concatenate([v.reshape(-1) for v in values]))
        if level.size != 1:
            ctx.refuse(
                node, "it puts learned frames before a sequence that starts late", "pad with a constant"
            )
        track = masked(ctx, track, level[0])
    shift(ctx, node, track, rows, node.output)


@rule("Split")
def split(ctx: Context, node: Node) -> None:
    track = ctx.track(node.inputs[0])
    axis = node.attrs.get("axis", 0) % len(track.axes)
    check_axes(ctx, node, track, [axis], "split features, not time")
    sizes = [ctx.axes(node, name)[axis].size for name in node.outputs]
    count = len(node.outputs)
    name, *rest = ctx.write.emit(
        "Split", [track.name, ctx.write.ints(*sizes)], "split", count, axis=track.real(axis)
    )
    for position, part in enumerate([name, *rest]):
        ctx.derive(node, track, part, position)
