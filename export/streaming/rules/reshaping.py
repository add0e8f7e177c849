"""Operators that only move axes: Transpose, Squeeze, Unsqueeze, Flatten, Reshape, Expand, Tile."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import NoReturn

from export.streaming.alignment import Alignment
from export.streaming.axes import Axis, find
from export.streaming.context import WHOLE, Context
from export.streaming.memory import delay
from export.streaming.node import Node
from export.streaming.rules.folding import Factor, Regrouped, Run, regroup
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


def _refuse_mixing(ctx: Context, node: Node) -> NoReturn:
    if ctx.feeds(node.output, "InstanceNormalization"):  # how exporters write GroupNorm
        ctx.refuse(node, f"it normalises over time, so {WHOLE}", ADVICE)
    ctx.refuse(node, "it mixes time with another axis", "keep time an axis of its own")


Dims = list[
    tuple[frozenset[str], int]
]  # an axis of a streaming tensor: streams and frames in it, and the rest


def _regrouped(ctx: Context, alignment: Alignment, grouped: Regrouped, opened: bool) -> str:
    """Emit a reshape of the streaming tensor, whose frames may lie elsewhere than the offline tensor's."""
    frames = Factor("T", False)
    if not alignment.summary:
        row = [factor for run in grouped.runs for factor in run]
        target = _dims([part for run in grouped.runs for part in _opened(run, opened)])
        return _reshaped(ctx, alignment.name, _real_dims(alignment), target)
    row = [factor for run in grouped.runs for factor in run]
    edge = sum(factor.front for factor in row)
    now = [*row[:edge], frames, *row[edge:]]
    runs = []
    for run in grouped.runs:
        runs += [run, [frames]] if any(f.what == "N" for f in run) else [run]
    then = [factor for run in runs for factor in run]
    if [id(f) for f in now] == [id(f) for f in then]:
        return _reshaped(ctx, alignment.name, _real_dims(alignment), _dims(runs))
    single = _dims([[factor] for factor in now])
    name = _reshaped(ctx, alignment.name, _real_dims(alignment), single)
    places = {id(factor): place for place, factor in enumerate(now)}
    name = ctx.write.transpose(name, [places[id(factor)] for factor in then])
    return _reshaped(ctx, name, _dims([[factor] for factor in then]), _dims(runs))


def _opened(run: Run, opened: bool) -> list[Run]:
    names = [factor.what for factor in run]
    return [run[:-1], run[-1:]] if opened and "N" in names and names[-1] == "T" else [run]


def _dims(runs: list[Run]) -> Dims:
    return [
        (frozenset(f.what for f in run if isinstance(f.what, str)), prod(f.size for f in run)) for run in runs
    ]


def _real_dims(alignment: Alignment) -> Dims:
    """The axes of the streaming tensor."""
    dims: Dims = []
    for place, axis in enumerate(alignment.axes):
        if place == alignment.batch:
            names = {f for f in alignment.fold if isinstance(f, str)} | (
                {"T"} if alignment.summary else set()
            )
            size = prod(f for f in alignment.fold if isinstance(f, int))
            dims.append((frozenset(names - {"T"} if alignment.open else names), size))
            dims += [(frozenset("T"), 1)] if alignment.open else []
        elif axis.kind in ("fixed", "keys"):
            dims.append((frozenset(), axis.size))
        else:
            dims.append((frozenset("T"), alignment.outer))
    return dims


def _reshaped(ctx: Context, name: str, before: Dims, after: Dims) -> str:
    """Reshape for any batch and chunk: a constant shape if one of the two axes keeps its place."""
    if before == after:
        return name
    free = [place for place, (names, _) in enumerate(after) if names]
    shape = [-1 if names else size for names, size in after]
    if len(free) == 2:
        kept = [place for place in free if place < len(before) and before[place] == after[place]]
        if not kept:
            place = next(p for p in free if "N" in after[p][0])
            streams = ctx.write.one("Shape", [ctx.features], "streams", start=0, end=1)
            if after[place][1] != 1:
                streams = ctx.write.one("Mul", [streams, ctx.write.ints(after[place][1])], "streams")
            parts = [streams if p == place else ctx.write.ints(size) for p, size in enumerate(shape)]
            return ctx.write.one(
                "Reshape", [name, ctx.write.one("Concat", parts, "shape", axis=0)], "reshaped"
            )
        shape[kept[0]] = 0
    return ctx.write.one("Reshape", [name, ctx.write.ints(*shape)], "reshaped")
