"""Matrix products: fine along features, refused along time."""

from __future__ import annotations

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.axes import MOVING, find
from export.streaming.context import WHOLE, Context
from export.streaming.masks import RECURRENT as ATTENTION
from export.streaming.node import Node
from export.streaming.rules.attention import scores, weighted
from export.streaming.rules.pointwise import align, closed, for_all_rows, merged
from export.streaming.rules.registry import rule


@rule("MatMul")
def matmul(ctx: Context, node: Node) -> None:
    left, right = node.inputs
    if ctx.varies(left) and ctx.varies(right):
        _between_tracks(ctx, node, ctx.alignment(left), ctx.alignment(right))
        return
    alignment = ctx.alignment(left if ctx.varies(left) else right)
    rank = len(alignment.axes)
    contracted = rank - 1 if ctx.varies(left) else max(rank - 2, 0)
    _check_contracted(ctx, node, alignment, contracted)
    weight = ctx.static_operand(node, right if ctx.varies(left) else left, alignment.period)
    if weight.ndim > 2 or rank < 2 or (alignment.open and not ctx.varies(left)):
        alignment = closed(ctx, node, alignment)
    place = weight.ndim - rank + alignment.batch
    if 0 <= place < weight.ndim - 2 and weight.shape[place] == alignment.period != 1:
        other = for_all_rows(ctx, weight, place, alignment)
    else:
        other = ctx.write.constant(weight, right if ctx.varies(left) else left)
    name, *_ = ctx.copy(node, [alignment.name, other] if ctx.varies(left) else [other, alignment.name])
    ctx.derive(node, alignment, name)


def _between_tracks(ctx: Context, node: Node, left: Alignment, right: Alignment) -> None:
    """Both sides depend on the sound: products frame by frame, or with the frames of a window."""
    out = ctx.axes(node, node.output)
    rank = len(out)
    if left.band:
        weighted(ctx, node, left, right)
        return
    if sum(axis.kind == "time" for axis in out) > 1:
        _check_contracted(ctx, node, left, len(left.axes) - 1)
        _check_contracted(ctx, node, right, len(right.axes) - 2)
        scores(ctx, node, left, right)
        return
    for alignment, contracted in ((left, len(left.axes) - 1), (right, len(right.axes) - 2)):
        _check_contracted(ctx, node, alignment, contracted)
    times = [rank - len(t.axes) + t.time for t in (left, right) if t.time is not None]
    if sum(axis.kind in MOVING for axis in out) > 1 or len(set(times)) > 1:
        ctx.refuse(node, f"it compares frames with frames (attention), so {WHOLE}", ATTENTION)
    if len({rank - len(t.axes) + t.batch for t in (left, right)}) > 1:
        ctx.refuse(node, "it mixes the streams of a batch", "keep streams independent")
    both = [closed(ctx, node, t) for t in align(ctx, node, [left, right])]
    name, *_ = ctx.copy(node, [t.name for t in both])
    ctx.derive(node, merged(both, both[0]), name)


def _check_contracted(ctx: Context, node: Node, alignment: Alignment, axis: int) -> None:
    kind = alignment.axes[axis].kind
    if kind in MOVING:
        ctx.refuse(node, f"it sums over time with weights (attention), so {WHOLE}", ATTENTION)
    if kind == "keys":
        ctx.refuse(node, "it sums over the frames of a window with constant weights", ATTENTION)
    if kind == "batch":
        ctx.refuse(node, "it mixes the streams of a batch", "keep streams independent")


@rule("Gemm")
def gemm(ctx: Context, node: Node) -> None:
    if not ctx.varies(node.inputs[0]) or any(ctx.varies(name) for name in node.inputs[1:]):
        ctx.refuse(node, "its weights are computed from the sound", "use constant weights")
    alignment = ctx.alignment(node.inputs[0])
    attrs = node.attrs
    _check_contracted(ctx, node, alignment, 0 if attrs.get("transA", 0) else 1)
    bias = ctx.static_operand(node, node.inputs[2]) if node.input(2) else None
    if not alignment.open:
        inputs = [alignment.name, ctx.parameter(node, node.inputs[1])]
        if bias is not None:
            inputs.append(ctx.write.constant(bias, node.inputs[2]))
        name, *_ = ctx.copy(node, inputs)
    else:  # (N, T, F): a Gemm takes two axes only
        weight = ctx.fixed(node, node.inputs[1])
        weight = (weight.T if attrs.get("transB", 0) else weight) * np.float32(attrs.get("alpha", 1.0))
        name = ctx.write.one(
            "MatMul", [alignment.name, ctx.write.constant(weight, node.inputs[1])], "product"
        )
        if bias is not None:
            bias = bias * np.float32(attrs.get("beta", 1.0))
            name = ctx.write.one("Add", [name, ctx.write.constant(bias, node.inputs[2])], "biased")
    ctx.derive(node, alignment, name)


@rule("Einsum")
def einsum(ctx: Context, node: Node) -> None:
    equation = node.attrs["equation"].decode().replace(" ", "")
    if "->" not in equation or "." in equation:
        ctx.refuse(node, f"equation {equation!r} has no rule", "name every axis and the result")
    terms, result = equation.split("->")
    labels = terms.split(",")
    moving = [(name, label) for name, label in zip(node.inputs, labels, strict=True) if ctx.varies(name)]
    alignments = [closed(ctx, node, t) for t in align(ctx, node, [ctx.alignment(name) for name, _ in moving])]
    for kind, kinds in (("time", MOVING), ("streams", ("batch", "both"))):
        places = set()
        for alignment, (_, label) in zip(alignments, moving, strict=True):
            axis = find(alignment.axes, *kinds)
            if axis is not None:
                places.add(label[axis])
        if len(places) > 1 or not places <= set(result):
            ctx.refuse(node, f"it sums over or compares {kind} ({equation})", ATTENTION)
    names = iter(t.name for t in alignments)
    inputs = [next(names) if ctx.varies(name) else ctx.parameter(node, name) for name in node.inputs]
    name, *_ = ctx.copy(node, inputs)
    ctx.derive(node, merged(alignments, alignments[0]), name)
