"""Memory: the ways in which a streaming graph keeps rows as state. All states except recurrent ones are made here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.node import Node
from export.streaming.writer import END
from stream.errors import NotStreamable

Array = NDArray[Any]


def head(ctx: Context, alignment: Alignment) -> Array:
    """The rows of the offline tensor that exist before any sound, (…, -lag, …) without the batch axis.

    Read from the probe; they must not depend on the sound or the stream.
    """
    time = alignment.time
    assert time is not None
    rows = [
        np.moveaxis(v, time, -1)[..., : max(-alignment.lag, 0)] for v in ctx.probe.values(alignment.source)
    ]
    batch = alignment.batch if alignment.batch < time else alignment.batch - 1
    first = np.moveaxis(rows[0], batch, 0)
    per_stream = alignment.axes[alignment.batch].size
    reference = first[:per_stream]
    for run in rows:
        moved = np.moveaxis(run, batch, 0)
        repeated = np.concatenate([reference] * (moved.shape[0] // per_stream))
        if not np.array_equal(moved, repeated):
            producer = ctx.producer(alignment.source)
            label = producer.label if producer else alignment.source
            raise NotStreamable(
                f"{label}: its first rows depend on sound that comes later (mirrored or repeated edges); "
                "pad with a constant"
            )
    if per_stream == 1:
        return np.moveaxis(reference[0], -1, time if time < alignment.batch else time - 1)
    return np.moveaxis(np.moveaxis(reference, 0, batch), -1, time)  # batch multiples stay in place


def _state(ctx: Context, alignment: Alignment, rows: int, init: Array) -> tuple[str, str | None]:
    """Declare a state of ``rows`` rows shaped as the alignment; returns (tensor to use, shape to store it in)."""
    time, batch = alignment.time, alignment.batch
    shape = [rows if i == time else axis.size for i, axis in enumerate(alignment.axes)]
    per_stream = alignment.axes[batch].size
    if per_stream == 1:
        shape[batch] = -1
        return ctx.write.state(tuple(shape), init), None
    stored = [*shape[:batch], -1, per_stream, *shape[batch + 1 :]]
    name = ctx.write.state(tuple(stored), init)
    merged = [*shape[:batch], -1, *shape[batch + 1 :]]
    used = ctx.write.one("Reshape", [name, ctx.write.ints(*merged)], "state")
    return used, ctx.write.ints(*stored)


def _keep(ctx: Context, state: str, tensor: str, stored: str | None) -> None:
    ctx.write.update(state, tensor if stored is None else ctx.write.one("Reshape", [tensor, stored], "keep"))


def history(ctx: Context, node: Node, alignment: Alignment, rows: int, fill: float = 0.0) -> str:
    """The chunk with the ``rows`` rows before it in front.

    Before the stream began they are the offline tensor's own first rows (padding), and ``fill`` before those.
    """
    if rows == 0:
        return alignment.name
    time = alignment.time
    if time is None or alignment.open:
        ctx.refuse(node, "frames folded into the batch cannot be remembered", "keep time an axis of its own")
    known = head(ctx, alignment) if alignment.lag < 0 else None
    init = _initial_rows(alignment, rows, fill, known)
    if not np.issubdtype(init.dtype, np.floating):
        ctx.refuse(node, f"it would have to remember values of type {init.dtype}", "use float32 activations")
    number = len(ctx.write.states)
    used, stored = _state(ctx, alignment, rows, init)
    joined = ctx.write.one("Concat", [used, alignment.name], "window", axis=time)
    kept = ctx.write.slice(joined, -rows, END, time, "last")
    _keep(ctx, ctx.write.states[number].input, kept, stored)
    return joined


def _initial_rows(alignment: Alignment, rows: int, fill: float, known: Array | None) -> Array:
    """Start value of a history state, without the batch axis (with it as rows a stream, if more than one)."""
    time, batch = alignment.time, alignment.batch
    assert time is not None
    keep_batch = alignment.axes[batch].size > 1
    dims = [
        rows if i == time else axis.size for i, axis in enumerate(alignment.axes) if keep_batch or i != batch
    ]
    axis = time if keep_batch or time < batch else time - 1
    init = np.full(dims, fill, np.float32)
    if known is not None:
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
    if alignment.time is None:
        ctx.refuse(node, "branches with different delay meet after time was folded away", "align them before")
    joined = history(ctx, node, alignment, rows)
    shifted = ctx.write.slice(joined, 0, -rows, alignment.real_time, "delayed")
    return replace(alignment, name=shifted, lag=alignment.lag + rows)


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
    if alignment.axes[alignment.batch].size != 1:
        raise NotStreamable(
            f"{alignment.source}: there is no rule to wait for future frames where features are folded into the "
            "batch; keep features an axis of their own"
        )
    if batch > time:
        per_row = ctx.write.transpose(per_row, [1, 0], "per_row")
    others = [i for i in range(rank) if i not in (batch, time)]
    return ctx.write.one("Unsqueeze", [per_row, ctx.write.ints(*others)], "per_row") if others else per_row


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
