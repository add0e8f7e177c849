"""Normalisation and other operators along axes: allowed along features, refused along time."""

from __future__ import annotations

from export.streaming.alignment import Alignment
from export.streaming.axes import MOVING
from export.streaming.context import WHOLE, Context
from export.streaming.node import Node
from export.streaming.rules.pointwise import closed
from export.streaming.rules.registry import rule

ADVICE = "use LayerNorm over the features, or BatchNorm, which is fixed in eval mode"


def check_axes(ctx: Context, node: Node, alignment: Alignment, axes: list[int], advice: str = ADVICE) -> None:
    """Refuse an operator that works along time or across streams."""
    for axis in axes:
        kind = alignment.axes[axis].kind
        if kind in MOVING:
            ctx.refuse(node, f"it works along time, so {WHOLE}", advice)
        if kind == "batch":
            ctx.refuse(node, "it mixes the streams of a batch", "keep streams independent")


@rule("Softmax", "LogSoftmax", "Hardmax", "LpNormalization")
def along_axis(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    axis = node.attrs.get("axis", -1) % len(alignment.axes)
    advice = (
        ADVICE if node.op == "LpNormalization" else "take the maximum or mean over time in place of attention"
    )
    check_axes(ctx, node, alignment, [axis], advice)
    real = alignment.real(axis)
    last = len(alignment.axes) - 1
    name, *_ = ctx.copy(node, [alignment.name], axis=-1 if axis == last else real)
    ctx.derive(node, alignment, name)


@rule("ArgMax", "ArgMin")
def arg_extreme(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    axis = node.attrs.get("axis", 0) % len(alignment.axes)
    check_axes(ctx, node, alignment, [axis], "compare classes, not frames")
    name, *_ = ctx.copy(node, [alignment.name], axis=alignment.real(axis))
    ctx.derive(node, alignment, name)


@rule("DFT")
def fourier(ctx: Context, node: Node) -> None:
    """A transform over bins; its last axis holds real and imaginary parts."""
    alignment = closed(ctx, node, ctx.alignment(node.inputs[0]))
    given = ctx.fixed(node, node.inputs[2]).reshape(-1)[0] if node.input(2) else node.attrs.get("axis", 1)
    axis = int(given) % len(alignment.axes)
    check_axes(
        ctx, node, alignment, [axis], "transform features, not frames; frames are the front end's work"
    )
    parameters = [ctx.parameter(node, name) for name in node.inputs[1:]]
    name, *_ = ctx.copy(node, [alignment.name, *parameters])
    ctx.derive(node, alignment, name)


@rule("TopK")
def top_k(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    axis = node.attrs.get("axis", -1) % len(alignment.axes)
    check_axes(ctx, node, alignment, [axis], "sort features, not frames")
    names = ctx.copy(node, [alignment.name, ctx.parameter(node, node.inputs[1])], axis=alignment.real(axis))
    for position, name in enumerate(names):
        if node.outputs[position]:
            ctx.derive(node, alignment, name, position)


@rule("OneHot")
def one_hot(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    rank = len(alignment.axes) + 1
    if node.attrs.get("axis", -1) % rank != rank - 1:
        ctx.refuse(node, "it spreads classes over an inner axis", "put them last, as torch does")
    parameters = [ctx.parameter(node, name) for name in node.inputs[1:]]
    name, *_ = ctx.copy(node, [alignment.name, *parameters], axis=-1)
    ctx.derive(node, alignment, name)


@rule("LayerNormalization", "RMSNormalization")
def layer_norm(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    rank = len(alignment.axes)
    axis = node.attrs.get("axis", -1) % rank
    check_axes(ctx, node, alignment, list(range(axis, rank)))
    for position in (1, 2):
        if node.outputs[position:]:
            ctx.refuse_later(node.outputs[position], node, "its statistics are used", "use its result alone")
    parameters = [ctx.parameter(node, name) for name in node.inputs[1:]]
    name, *_ = ctx.copy(node, [alignment.name, *parameters], count=1, axis=axis - rank)
    ctx.derive(node, alignment, name)


@rule("BatchNormalization")
def batch_norm(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    if node.attrs.get("training_mode", 0):
        ctx.refuse(node, "it is in training mode", "call model.eval() before exporting")
    check_axes(ctx, node, alignment, [1])
    alignment = closed(ctx, node, alignment)
    parameters = [ctx.parameter(node, name) for name in node.inputs[1:]]
    name, *_ = ctx.copy(node, [alignment.name, *parameters], count=1)
    ctx.derive(node, alignment, name)


@rule("InstanceNormalization", "GroupNormalization", "MeanVarianceNormalization")
def instance_norm(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    if node.op == "MeanVarianceNormalization":
        normalised = list(node.attrs.get("axes", [0, 2, 3]))
    else:
        normalised = list(range(2, len(alignment.axes)))
    check_axes(ctx, node, alignment, normalised)
    alignment = closed(ctx, node, alignment)
    parameters = [ctx.parameter(node, name) for name in node.inputs[1:]]
    name, *_ = ctx.copy(node, [alignment.name, *parameters])
    ctx.derive(node, alignment, name)
