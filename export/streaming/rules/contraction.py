"""Matrix products: fine along features, refused along time."""

from __future__ import annotations

import numpy as np

from export.streaming.axes import find
from export.streaming.context import WHOLE, Context
from export.streaming.node import Node
from export.streaming.rules.pointwise import align, closed, merged
from export.streaming.rules.registry import rule
from export.streaming.track import Track

ATTENTION = "use a recurrent layer or a causal convolution in place of attention"


@rule("MatMul")
def matmul(ctx: Context, node: Node) -> None:
    left, right = node.inputs
    if ctx.moves(left) and ctx.moves(right):
        _between_tracks(ctx, node, ctx.track(left), ctx.track(right))
        return
    track = ctx.track(left if ctx.moves(left) else right)
    rank = len(track.axes)
    contracted = rank - 1 if ctx.moves(left) else max(rank - 2, 0)
    _check_contracted(ctx, node, track, contracted)
    weight = ctx.static_operand(node, right if ctx.moves(left) else left)
    if weight.ndim > 2 or rank < 2 or (track.open and not ctx.moves(left)):
        track = closed(ctx, node, track)
    other = ctx.write.constant(weight, right if ctx.moves(left) else left)
    name, *_ = ctx.copy(node, [track.name, other] if ctx.moves(left) else [other, track.name])
    ctx.derive(node, track, name)


def _between_tracks(ctx: Context, node: Node, left: Track, right: Track) -> None:
    """Both sides depend on the sound: only products frame by frame are possible."""
    out = ctx.axes(node, node.output)
    rank = len(out)
    for track, contracted in ((left, len(left.axes) - 1), (right, len(right.axes) - 2)):
        _check_contracted(ctx, node, track, contracted)
    times = [rank - len(t.axes) + t.time for t in (left, right) if t.time is not None]
    if sum(axis.kind in ("time", "both") for axis in out) > 1 or len(set(times)) > 1:
        ctx.refuse(node, f"it compares frames with frames (attention), so {WHOLE}", ATTENTION)
    if len({rank - len(t.axes) + t.batch for t in (left, right)}) > 1:
        ctx.refuse(node, "it mixes the streams of a batch", "keep streams independent")
    both = [closed(ctx, node, t) for t in align(ctx, node, [left, right])]
    name, *_ = ctx.copy(node, [t.name for t in both])
    ctx.derive(node, merged(both, both[0]), name)


def _check_contracted(ctx: Context, node: Node, track: Track, axis: int) -> None:
    kind = track.axes[axis].kind
    if kind in ("time", "both"):
        ctx.refuse(node, f"it sums over time with weights (attention), so {WHOLE}", ATTENTION)
    if kind == "batch":
        ctx.refuse(node, "it mixes the streams of a batch", "keep streams independent")


@rule("Gemm")
def gemm(ctx: Context, node: Node) -> None:
    if not ctx.moves(node.inputs[0]) or any(ctx.moves(name) for name in node.inputs[1:]):
        ctx.refuse(node, "its weights are computed from the sound", "use constant weights")
    track = ctx.track(node.inputs[0])
    attrs = node.attrs
    _check_contracted(ctx, node, track, 0 if attrs.get("transA", 0) else 1)
    bias = ctx.static_operand(node, node.inputs[2]) if node.input(2) else None
    if not track.open:
        inputs = [track.name, ctx.parameter(node, node.inputs[1])]
        if bias is not None:
            inputs.append(ctx.write.constant(bias, node.inputs[2]))
        name, *_ = ctx.copy(node, inputs)
    else:  # (N, T, F): a Gemm takes two axes only
        weight = ctx.fixed(node, node.inputs[1])
        weight = (weight.T if attrs.get("transB", 0) else weight) * np.float32(attrs.get("alpha", 1.0))
        name = ctx.write.one("MatMul", [track.name, ctx.write.constant(weight, node.inputs[1])], "product")
        if bias is not None:
            bias = bias * np.float32(attrs.get("beta", 1.0))
            name = ctx.write.one("Add", [name, ctx.write.constant(bias, node.inputs[2])], "biased")
    ctx.derive(node, track, name)


@rule("Einsum")
def einsum(ctx: Context, node: Node) -> None:
    equation = node.attrs["equation"].decode().replace(" ", "")
    if "->" not in equation or "." in equation:
        ctx.refuse(node, f"equation {equation!r} has no rule", "name every axis and the result")
    terms, result = equation.split("->")
    labels = terms.split(",")
    moving = [(name, label) for name, label in zip(node.inputs, labels, strict=True) if ctx.moves(name)]
    tracks = [closed(ctx, node, t) for t in align(ctx, node, [ctx.track(name) for name, _ in moving])]
    for kind, kinds in (("time", ("time", "both")), ("streams", ("batch", "both"))):
        places = set()
        for track, (_, label) in zip(tracks, moving, strict=True):
            axis = find(track.axes, *kinds)
            if axis is not None:
                places.add(label[axis])
        if len(places) > 1 or not places <= set(result):
            ctx.refuse(node, f"it sums over or compares {kind} ({equation})", ATTENTION)
    names = iter(t.name for t in tracks)
    inputs = [next(names) if ctx.moves(name) else ctx.parameter(node, name) for name in node.inputs]
    name, *_ = ctx.copy(node, inputs)
    ctx.derive(node, merged(tracks, tracks[0]), name)
