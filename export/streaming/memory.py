"""Memory: the ways in which a streaming graph keeps rows as state. All states except recurrent ones are made here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.streaming.alignment import Alignment
from export.streaming.axes import Axis
from export.streaming.context import Context
from export.streaming.node import Node
from export.streaming.probe import STREAMS
from export.streaming.writer import END
from stream.errors import NotStreamable

Array = NDArray[Any]


def per_stream(values: list[Array], axis: int, around: tuple[int, int]) -> Array | None:
    """What every stream has in a tensor with an axis of streams; None if they differ.

    Args:
        values: the tensor, from several runs.
        axis: of the streams.
        around: features folded into that axis, slower and faster than the streams.

    Returns:
        The tensor with that axis replaced by those features (left out where there is one).
    """
    parts = []
    for value in values:
        shape = value.shape
        apart = value.reshape(*shape[:axis], around[0], -1, around[1], *shape[axis + 1 :])
        parts.append(np.moveaxis(apart, axis + 1, 0))
    first = parts[0][0]
    if not all(np.array_equal(np.broadcast_to(first, part.shape), part) for part in parts):
        return None
    kept = [size for size in around if size != 1]
    return np.reshape(first, (*first.shape[:axis], *kept, *first.shape[axis + 2 :]))


def stored_shape(sizes: list[int], axis: int, around: tuple[int, int]) -> tuple[int, ...]:
    """Shape of a state: streams get an axis of their own, -1, between the features that share theirs."""
    own = [around[0]] * (around[0] != 1) + [-1] + [around[1]] * (around[1] != 1)
    return (*sizes[:axis], *own, *sizes[axis + 1 :])


def head(ctx: Context, alignment: Alignment) -> Array:
    """The rows of the offline tensor that exist before any sound, as ``stored_shape`` without the -1.

    Read from the probe; they must not depend on the sound or the stream.
    """
    split = split_fold(alignment)
    assert split is not None
    assert split.time is not None
    rows = -(min(alignment.lag, 0) // alignment.every)
    values = ctx.probe.values(alignment.source)
    if split is not alignment:
        values = [_split(split, value, streams) for value, streams in zip(values, STREAMS, strict=True)]
    values = [value.take(range(rows), axis=split.time) for value in values]
    known = per_stream(values, split.batch, split.around)
    if known is None:
        producer = ctx.producer(alignment.source)
        label = producer.label if producer else alignment.source
        if alignment.edge:
            raise NotStreamable(
                f"{label}: copies of the first frame (replicate padding) go through what comes next before the sound "
                "starts, where only a convolution or a window may stand; pad with a constant"
            )
        raise NotStreamable(
            f"{label}: its first rows depend on sound that comes later (mirrored or repeated edges); "
            "pad with a constant"
        )
    return known if alignment.every == 1 else _at_every(split, known)


def _at_every(alignment: Alignment, known: Array) -> Array:
    """Rows of the offline tensor among those that stand between them in a stream, which mean nothing."""
    time, batch = alignment.time, alignment.batch
    assert time is not None
    axis = time if time < batch else time + sum(size != 1 for size in alignment.around) - 1
    rows = np.moveaxis(known, axis, 0)
    spaced = np.zeros((len(rows) * alignment.every, *rows.shape[1:]), known.dtype)
    spaced[:: alignment.every] = rows
    return np.moveaxis(spaced[: -alignment.lag], 0, axis)


def carried(ctx: Context, alignment: Alignment, rows: int, init: Array) -> tuple[str, Callable[[str], None]]:
    """Declare a state of ``rows`` rows shaped as the alignment.

    Returns:
        The tensor to use, and a function that keeps one of the same shape for the next chunk.
    """
    time, batch = alignment.time, alignment.batch
    sizes = [rows if i == time else axis.size for i, axis in enumerate(alignment.axes)]
    return folded_state(ctx, sizes, batch, alignment.around, init)


def folded_state(
    ctx: Context, sizes: list[int], batch: int, around: tuple[int, int], init: Array
) -> tuple[str, Callable[[str], None]]:
    """As ``carried``, for a tensor of these sizes with the streams at ``batch``."""
    write, stored = ctx.write, stored_shape(sizes, batch, around)
    state = write.state(stored, init)
    if around == (1, 1):
        return state, lambda tensor: write.update(state, tensor)
    merged = [*sizes[:batch], -1, *sizes[batch + 1 :]]
    used = write.one("Reshape", [state, write.ints(*merged)], "state")
    shape = write.ints(*stored)
    return used, lambda tensor: write.update(state, write.one("Reshape", [tensor, shape], "keep"))


def history(ctx: Context, node: Node, alignment: Alignment, rows: int, fill: float = 0.0) -> str:
    """The chunk with the ``rows`` rows before it in front.

    Before the stream began they are the offline tensor's own first rows (padding), or copies of the first frame, and
    ``fill`` before those.
    """
    if rows == 0:
        return alignment.name
    split = split_fold(alignment)
    if split is None:
        ctx.refuse(node, "frames folded into the batch cannot be remembered", "keep time an axis of its own")
    time = split.time
    assert time is not None
    init = before_the_stream(ctx, node, alignment, split, rows, fill)
    used, keep = carried(ctx, split, rows, init)
    before = _first_repeated(ctx, split, used, rows) if alignment.edge else used
    joined = ctx.write.one("Concat", [before, alignment.name], "window", axis=time)
    keep(ctx.write.slice(joined, -rows, END, time, "last"))
    return joined


def history_turned(
    ctx: Context, node: Node, alignment: Alignment, rows: int, order: list[int], fill: float = 0.0
) -> str:
    """As ``history``, with the axes in another order, batch and time first; what is kept has that order too.

    So a tensor that was turned to suit an offline operator, and is turned back here, is never turned.
    """
    if alignment.edge or alignment.open or alignment.around != (1, 1):
        return ctx.write.transpose(history(ctx, node, alignment, rows, fill), order, "rows")
    turned = ctx.write.transpose(alignment.name, order, "rows")
    if rows == 0:
        return turned
    init = before_the_stream(ctx, node, alignment, alignment, rows, fill)
    return remembered(ctx, turned, init.transpose([axis - 1 for axis in order[1:]]))


def remembered(ctx: Context, name: str, init: Array, time: int = 1) -> str:
    """A tensor (N, ...) with time at that axis, and what came before the chunk in front: ``init`` (...) at first."""
    rows = init.shape[time - 1]
    state = ctx.write.state((-1, *init.shape), init)
    joined = ctx.write.one("Concat", [state, name], "window", axis=time)
    ctx.write.update(state, ctx.write.slice(joined, -rows, END, time, "last"))
    return joined


def before_the_stream(
    ctx: Context, node: Node, alignment: Alignment, split: Alignment, rows: int, fill: float
) -> Array:
    """The ``rows`` rows before the first chunk, as ``stored_shape`` without the -1.

    Args:
        split: the alignment as ``split_fold`` gives it.
    """
    known = head(ctx, alignment) if alignment.lag < 0 and not alignment.edge else None
    init = _initial_rows(split, rows, fill, known)
    if not np.issubdtype(init.dtype, np.floating):
        ctx.refuse(node, f"it would have to remember values of type {init.dtype}", "use float32 activations")
    return init


def _first_repeated(ctx: Context, alignment: Alignment, state: str, rows: int) -> str:
    """At the start of a stream its first row instead of the state."""
    time = alignment.time
    assert time is not None
    fresh = ctx.write.one("Equal", [clock(ctx), ctx.write.ints(0)], "fresh")
    first = ctx.write.slice(alignment.name, 0, 1, time, "first")
    return ctx.write.one("Where", [spread(ctx, alignment, fresh), first, state], "started")


def windowed(ctx: Context, joined: str, alignment: Alignment, count: int) -> str:
    """Each row of a chunk with those before it: (.., T + count - 1, ..) -> (.., T, count, ..), oldest first."""
    write, time = ctx.write, alignment.real_time
    rows = write.one("Shape", [alignment.name], "rows", start=time, end=time + 1)
    end = write.one("Squeeze", [rows], "rows")
    zero, step = write.constant(np.int64(0)), write.constant(np.int64(1))
    starts = write.one(
        "Unsqueeze", [write.one("Range", [zero, end, step], "starts"), write.ints(1)], "starts"
    )
    places = write.one("Add", [starts, write.ints(*range(count))], "places")
    return write.one("Gather", [joined, places], "windows", axis=time)


def split_fold(alignment: Alignment) -> Alignment | None:
    """The same with frames an axis of their own, as the streaming tensor has it; None if it has not."""
    if alignment.time is not None:
        return alignment
    if not alignment.open or alignment.summary:
        return None
    batch, features = alignment.batch, alignment.rows_a_frame
    folded = alignment.axes[batch]
    own = (Axis("batch", features), Axis("time", 1, alignment.rate, folded.offset // features))
    axes = (*alignment.axes[:batch], *own, *alignment.axes[batch + 1 :])
    return replace(alignment, axes=axes, fold=alignment.fold[:-1], open=False)


def _split(alignment: Alignment, value: Array, streams: int) -> Array:
    """An offline tensor with frames folded behind its streams, with frames an axis of their own."""
    batch = alignment.batch
    lead = streams * alignment.axes[batch].size
    return value.reshape(*value.shape[:batch], lead, value.shape[batch] // lead, *value.shape[batch + 1 :])


def _initial_rows(alignment: Alignment, rows: int, fill: float, known: Array | None) -> Array:
    """Start value of a history state, as ``stored_shape`` without the -1."""
    time, batch = alignment.time, alignment.batch
    assert time is not None
    sizes = [rows if i == time else axis.size for i, axis in enumerate(alignment.axes)]
    dims = [size for size in stored_shape(sizes, batch, alignment.around) if size != -1]
    init = np.full(dims, fill, np.float32)
    if known is not None:
        extra = sum(size != 1 for size in alignment.around) - 1
        axis = time if time < batch else time + extra
        take = min(rows, known.shape[axis])
        target = [slice(None)] * init.ndim
        source = list(target)
        # row s of the state is row s - rows - lag of the offline tensor
        begin = max(rows + alignment.lag, 0)
        first = max(-alignment.lag - rows, 0)
        target[axis] = slice(begin, begin + take)
        source[axis] = slice(first, first + take)
        init[tuple(target)] = known[tuple(source)]
    return init


def delay(ctx: Context, node: Node, alignment: Alignment, rows: int) -> Alignment:
    """The same rows, ``rows`` later."""
    if rows == 0:
        return alignment
    if split_fold(alignment) is None:
        ctx.refuse(node, "branches with different delay meet after time was folded away", "align them before")
    joined = history(ctx, node, alignment, rows)
    shifted = ctx.write.slice(joined, 0, -rows, alignment.real_time, "delayed")
    lag = alignment.lag + rows
    return replace(alignment, name=shifted, lag=lag, edge=alignment.edge and lag < 0)


def clock(ctx: Context) -> str:
    """(N, 1) int64: feature frames each stream has had before this chunk."""
    existing = ctx.write.clock_input
    if existing is None:
        existing = ctx.write.state((-1, 1), np.zeros(1, np.int64))
        ctx.write.clock_input = existing
        shape = ctx.write.one("Shape", [ctx.features], "frames", start=1, end=2)
        ctx.write.update(existing, ctx.write.one("Add", [existing, shape], "clock"))
    return existing


def row_numbers(ctx: Context, alignment: Alignment) -> str:
    """(N, rows) int64: index in the endless stream of every row the chunk emits (before subtracting the lag)."""
    write = ctx.write
    start = clock(ctx)
    if alignment.rate.denominator != 1:
        start = write.one("Div", [start, write.ints(alignment.rate.denominator)], "row")
    if alignment.rate.numerator != 1:
        start = write.one("Mul", [start, write.ints(alignment.rate.numerator)], "row")
    axis = alignment.real_time
    count = write.one("Shape", [alignment.name], "rows", start=axis, end=axis + 1)
    count = write.one("Squeeze", [count], "rows")
    zero, step = write.constant(np.int64(0)), write.constant(np.int64(1))
    return write.one("Add", [start, write.one("Range", [zero, count, step], "steps")], "index")


def spread(ctx: Context, alignment: Alignment, per_row: str) -> str:
    """Reshape a (N, rows) tensor so that it broadcasts over the alignment's streaming tensor."""
    rank = len(alignment.axes) + (1 if alignment.open else 0)
    batch, time = alignment.real(alignment.batch), alignment.real_time
    write, around = ctx.write, alignment.around
    if around != (1, 1):  # once for each feature that shares the axis of the streams
        wide = write.one("Unsqueeze", [per_row, write.ints(0, 2)], "per_row")
        wide = write.one("Expand", [wide, write.ints(around[0], 1, around[1], 1)], "per_row")
        per_row = write.one("Reshape", [wide, _last_kept(ctx, per_row)], "per_row")
    if batch > time:
        per_row = write.transpose(per_row, [1, 0], "per_row")
    others = [i for i in range(rank) if i not in (batch, time)]
    return write.one("Unsqueeze", [per_row, write.ints(*others)], "per_row") if others else per_row


