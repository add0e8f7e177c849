"""Reductions. Along features they stay as they are; along time they become running values: a summary."""

from __future__ import annotations

from dataclasses import replace

from export.streaming.alignment import Alignment
from export.streaming.context import WHOLE, Context
from export.streaming.memory import delay
from export.streaming.node import Node
from export.streaming.rules.counting import means_of_sums
from export.streaming.rules.pointwise import closed
from export.streaming.rules.registry import rule
from export.streaming.rules.running import running_extreme, running_mean, running_sum
from export.streaming.rules.sparse import refuse_sparse

_RUNNING = {
    "ReduceMean": running_mean,
    "GlobalAveragePool": running_mean,
    "ReduceSum": running_sum,
    "ReduceMax": running_extreme,
    "GlobalMaxPool": running_extreme,
    "ReduceMin": running_extreme,
}
_POOLS = {"GlobalAveragePool": "ReduceMean", "GlobalMaxPool": "ReduceMax"}


def settle(ctx: Context, node: Node, alignment: Alignment) -> Alignment:
    """Align a sequence with its own end: the newest row is the offline tensor's last row."""
    if alignment.every > 1:
        refuse_sparse(ctx, node)
    if alignment.surplus > 0:
        cause = f" ({alignment.lookahead_layer})" if alignment.lookahead_layer else ""
        ctx.refuse(
            node,
            f"it includes {alignment.surplus} row(s) that depend on padding at the end{cause}",
            "pad on the left only, or trim the end off before it",
        )
    return delay(ctx, node, alignment, -alignment.surplus)


def summarise(
    ctx: Context, node: Node, alignment: Alignment, name: str, *, keepdims: bool, warmup: int
) -> None:
    """Register a sequence of summaries: (.., N, .., T, ..) -> time right behind the batch axis.

    Args:
        name: streaming tensor with one row a frame where the alignment has its time axis.
        keepdims: the offline result keeps an axis of size 1 where time was.
    """
    time, batch, rank = alignment.time, alignment.batch, len(alignment.axes)
    assert time is not None
    order = [i for i in range(rank) if i != time]
    order.insert(order.index(batch) + 1, time)
    if order != list(range(rank)):
        name = ctx.write.transpose(name, order, "summary")
    if keepdims:
        place = time if time < batch else time + 1
        name = ctx.write.one("Unsqueeze", [name, ctx.write.ints(place)], "summary")
    like = replace(alignment, lag=0, first=None, lookahead_layer="", warmup=max(alignment.warmup, warmup))
    ctx.derive(node, like, name, summary=True, open=True)


@rule(
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "GlobalAveragePool",
    "GlobalMaxPool",
)
def reduce(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    rank = len(alignment.axes)
    axes, keepdims = _axes(ctx, node, rank)
    if alignment.batch in axes or any(alignment.axes[axis].kind == "mixed" for axis in axes):
        ctx.refuse(
            node, "it mixes the streams of a batch, or frames folded into it", "reduce features or time"
        )
    if alignment.axes[axes[-1]].kind == "keys" and node.op not in ("ReduceMax", "ReduceSum"):
        ctx.refuse(node, f"{node.op} over the frames of a window has no rule", "use softmax")
    others = [axis for axis in axes if axis != alignment.time]
    op = _POOLS.get(node.op, node.op)
    if alignment.time not in axes:
        name = _plain(ctx, op, alignment.name, [alignment.real(a) for a in others], keepdims)
        ctx.derive(node, alignment, name)
        return
    running = _RUNNING.get(node.op)
    if running is None:
        ctx.refuse(node, f"{node.op} over time has no running form, so {WHOLE}", "use a mean, sum or maximum")
    alignment = settle(ctx, node, alignment)
    name = running(ctx, node, alignment)
    if others:
        name = _plain(ctx, op, name, others, True)
    warmup = -alignment.clock.offset
    if keepdims or not others:
        summarise(ctx, node, alignment, name, keepdims=keepdims, warmup=warmup)
        return
    name = ctx.write.one("Squeeze", [name, ctx.write.ints(*others)], "squeezed")
    kept = [i for i in range(rank) if i not in others]
    narrow = replace(alignment, axes=tuple(alignment.axes[i] for i in kept))
    summarise(ctx, node, narrow, name, keepdims=False, warmup=warmup)


def _axes(ctx: Context, node: Node, rank: int) -> tuple[list[int], bool]:
    if node.op in _POOLS:
        return list(range(2, rank)), True
    axes = node.attrs.get("axes")
    if axes is None and node.input(1):
        axes = ctx.fixed(node, node.inputs[1]).reshape(-1)
    if axes is None:
        axes = range(rank)
    return sorted(int(a) % rank for a in axes), bool(node.attrs.get("keepdims", 1))


def _plain(ctx: Context, op: str, name: str, axes: list[int], keepdims: bool) -> str:
    if op == "ReduceSum" or ctx.write.opset >= 18:
        return ctx.write.one(op, [name, ctx.write.ints(*axes)], "reduced", keepdims=int(keepdims))
    return ctx.write.one(op, [name], "reduced", axes=axes, keepdims=int(keepdims))


@rule("CumSum")
def cumsum(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    axis = int(ctx.fixed(node, node.inputs[1]).reshape(-1)[0]) % len(alignment.axes)
    if alignment.axes[axis].kind == "fixed":
        alignment = closed(ctx, node, alignment)
        name, *_ = ctx.copy(node, [alignment.name, ctx.parameter(node, node.inputs[1])])
        ctx.derive(node, alignment, name)
        return
    if axis != alignment.time:
        ctx.refuse(node, "it adds across streams", "add along time or features")
    if node.attrs.get("reverse", 0) or node.attrs.get("exclusive", 0):
        ctx.refuse(
            node, f"it adds from the end or leaves the current frame out, so {WHOLE}", "use cumsum(dim)"
        )
    if means_of_sums(ctx, node):
        return
    ctx.derive(node, alignment, running_sum(ctx, node, alignment), first=None)
