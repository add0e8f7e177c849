"""Operators that work on each element alone, with broadcasting; and the alignment of branches that meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import WHOLE, Context
from export.streaming.masks import banded
from export.streaming.memory import delay
from export.streaming.node import Node
from export.streaming.rules.counting import counted
from export.streaming.rules.registry import rule
from export.streaming.rules.roots import floored
from export.streaming.rules.rotation import rotating

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
    alignment = ctx.alignment(node.inputs[0])
    if node.op == "Dropout":  # a graph in eval mode: the identity
        ctx.derive(node, alignment, alignment.name)
        return
    if node.op == "Sqrt":
        alignment = floored(ctx, node, alignment)
    parameters = [ctx.parameter(node, name) for name in node.inputs[1:]]
    if len(ctx.users(node.inputs[0])) == 1:
        name = ctx.write.beneath(alignment.name, lambda moved: ctx.copy(node, [moved, *parameters])[0])
    else:  # others read the tensor where it is
        name, *_ = ctx.copy(node, [alignment.name, *parameters])
    ctx.derive(node, alignment, name)


@rule(*BROADCAST)
def broadcast(ctx: Context, node: Node) -> None:
    if node.output in ctx.alignments:
        return  # a running mean, written where its sum was met
    moving = [name for name in node.inputs if ctx.varies(name)]
    alignments = align(ctx, node, [ctx.alignment(name) for name in moving])
    aligned = dict(zip(moving, alignments, strict=True))
    rank = len(ctx.axes(node, node.output))
    like = max(alignments, key=lambda t: t.band)
    _same_place(ctx, node, alignments, rank)
    lead = max(alignments, key=lambda t: len(t.axes))
    inputs = [
        aligned[name].name
        if name in aligned
        else counted(ctx, node, name, lead)
        or rotating(ctx, node, name, lead)
        or _operand(ctx, node, name, like, lead, rank)
        for name in node.inputs
    ]
    name, *_ = ctx.copy(node, inputs)
    ctx.derive(node, merged(alignments, like), name)


def _operand(ctx: Context, node: Node, name: str, like: Alignment, lead: Alignment, rank: int) -> str:
    if like.band:
        return ctx.write.constant(banded(ctx, node, name, like.band), name)
    value = ctx.static_operand(node, name, lead.period)
    place = value.ndim - len(lead.axes) + lead.batch
    if 0 <= place < value.ndim and value.shape[place] == lead.period != 1:
        return for_all_rows(ctx, value, place, lead)
    return ctx.write.constant(_broadcastable(value, lead, rank), name)


def for_all_rows(ctx: Context, value: np.ndarray, place: int, like: Alignment) -> str:
    """Repeat what a static tensor has for the features of a stream's axis for every stream (and frame) in it."""
    write, period = ctx.write, value.shape[place]
    start = like.real(like.batch)
    rows = write.one("Shape", [like.name], "rows", start=start, end=start + 1)
    count = write.one("Div", [rows, write.ints(period)], "count")
    rest = [*value.shape[:place], period, *value.shape[place + 1 :]]
    shape = write.one(
        "Concat", [write.ints(*part) for part in (rest[:place],) if part] + [count, write.ints(*rest[place:])],
        "shape", axis=0,
    )  # fmt: skip
    wide = write.one("Expand", [write.constant(np.expand_dims(value, place)), shape], "repeated")
    merged_shape = [*value.shape[:place], -1, *value.shape[place + 1 :]]
    return write.one("Reshape", [wide, write.ints(*merged_shape)], "repeated")


def merged(alignments: list[Alignment], like: Alignment) -> Alignment:
    """Bookkeeping of a tensor computed from several aligned ones."""
    unbounded = any(t.first is None for t in alignments)
    return replace(
        like,
        first=None if unbounded else min(t.first for t in alignments if t.first is not None),
        last=max(t.last for t in alignments),
        warmup=max(t.warmup for t in alignments),
        lookahead_layer=next((t.lookahead_layer for t in alignments if t.lookahead_layer), ""),
    )


def align(ctx: Context, node: Node, alignments: list[Alignment]) -> list[Alignment]:
    """Delay the earlier ones so that row i of all means the same moment. Refused if they cannot meet."""
    if len({t.summary for t in alignments}) > 1:
        ctx.refuse(
            node,
            f"a summary of the whole sequence goes back to every frame, so {WHOLE}",
            "use a causal running statistic, or drop the squeeze-and-excite, normalisation or attention it belongs to",
        )
    if len({(t.rate, t.every) for t in alignments}) > 1:
        ctx.refuse(node, "it joins branches of different frame rate", "give both branches the same stride")
    if len({(t.time is None, t.fold, t.outer) for t in alignments}) > 1:
        ctx.refuse(
            node, "one of its inputs has time or features folded into the batch", "fold or unfold both"
        )
    lag = max(t.lag for t in alignments)
    if lag < 0 and len({t.edge for t in alignments}) > 1:
        ctx.refuse(
            node,
            "it joins a sequence whose first frame is repeated at the start with one padded otherwise",
            "pad both in the same way",
        )
    alignments = [delay(ctx, node, t, lag - t.lag) for t in alignments]
    if len({t.open for t in alignments}) > 1:
        alignments = [closed(ctx, node, t) for t in alignments]
    return alignments


def closed(ctx: Context, node: Node, alignment: Alignment) -> Alignment:
    """Fold an open time axis back into the batch axis, for operators that count axes."""
    if not alignment.open:
        return alignment
    shape = [-1 if i == alignment.batch else axis.size for i, axis in enumerate(alignment.axes)]
    name = ctx.write.one("Reshape", [alignment.name, ctx.write.ints(*shape)], "folded")
    return replace(alignment, name=name, open=False)


def _same_place(ctx: Context, node: Node, alignments: list[Alignment], rank: int) -> None:
    """Refuse if time or batch axes do not lie over each other after broadcasting."""
    for position in ("time", "batch"):
        places = set()
        for alignment in alignments:
            axis = getattr(alignment, position)
            if axis is not None:
                places.add(rank - len(alignment.axes) + axis)
        if len(places) > 1:
            ctx.refuse(
                node,
                f"it compares every {'frame' if position == 'time' else 'stream'} with every other, so {WHOLE}",
                "use a recurrent layer or a causal convolution in place of attention",
            )


def _broadcastable(value: np.ndarray, alignment: Alignment, rank: int) -> np.ndarray:
    """Give a constant room for an open time axis."""
    if not alignment.open:
        return value
    behind = rank - 1 - (rank - len(alignment.axes) + alignment.batch)  # axes right of the batch axis
    if value.ndim <= behind:
        return value
    return np.expand_dims(value, value.ndim - behind)