def spread_rows(ctx: Context, alignment: Alignment, per_row: str) -> str:
    """As ``spread``, of (N, rows, k) for a tensor whose last axis is k long."""
    write, rank = ctx.write, len(alignment.axes)
    batch, time, around = alignment.batch, alignment.time, alignment.around
    assert time is not None
    if around != (1, 1):
        wide = write.one("Unsqueeze", [per_row, write.ints(0, 2)], "per_row")
        wide = write.one("Expand", [wide, write.ints(around[0], 1, around[1], 1, 1)], "per_row")
        rest = write.one("Shape", [per_row], "rest", start=1, end=3)
        shape = write.one("Concat", [write.ints(-1), rest], "shape", axis=0)
        per_row = write.one("Reshape", [wide, shape], "per_row")
    if batch > time:
        per_row = write.transpose(per_row, [1, 0, 2], "per_row")
    others = [i for i in range(rank - 1) if i not in (batch, time)]
    return write.one("Unsqueeze", [per_row, write.ints(*others)], "per_row") if others else per_row


def _last_kept(ctx: Context, per_row: str) -> str:
    rows = ctx.write.one("Shape", [per_row], "rows", start=1, end=2)
    return ctx.write.one("Concat", [ctx.write.ints(-1), rows], "shape", axis=0)


def arrived(ctx: Context, alignment: Alignment) -> str:
    """Boolean, broadcastable: True for rows that mean something, False for the first ``lag``."""
    limit = ctx.write.ints(alignment.lag)
    return spread(
        ctx, alignment, ctx.write.one("GreaterOrEqual", [row_numbers(ctx, alignment), limit], "arrived")
    )


def first_arrival(ctx: Context, alignment: Alignment) -> str:
    """Boolean, broadcastable: True for the first row of a late tensor that means something."""
    limit = ctx.write.ints(alignment.lag)
    return spread(ctx, alignment, ctx.write.one("Equal", [row_numbers(ctx, alignment), limit], "first"))


def masked(ctx: Context, alignment: Alignment, fill: Any) -> Alignment:
    """Replace the meaningless first rows of a late tensor by ``fill``."""
    if alignment.lag <= 0:
        return alignment
    value = ctx.write.constant(np.asarray(fill, np.float32))
    return replace(
        alignment, name=ctx.write.one("Where", [arrived(ctx, alignment), alignment.name, value], "masked")
    )
