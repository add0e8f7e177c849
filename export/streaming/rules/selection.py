"""Slice and Gather: trims and shifts of time are bookkeeping; the last frame makes a summary."""

from __future__ import annotations

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.axes import Axis
from export.streaming.context import WHOLE, Context
from export.streaming.memory import Array, delay, history
from export.streaming.node import Node
from export.streaming.rules.joining import repeat_first, shift
from export.streaming.rules.normalisation import check_axes
from export.streaming.rules.pointwise import align, merged
from export.streaming.rules.reduction import settle, summarise
from export.streaming.rules.registry import rule
from export.streaming.rules.windows import slide
from export.streaming.writer import END

LAST = "take the last frame, or a mean or maximum over time"


@rule("Slice")
def slice_(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    rank = len(alignment.axes)
    ranges = _ranges(ctx, node, rank)
    time = alignment.time
    part = ranges.pop(time, None) if time is not None else None
    if part is not None and ranges:
        ctx.refuse(node, "it cuts time and features at once", "cut them one after the other")
    if part is None:
        check_axes(ctx, node, alignment, list(ranges), "cut features, not streams")
        name = alignment.name
        for axis, runs in ranges.items():
            if len(set(runs)) > 1:
                ctx.refuse(node, "where it cuts depends on the length", "cut at constant places")
            start, stop, step, _ = runs[0]
            end = stop if stop is not None else END if step > 0 else -END
            name = ctx.write.slice(name, start, end, alignment.real(axis), "cut", step)
        ctx.derive(node, alignment, name)
        return
    _cut_time(ctx, node, alignment, part)


Range = tuple[int, "int | None", int, int]


def _ranges(ctx: Context, node: Node, rank: int) -> dict[int, list[Range]]:
    """Per axis the (start, stop, step, size) in each probe run, Python's meaning."""
    runs: dict[int, list[Range]] = {}
    for run in range(3):
        size = ctx.probe.value(node.inputs[0], run).shape
        for name in node.inputs[1:]:
            if name and ctx.varies(name):
                ctx.refuse(node, "where it cuts depends on the sound", "cut at constant places")
        starts = [int(v) for v in ctx.probe.value(node.inputs[1], run).reshape(-1)]
        ends = [int(v) for v in ctx.probe.value(node.inputs[2], run).reshape(-1)]
        axes = list(range(len(starts)))
        if node.input(3):
            axes = [int(v) % rank for v in ctx.probe.value(node.inputs[3], run).reshape(-1)]
        steps = [1] * len(starts)
        if node.input(4):
            steps = [int(v) for v in ctx.probe.value(node.inputs[4], run).reshape(-1)]
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            low, high, step = slice(start, None if end <= -END else end, step).indices(size[axis])
            if (low, high, step) != (0, size[axis], 1) or axis in runs:
                runs.setdefault(axis, []).append((low, None if high < 0 else high, step, size[axis]))
    return {axis: found for axis, found in runs.items() if len(found) == 3}


def _cut_time(ctx: Context, node: Node, alignment: Alignment, runs: list[Range]) -> None:
    steps = {step for _, _, step, _ in runs}
    step = steps.pop()
    if steps or step < 0:
        ctx.refuse(node, f"it reverses time, so {WHOLE}", "remove the flip")
    starts = {start for start, *_ in runs}
    trims = {size - (stop or 0) for _, stop, _, size in runs}
    from_end = {size - start for start, _, _, size in runs}
    if len(from_end) == 1 and len(trims) == 1 and step == 1 and len(starts) > 1:
        back = trims.pop()
        count = from_end.pop() - back
        if count == 1:
            _take_from_end(ctx, node, alignment, back, keepdims=True)
        else:
            _take_last(ctx, node, alignment, count, back)
        return
    if len(starts) != 1:
        ctx.refuse(node, "where it cuts depends on the length", LAST)
    if len(trims) != 1 and step == 1:
        ctx.refuse_later(node.output, node, "it takes the first frames only, whatever comes later", LAST)
        return
    start = starts.pop()
    if step == 1:
        shift(ctx, node, alignment, -start, node.output)
        return
    slide(
        ctx,
        node,
        alignment,
        lambda name, step, _: (
            ctx.write.slice(name, 0, END, alignment.real_time, "every", step) if step > 1 else name
        ),
        span=1,
        step=step,
        pad=-start,
    )


def _take_from_end(ctx: Context, node: Node, alignment: Alignment, back: int, keepdims: bool) -> None:
    """Row ``back`` before the last one becomes a summary: one row a frame, each the newest of its moment."""
    alignment = settle(ctx, node, alignment)
    alignment = delay(ctx, node, alignment, back)
    summarise(ctx, node, alignment, alignment.name, keepdims=keepdims, warmup=back - alignment.clock.offset)


def _take_last(ctx: Context, node: Node, alignment: Alignment, count: int, back: int) -> None:
    """The last ``count`` rows, up to ``back`` before the end, become a summary of that many rows."""
    alignment = settle(ctx, node, alignment)
    time, write = alignment.time, ctx.write
    assert time is not None
    joined = history(ctx, node, alignment, count - 1 + back)
    rows = [
        write.one(
            "Unsqueeze", [write.slice(joined, i, i - count + 1 - back or END, time, "row"), place], "row"
        )
        for place in [write.ints(time + 1)]
        for i in range(count)
    ]
    name = write.one("Concat", rows, "rows", axis=time + 1)
    axes = (*alignment.axes[: time + 1], Axis("fixed", count), *alignment.axes[time + 1 :])
    batch = alignment.batch
    order = [i for i in range(len(axes)) if i != time]
    order.insert(order.index(batch if batch < time else batch + 1) + 1, time)
    name = write.transpose(name, order, "rows")
    warmup = count - 1 + back - alignment.clock.offset
    ctx.derive(
        node,
        alignment,
        name,
        lag=0,
        lookahead_layer="",
        warmup=max(alignment.warmup, warmup),
        first=None if alignment.first is None else alignment.first - (count - 1 + back) / alignment.rate,
        summary=True,
        open=True,
    )


@rule("Gather")
def gather(ctx: Context, node: Node) -> None:
    data, index = node.inputs
    if ctx.varies(index):
        _look_up(ctx, node)
        return
    axis = node.attrs.get("axis", 0) % len(ctx.axes(node, data))
    if _picked_from_list(ctx, node, axis):
        return
    alignment = ctx.alignment(data)
    if axis != alignment.time:
        check_axes(ctx, node, alignment, [axis], "pick features, not streams")
        index_name = ctx.parameter(node, index)
        name, *_ = ctx.copy(node, [alignment.name, index_name], axis=alignment.real(axis))
        ctx.derive(node, alignment, name)
        return
    _pick_frames(ctx, node, alignment, [ctx.probe.value(index, run) for run in range(3)])


@rule("GatherElements")
def gather_elements(ctx: Context, node: Node) -> None:
    """Values of a frame picked by numbers of the same frame."""
    moving = [name for name in node.inputs if ctx.varies(name)]
    both = align(ctx, node, [ctx.alignment(name) for name in moving])
    if len(both) < 2 or len({(t.batch, t.time) for t in both}) > 1:
        ctx.refuse(
            node, "it picks by constants, or the sound's axes differ", "index with a list, or transpose one"
        )
    axis = node.attrs.get("axis", 0) % len(both[0].axes)
    check_axes(ctx, node, both[0], [axis], "pick features, not frames")
    name, *_ = ctx.copy(node, [t.name for t in both], axis=both[0].real(axis))
    ctx.derive(node, merged(both, both[0]), name)


@rule("GatherND")
def gather_nd(ctx: Context, node: Node) -> None:
    """Gather along one axis, where the indices have one number each: how indexing with a list is exported."""
    data, index = node.inputs
    if not ctx.varies(data) or ctx.varies(index):
        ctx.refuse(node, "which part of the sound it takes depends on the sound", "pick at constant places")
    alignment = ctx.alignment(data)
    axis = node.attrs.get("batch_dims", 0)
    picks = [ctx.probe.value(index, run) for run in range(3)]
    if axis or any(pick.shape[-1] != 1 for pick in picks):
        ctx.refuse(node, "it picks along several axes at once", "index one axis after the other")
    if alignment.time == 0:
        _pick_frames(ctx, node, alignment, [pick[..., 0] for pick in picks])
        return
    check_axes(ctx, node, alignment, [0], "pick features, not streams")
    places = ctx.write.constant(ctx.fixed(node, index)[..., 0], index)
    ctx.derive(node, alignment, ctx.write.one("Gather", [alignment.name, places], "picked", axis=0))


def _pick_frames(ctx: Context, node: Node, alignment: Alignment, picks: list[Array]) -> None:
    """Indices along time: one from the end is a summary, a pattern that goes on is a sliding window."""
    assert alignment.time is not None
    sizes = [ctx.probe.value(node.inputs[0], run).shape[alignment.time] for run in range(3)]
    if any(pick.size != 1 for pick in picks):
        _gather_windows(ctx, node, alignment, picks)
        return
    backs = {(-1 - int(p.reshape(-1)[0])) % size for p, size in zip(picks, sizes, strict=True)}
    if len(backs) > 1:
        ctx.refuse_later(node.output, node, "it takes a frame counted from the start", LAST)
        return
    _take_from_end(ctx, node, alignment, backs.pop(), keepdims=picks[0].ndim == 1)


def _look_up(ctx: Context, node: Node) -> None:
    """An embedding: rows of a constant table, picked by values of the sound."""
    data, index = node.inputs
    if ctx.varies(data):
        ctx.refuse(node, "which part of the sound it takes depends on the sound", "pick at constant places")
    if node.attrs.get("axis", 0):
        ctx.refuse(node, "it looks up columns of a table", "look up rows, as nn.Embedding does")
    alignment = ctx.alignment(index)
    name = ctx.write.one("Gather", [ctx.parameter(node, data), alignment.name], "looked_up", axis=0)
    ctx.derive(node, alignment, name)


def _gather_windows(ctx: Context, node: Node, alignment: Alignment, picks: list[Array]) -> None:
    """Row j of the output is made of input rows j * step + (some constant distances): a sliding window."""
    grows = [place for place in range(picks[0].ndim) if picks[0].shape[place] != picks[1].shape[place]]
    if len(grows) != 1 or alignment.open:
        ctx.refuse(node, f"it reorders or samples frames, so {WHOLE}", LAST)
    place = grows[0]
    assert alignment.time is not None
    sizes = [ctx.probe.value(node.inputs[0], run).shape[alignment.time] for run in range(3)]
    if picks[0].ndim == 1:
        before = int((picks[0] == 0).sum()) - 1
        clipped = [np.clip(np.arange(len(p)) - before, 0, n - 1) for p, n in zip(picks, sizes, strict=True)]
        if before > 0 and all(np.array_equal(p, q) for p, q in zip(picks, clipped, strict=True)):
            repeat_first(ctx, node, alignment, before)
            return
        if picks[0][0] > picks[0][1] >= 0:
            ctx.refuse(
                node,
                f"it mirrors or reverses frames, so {WHOLE}",
                "pad with a constant, or by mode='replicate', which repeats the first frame",
            )
    counted = [np.moveaxis(np.where(p < 0, p + n, p), place, -1) for p, n in zip(picks, sizes, strict=True)]
    reach = counted[0][..., 0]
    steps = {int(d) for each in counted for d in np.unique(np.diff(each, axis=-1))}
    step = steps.pop()
    if steps or step < 1 or any(not np.array_equal(each[..., 0], reach) for each in counted):
        ctx.refuse(node, f"it reorders or samples frames, so {WHOLE}", LAST)
    nearest = int(reach.min())
    time = alignment.real_time

    def apply(window: str, step: int, apart: int) -> str:
        write = ctx.write
        axis = write.one("Shape", [alignment.name], "rows", start=time, end=time + 1)
        end = write.one("Squeeze", [axis], "rows")
        starts = write.one(
            "Range", [write.constant(np.int64(0)), end, write.constant(np.int64(step))], "starts"
        )
        others = [i for i in range(reach.ndim + 1) if i != place]
        starts = write.one("Unsqueeze", [starts, write.ints(*others)], "starts") if others else starts
        distances = write.constant(np.expand_dims((reach - nearest) * apart, place).astype(np.int64))
        return write.one(
            "Gather", [window, write.one("Add", [starts, distances], "index")], "windows", axis=time
        )

    slide(
        ctx, node, alignment, apply, span=int(reach.max()) - nearest + 1, step=step, pad=-nearest
    )  # fmt: skip


def _picked_from_list(ctx: Context, node: Node, axis: int) -> bool:
    """h_n[-1]: one of several tensors joined along the axis. Take it directly."""
    joined = ctx.producer(node.inputs[0])
    if joined is None or joined.op != "Concat" or node.attrs.get("axis", 0) != joined.attrs["axis"]:
        return False
    index = ctx.probe.fixed(node.inputs[1])
    sizes = [ctx.probe.value(name).shape[axis] for name in joined.inputs]
    if index is None or index.ndim != 0 or set(sizes) != {1}:
        return False
    alignment = ctx.alignment(joined.inputs[int(index)])
    name = ctx.write.one("Squeeze", [alignment.name, ctx.write.ints(alignment.real(axis))], "picked")
    ctx.derive(node, alignment, name)
    return True
