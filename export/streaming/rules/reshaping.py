"""Operators that only move axes: Transpose, Squeeze, Unsqueeze, Flatten, Reshape, Expand, Tile."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import NoReturn

from export.streaming.alignment import Alignment
from export.streaming.axes import Axis, find
from export.streaming.context import WHOLE, Context
from export.streaming.memory import delay, history, windowed
from export.streaming.node import Node
from export.streaming.rules.dims import dims_of, real_dims, reshaped
from export.streaming.rules.folding import Factor, Regrouped, Run, regroup
from export.streaming.rules.normalisation import ADVICE
from export.streaming.rules.pointwise import closed
from export.streaming.rules.registry import rule
from export.streaming.rules.sparse import refuse_sparse, repeated


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
    dims = real_dims(alignment)
    wide = [axis for axis in order if dims[axis] != (frozenset(), 1)]
    if wide == sorted(wide):  # only axes of size 1 change places
        name = reshaped(ctx, alignment.name, dims, [dims[axis] for axis in order])
    else:
        name = ctx.write.transpose(alignment.name, order)
    ctx.derive(node, alignment, name)


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
    if (
        before[0] is not None
        and after[0] is not None
        and axes[after[0]].rate != alignment.axes[before[0]].rate
    ):
        ctx.refuse(node, f"it puts the sequence behind itself, so {WHOLE}", "repeat features, not frames")
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
    if find(axes, "batch", "both") is None:
        ctx.refuse(node, "it mixes streams with features", "keep the batch axis")
    if not alignment.summary and find(axes, "time", "both") is None:
        ctx.refuse(
            node,
            "it folds time into the features, so it needs the whole sequence",
            "keep the time axis (mean over time, or the last frame, make a summary)",
        )
    if alignment.band and axes[-1].kind == "time":
        axes = (*axes[:-1], Axis("fixed", alignment.band))
    grouped = regroup(alignment, axes)
    if grouped is None:
        _refuse_mixing(ctx, node)
    if alignment.every > 1 and grouped.rows != 1:
        _parts_as_rows(ctx, node, alignment, grouped)
        return
    if grouped.rows < 1 and not ctx.in_blocks(alignment.rate * grouped.rows):
        _stacked_everywhere(ctx, node, alignment, grouped)
        return
    lag, rate, last = alignment.lag, alignment.rate, alignment.last
    if grouped.rows < 1:
        step = grouped.rows.denominator
        alignment = delay(ctx, node, alignment, -lag % step)
        last += Fraction(step - 1) / rate
        lag, rate = alignment.lag // step, rate / step
    else:
        lag, rate = lag * int(grouped.rows), rate * grouped.rows
    opened = alignment.summary or grouped.fold[-1] == "T"
    name = _regrouped(ctx, alignment, grouped, opened)
    ctx.derive(
        node,
        alignment,
        name,
        fold=grouped.fold,
        outer=grouped.outer,
        open=opened,
        rate=rate,
        lag=lag,
        last=last,
        lookahead_layer=ctx.lookahead_layer(node, alignment, lag, rate),
    )


def _stacked_everywhere(ctx: Context, node: Node, alignment: Alignment, grouped: Regrouped) -> None:
    """Frames stacked where the frame rate comes back later: at every frame, those from it on."""
    count, time = grouped.rows.denominator, alignment.time
    if time is None or alignment.outer > 1 or alignment.edge:
        refuse_sparse(ctx, node)
    joined = history(ctx, node, alignment, count - 1)
    name = windowed(ctx, joined, alignment, count)
    axes = (*alignment.axes[: time + 1], Axis("fixed", count), *alignment.axes[time + 1 :])
    stacked = replace(alignment, axes=axes)
    opened = grouped.fold[-1] == "T"
    target = dims_of([part for run in grouped.runs for part in _opened(run, opened)])
    lag = alignment.lag + count - 1
    ctx.derive(
        node,
        alignment,
        reshaped(ctx, name, real_dims(stacked), target),
        fold=grouped.fold,
        open=opened,
        every=count,
        lag=lag,
        last=alignment.last + Fraction(count - 1) / alignment.rate,
        lookahead_layer=ctx.lookahead_layer(node, alignment, lag, alignment.rate),
    )


def _parts_as_rows(ctx: Context, node: Node, alignment: Alignment, grouped: Regrouped) -> None:
    """Features become frames again behind a subsampling: repeat_interleave, or a sub-pixel convolution over time."""
    if grouped.rows < 1 or alignment.summary:
        refuse_sparse(ctx, node)
    times = int(grouped.rows)
    runs = []
    for run in grouped.runs:
        runs += [run[:1], run[1:]] if run[:1] == [Factor("T", run[0].front if run else False)] else [run]
    name = reshaped(ctx, alignment.name, real_dims(alignment), dims_of(runs))
    after = ctx.axes(node, node.output)
    time = find(after, "time")
    if time is None or "T" in grouped.fold:
        refuse_sparse(ctx, node)
    axes = (*after[: time + 1], Axis("fixed", times), *after[time + 1 :])
    parts = replace(alignment, name=name, axes=axes, fold=grouped.fold, outer=1, open=False)
    made = repeated(ctx, node, parts, times, time + 1)
    ctx.derive(node, made, made.name)


def _refuse_mixing(ctx: Context, node: Node) -> NoReturn:
    if ctx.feeds(node.output, "InstanceNormalization"):  # how exporters write GroupNorm
        ctx.refuse(node, f"it normalises over time, so {WHOLE}", ADVICE)
    ctx.refuse(node, "it mixes time with another axis", "keep time an axis of its own")


def _regrouped(ctx: Context, alignment: Alignment, grouped: Regrouped, opened: bool) -> str:
    """Emit a reshape of the streaming tensor, whose frames may lie elsewhere than the offline tensor's."""
    frames = Factor("T", False)
    if not alignment.summary:
        row = [factor for run in grouped.runs for factor in run]
        target = dims_of([part for run in grouped.runs for part in _opened(run, opened)])
        return reshaped(ctx, alignment.name, real_dims(alignment), target)
    row = [factor for run in grouped.runs for factor in run]
    edge = sum(factor.front for factor in row)
    now = [*row[:edge], frames, *row[edge:]]
    runs = []
    for run in grouped.runs:
        runs += [run, [frames]] if any(f.what == "N" for f in run) else [run]
    then = [factor for run in runs for factor in run]
    if [id(f) for f in now] == [id(f) for f in then]:
        return reshaped(ctx, alignment.name, real_dims(alignment), dims_of(runs))
    single = dims_of([[factor] for factor in now])
    name = reshaped(ctx, alignment.name, real_dims(alignment), single)
    places = {id(factor): place for place, factor in enumerate(now)}
    name = ctx.write.transpose(name, [places[id(factor)] for factor in then])
    return reshaped(ctx, name, dims_of([[factor] for factor in then]), dims_of(runs))


def _opened(run: Run, opened: bool) -> list[Run]:
    names = [factor.what for factor in run]
    return [run[:-1], run[-1:]] if opened and "N" in names and names[-1] == "T" else [run]
