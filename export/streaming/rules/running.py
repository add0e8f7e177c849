"""Running values over time: mean, sum, maximum. Each frame's row is the value over the stream so far."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.axes import Axis
from export.streaming.context import Context
from export.streaming.memory import (
    Array,
    arrived,
    carried,
    clock,
    head,
    row_numbers,
    spread,
    stored_shape,
)
from export.streaming.node import Node
from export.streaming.writer import END

WIDEST_EXTREME = 1024


def _row(alignment: Alignment) -> tuple[list[int], int]:
    """Shape of a state of one row without the -1, and where its time axis is."""
    time, batch = alignment.time, alignment.batch
    assert time is not None
    sizes = [1 if i == time else a.size for i, a in enumerate(alignment.axes)]
    extra = sum(size != 1 for size in alignment.around) - 1
    dims = [size for size in stored_shape(sizes, batch, alignment.around) if size != -1]
    return dims, time if time < batch else time + extra


def _start(alignment: Alignment, known: Array | None, empty: float, over: str) -> Array:
    """Value before the first frame: over the padding rows if there are any."""
    dims, axis = _row(alignment)
    if known is not None:
        return np.asarray(getattr(known.astype(np.float64), over)(axis=axis, keepdims=True), np.float32)
    return np.full(dims, empty, np.float32)


def _carried(
    ctx: Context, node: Node, alignment: Alignment, init: Array
) -> tuple[str, Callable[[str], None]]:
    """Declare a state of one row; returns the tensor to use and what keeps the next one."""
    if ctx.probe.value(alignment.source).dtype != np.float32:
        ctx.refuse(node, "it adds up whole numbers over time", "turn them into float32 before it")
    if alignment.open or alignment.time is None:
        ctx.refuse(node, "frames are folded into the batch", "keep time an axis of its own")
    return carried(ctx, alignment, 1, init)


def _known(ctx: Context, alignment: Alignment) -> Array | None:
    return head(ctx, alignment) if alignment.lag < 0 else None


def running_sum(ctx: Context, node: Node, alignment: Alignment) -> str:
    """Sum of the rows so far, a tensor shaped as the alignment."""
    write = ctx.write
    state, keep = _carried(ctx, node, alignment, _start(alignment, _known(ctx, alignment), 0.0, "sum"))
    rows = _silenced(ctx, alignment, alignment.name)
    total = write.one(
        "Add",
        [write.one("CumSum", [rows, write.constant(np.int64(alignment.real_time))], "sums"), state],
        "total",
    )
    keep(write.slice(total, -1, END, alignment.real_time, "total"))
    return total


def running_mean(ctx: Context, node: Node, alignment: Alignment) -> str:
    """Mean of the rows so far. m += cumsum(x - m) / n loses no precision however long the stream."""
    write = ctx.write
    state, keep = _carried(ctx, node, alignment, _start(alignment, _known(ctx, alignment), 0.0, "mean"))
    count = write.one("Add", [row_numbers(ctx, alignment), write.ints(1 - alignment.lag)], "count")
    if alignment.lag > 0:
        count = write.one("Max", [count, write.ints(1)], "count")
    count = spread(ctx, alignment, write.one("Cast", [count], "count", to=1))
    change = _silenced(ctx, alignment, write.one("Sub", [alignment.name, state], "change"))
    moved = write.one("CumSum", [change, write.constant(np.int64(alignment.real_time))], "change")
    mean = write.one("Add", [write.one("Div", [moved, count], "change"), state], "mean")
    keep(write.slice(mean, -1, END, alignment.real_time, "mean"))
    return mean


def _silenced(ctx: Context, alignment: Alignment, name: str) -> str:
    """Zero in the meaningless first rows of a late tensor."""
    if alignment.lag <= 0:
        return name
    return ctx.write.one(
        "Where", [arrived(ctx, alignment), name, ctx.write.constant(np.float32(0))], "silenced"
    )


def running_extreme(ctx: Context, node: Node, alignment: Alignment) -> str:
    """Largest (or smallest) row so far.

    ONNX has no running maximum, and a loop would be slow. An LSTM with linear gates is one: with forget and output
    gates at 1, cell activation max(0, .) and the cell fed back, c += relu(x - c), which is max(c, x).
    """
    write, axes = ctx.write, alignment.axes
    if alignment.around != (1, 1):
        ctx.refuse(node, "features are folded into the batch", "keep features an axis of their own")
    others = [i for i, a in enumerate(axes) if a.kind == "fixed"]
    width = int(np.prod([axes[i].size for i in others], dtype=np.int64))
    if width > WIDEST_EXTREME:
        ctx.refuse(
            node,
            f"a running maximum over {width} values a frame is wider than {WIDEST_EXTREME}",
            "reduce the features first",
        )
    time = alignment.time
    assert time is not None
    least = node.op == "ReduceMin"
    rows = write.transpose(alignment.name, [time, alignment.batch, *others], "rows")
    rows = write.one("Reshape", [rows, write.ints(0, 0, width)], "rows") if len(others) != 1 else rows
    if least:
        rows = write.one("Neg", [rows], "rows")
    held = _LinearCell(ctx, width).run(ctx, alignment, rows, _initial_extreme(ctx, alignment, least))
    held = write.one("Squeeze", [held, write.ints(1)], "held")
    if least:
        held = write.one("Neg", [held], "held")
    if len(others) != 1:
        held = write.one("Reshape", [held, write.ints(0, 0, *(axes[i].size for i in others))], "held")
    back = list(np.argsort([time, alignment.batch, *others]))
    extreme = write.transpose(held, [int(i) for i in back], "extreme")
    return _silenced(
        ctx, alignment, extreme
    )  # before anything has come it is the least of a chunk: not for showing


def _initial_extreme(ctx: Context, alignment: Alignment, least: bool) -> Array | None:
    known = _known(ctx, alignment)
    if known is None:
        return None
    row = _start(alignment, known, 0.0, "min" if least else "max").reshape(1, -1)
    return -row if least else row


class _LinearCell:
    """Weights of the LSTM that keeps a maximum of ``width`` values."""

    def __init__(self, ctx: Context, width: int) -> None:
        eye = np.eye(width, dtype=np.float32)
        none = np.zeros((3 * width, width), np.float32)
        self.width = width
        self.weight = ctx.write.constant(np.concatenate([none, eye])[None], "take")
        self.feedback = ctx.write.constant(np.concatenate([none, -eye])[None], "give")

    def run(self, ctx: Context, alignment: Alignment, rows: str, init: Array | None) -> str:
        """(T, N, width) -> (T, 1, N, width)."""
        write = ctx.write
        state = write.state(
            (1, -1, self.width), np.zeros((1, self.width), np.float32) if init is None else init
        )
        start = state
        if init is None:
            # Until a first row has come, start from the least of this chunk: below it, and of its magnitude,
            # because c + relu(x - c) is exact only if c is not far larger than x.
            reduce = {"axes": [0]} if write.opset < 18 else {}
            operand = [rows] if write.opset < 18 else [rows, write.ints(0)]
            least = write.one("ReduceMin", operand, "least", keepdims=1, **reduce)
            limit = write.ints(max(alignment.lag, 0))
            scaled = write.ints(alignment.rate.denominator)
            before = (
                write.one("Div", [clock(ctx), scaled], "row")
                if alignment.rate.denominator != 1
                else clock(ctx)
            )
            fresh = write.one("LessOrEqual", [before, limit], "fresh")
            start = write.one("Where", [fresh, least, state], "start")
            if alignment.lag > 0:
                axes = (Axis("time"), Axis("batch"), Axis("fixed", self.width))
                late = Alignment(alignment.source, rows, axes, alignment.rate, alignment.lag)
                rows = write.one("Where", [arrived(ctx, late), rows, least], "rows")
        attrs = {
            "hidden_size": self.width,
            "activations": ["Affine", "Relu", "Affine"],
            "activation_alpha": [0.0, 1.0],
            "activation_beta": [1.0, 0.0],
        }
        inputs = [rows, self.weight, self.feedback, "", "", start, start]
        held, last, _ = write.emit("LSTM", inputs, "running", 3, **attrs)
        write.update(state, last)
        return held
