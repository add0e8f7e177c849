"""Running values over time: mean, sum, maximum. Each frame's row is the value over the stream so far.

Each is a loop over frames with one or a few operators, so that a chunk gives the bits that its frames give one by one.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.memory import Array, arrived, folded_state, head, row_numbers, spread, stored_shape
from export.streaming.node import Node

_LOWEST = float(np.finfo(np.float32).min)
Operators = list[tuple[str, list[str], str]]  # operator, inputs, output


def _row(alignment: Alignment) -> tuple[list[int], int]:
    """Shape of one row, and where its streams are."""
    time, batch = alignment.time, alignment.batch
    assert time is not None
    return [a.size for i, a in enumerate(alignment.axes) if i != time], batch - (batch > time)


def _start(ctx: Context, alignment: Alignment, empty: float, over: str) -> Array:
    """Value before the first frame: over the padding rows if there are any. Without the axis of the streams."""
    time, batch = alignment.time, alignment.batch
    assert time is not None
    if alignment.lag < 0:
        known = head(ctx, alignment).astype(np.float64)
        axis = time if time < batch else time + sum(size != 1 for size in alignment.around) - 1
        return np.asarray(getattr(known, over)(axis=axis), np.float32)
    sizes, place = _row(alignment)
    dims = [size for size in stored_shape(sizes, place, alignment.around) if size != -1]
    return np.full(dims, empty, np.float32)


def _over_frames(
    ctx: Context,
    node: Node,
    alignment: Alignment,
    start: Array,
    rows: list[str],
    step: Operators,
    beside: str = "",
) -> str:
    """Rows of a value that each frame changes.

    Args:
        start: the value before the first frame.
        rows: streaming tensors that are read frame by frame.
        step: what changes it: ``so far`` and ``row 0``, ``row 1`` to ``next``.
        beside: a second value that is carried, from zero: ``beside`` to ``beside next``; "" = none.
    """
    if ctx.probe.value(alignment.source).dtype != np.float32:
        ctx.refuse(node, "it adds up whole numbers over time", "turn them into float32 before it")
    if alignment.open or alignment.time is None:
        ctx.refuse(node, "frames are folded into the batch", "keep time an axis of its own")
    write = ctx.write
    sizes, batch = _row(alignment)
    carried = {"so far": ("next", start)}
    if beside:
        carried[beside] = (f"{beside} next", np.zeros_like(start))
    states = [folded_state(ctx, sizes, batch, alignment.around, first) for _, first in carried.values()]
    prefix = write.fresh("running")

    def own(name: str) -> str:
        return f"{prefix}.{name}"

    nodes = [helper.make_node(op, [own(name) for name in inputs], [own(out)]) for op, inputs, out in step]
    nodes.append(helper.make_node("Identity", [own("next")], [own("row")]))
    given = [*map(own, carried), *(own(f"row {k}") for k in range(len(rows)))]
    given_back = [*(own(name) for name, _ in carried.values()), own("row")]
    body = helper.make_graph(
        nodes,
        prefix,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in given],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in given_back],
    )
    time = alignment.real_time
    *last, values = write.emit(
        "Scan", [*(state for state, _ in states), *rows], "running", len(given_back),
        body=body, num_scan_inputs=len(rows), scan_input_axes=[time] * len(rows), scan_output_axes=[time],
    )  # fmt: skip
    for (_, keep), value in zip(states, last, strict=True):
        keep(value)
    return values


def running_sum(ctx: Context, node: Node, alignment: Alignment) -> str:
    """Sum of the rows so far, a tensor shaped as the alignment.

    What each addition rounds away is carried beside the sum and added to the next row (Kahan 1965), as exact as torch's
    sum in float64: thousands of frames of silence would show the difference.
    """
    start = _start(ctx, alignment, 0.0, "sum")
    rows = [_silenced(ctx, alignment, alignment.name)]
    step: Operators = [
        ("Sub", ["row 0", "lost"], "whole"),
        ("Add", ["so far", "whole"], "next"),
        ("Sub", ["next", "so far"], "added"),
        ("Sub", ["added", "whole"], "lost next"),
    ]
    return _over_frames(ctx, node, alignment, start, rows, step, beside="lost")


def running_mean(ctx: Context, node: Node, alignment: Alignment) -> str:
    """Mean of the rows so far: m += (x - m) / n.

    After minutes such a step is smaller than the last bit of the mean, so what is rounded away is carried beside it, as
    in ``running_sum``.
    """
    write = ctx.write
    start = _start(ctx, alignment, 0.0, "mean")
    count = write.one("Add", [row_numbers(ctx, alignment), write.ints(1 - alignment.lag)], "count")
    if alignment.lag > 0:
        count = write.one("Max", [count, write.ints(1)], "count")
    count = spread(ctx, alignment, write.one("Cast", [count], "count", to=1))
    rows = [_silenced(ctx, alignment, alignment.name), count]
    step: Operators = [
        ("Sub", ["row 0", "so far"], "from rounded"),
        ("Add", ["from rounded", "lost"], "change"),
        ("Div", ["change", "row 1"], "part"),
        ("Sub", ["part", "lost"], "whole"),
        ("Add", ["so far", "whole"], "next"),
        ("Sub", ["next", "so far"], "added"),
        ("Sub", ["added", "whole"], "lost next"),
    ]
    return _over_frames(ctx, node, alignment, start, rows, step, beside="lost")


def running_extreme(ctx: Context, node: Node, alignment: Alignment) -> str:
    """Largest (or smallest) row so far."""
    op, over, empty = ("Min", "min", -_LOWEST) if node.op == "ReduceMin" else ("Max", "max", _LOWEST)
    start = _start(ctx, alignment, empty, over)
    rows = alignment.name
    if alignment.lag > 0:
        nothing = ctx.write.constant(np.float32(empty))
        rows = ctx.write.one("Where", [arrived(ctx, alignment), rows, nothing], "rows")
    extreme = _over_frames(ctx, node, alignment, start, [rows], [(op, ["so far", "row 0"], "next")])
    return _silenced(ctx, alignment, extreme)  # what is there before anything has come is not for showing


def _silenced(ctx: Context, alignment: Alignment, name: str) -> str:
    """Zero in the meaningless first rows of a late tensor."""
    if alignment.lag <= 0:
        return name
    return ctx.write.one(
        "Where", [arrived(ctx, alignment), name, ctx.write.constant(np.float32(0))], "silenced"
    )
