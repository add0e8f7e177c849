"""Operators that work on each element alone, with broadcasting; and the alignment of branches that meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.streaming.context import WHOLE, Context
from export.streaming.memory import delay
from export.streaming.node import Node
from export.streaming.rules.registry import rule
from export.streaming.track import Track

UNARY = (
    *(
        "Abs",
        "Acos",
        "Acosh",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "Cast",
        "Ceil",
        "Celu",
        "Clip",
        "Cos",
        "Cosh",
    ),
    *(
        "Dropout",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "IsInf",
        "IsNaN",
    ),
    *("LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid"),
    *("Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu"),
)
BROADCAST = (
    *(
        "Add",
        "And",
        "BitwiseAnd",
        "BitwiseOr",
        "BitwiseXor",
        "Div",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
    ),
    *("LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor"),
)


@rule(*UNARY)
def unary(ctx: Context, node: Node) -> None:
    track = ctx.track(node.inputs[0])
    if node.op == "Dropout":  # a graph in eval mode: the identity
        ctx.derive(node, track, track.name)
        return
    parameters = [ctx.parameter(node, name) for name in node.inputs[1:]]
    name, *_ = ctx.copy(node, [track.name, *parameters])
    ctx.derive(node, track, name)


@rule(*BROADCAST)
def broadcast(ctx: Context, node: Node) -> None:
    moving = [name for name in node.inputs if ctx.moves(name)]
    tracks = align(ctx, node, [ctx.track(name) for name in moving])
    aligned = dict(zip(moving, tracks, strict=True))
    rank = len(ctx.axes(node, node.output))
    like = tracks[0]
    _same_place(ctx, node, tracks, rank)
    lead = max(tracks, key=lambda t: len(t.axes))
    inputs = [
        aligned[name].name
        if name in aligned
        else ctx.write.constant(_broadcastable(ctx.static_operand(node, name), lead, rank), name)
        for name in node.inputs
    ]
    name, *_ = ctx.copy(node, inputs)
    ctx.derive(node, merged(tracks, like), name)


def merged(tracks: list[Track], like: Track) -> Track:
    """Bookkeeping of a tensor computed from several aligned ones."""
    unbounded = any(t.first is None for t in tracks)
    return replace(
        like,
        first=None if unbounded else min(t.first for t in tracks if t.first is not None),
        last=max(t.last for t in tracks),
        warmup=max(t.warmup for t in tracks),
        blame=next((t.blame for t in tracks if t.blame), ""),
    )


def align(ctx: Context, node: Node, tracks: list[Track]) -> list[Track]:
    """Delay the earlier ones so that row i of all means the same moment. Refused if they cannot meet."""
    if len({t.summary for t in tracks}) > 1:
        ctx.refuse(
            node,
            f"a summary of the whole sequence goes back to every frame, so {WHOLE}",
            "use a causal running statistic, or drop the squeeze-and-excite, normalisation or attention it belongs to",
        )
    if len({t.rate for t in tracks}) > 1:
        ctx.refuse(node, "it joins branches of different frame rate", "give both branches the same stride")
    if len({(t.time is None, t.time_major) for t in tracks}) > 1:
        ctx.refuse(node, "one of its inputs has time folded into the batch", "fold or unfold both")
    lag = max(t.lag for t in tracks)
    tracks = [delay(ctx, node, t, lag - t.lag) for t in tracks]
    if len({t.open for t in tracks}) > 1:
        tracks = [closed(ctx, node, t) for t in tracks]
    return tracks


def closed(ctx: Context, node: Node, track: Track) -> Track:
    """Fold an open time axis back into the batch axis, for operators that count axes."""
    if not track.open:
        return track
    if track.time_major:
        ctx.refuse(node, "time was folded before the batch axis", "fold as (batch * time)")
    shape = [-1 if i == track.batch else axis.size for i, axis in enumerate(track.axes)]
    if track.axes[track.batch].size != 1:
        ctx.refuse(
            node, "features are folded into the batch of a summary", "keep features an axis of their own"
        )
    name = ctx.write.one("Reshape", [track.name, ctx.write.ints(*shape)], "folded")
    return replace(track, name=name, open=False)


def _same_place(ctx: Context, node: Node, tracks: list[Track], rank: int) -> None:
    """Refuse if time or batch axes do not lie over each other after broadcasting."""
    for position in ("time", "batch"):
        places = set()
        for track in tracks:
            axis = getattr(track, position)
            if axis is not None:
                places.add(rank - len(track.axes) + axis)
        if len(places) > 1:
            ctx.refuse(
                node,
                f"it compares every {'frame' if position == 'time' else 'stream'} with every other, so {WHOLE}",
                "use a recurrent layer or a causal convolution in place of attention",
            )


def _broadcastable(value: np.ndarray, track: Track, rank: int) -> np.ndarray:
    """Give a constant room for an open time axis."""
    if not track.open:
        return value
    behind = rank - 1 - (rank - len(track.axes) + track.batch)  # axes right of the batch axis
    if value.ndim <= behind:
        return value
    return np.expand_dims(value, value.ndim - behind)
