"""A convolution as one matrix product, so that a chunk's rows have the same bits as single ones.

ONNX Runtime's Conv puts rows side by side in the columns of its product, and a column's rounding depends on how many
there are; in a MatMul each row is one of the left matrix, rounded on its own. What a row looks at is laid side by side
by slicing, which is exact: the frames first, then, where there is a frequency axis, the bins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.node import Node
from export.streaming.writer import END, Writer

MAX_TAPS = 16  # a slice each; a filter bank of hundreds of taps stays a Conv


@dataclass(frozen=True)
class Geometry:
    """Of a sliding window, by spatial axis: sizes, steps, distances of taps; pads are all begins, then all ends."""

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    pads: list[int]


def as_product(
    ctx: Context, node: Node, alignment: Alignment, shape: Geometry
) -> Callable[[str], str] | None:
    """What to emit for a Conv (N, C, T) -> (N, C', T') or one with a frequency axis before or after T.

    Frequency is padded as the Conv says, time is not. None where it should stay a Conv.
    """
    if node.op != "Conv" or alignment.time is None or node.attrs.get("group", 1) != 1:
        return None
    if len(alignment.axes) not in (3, 4) or max(shape.kernel) > MAX_TAPS:
        return None
    time = alignment.time
    moving = [time, *(axis for axis in (2, 3) if axis != time and axis < len(alignment.axes))]
    forth = [0, *moving, 1]  # (N, T, C) or (N, T, bins, C)
    back = [forth.index(axis) for axis in range(len(forth))]
    weight = ctx.fixed(node, node.inputs[1])  # (C', C, taps by spatial axis)
    # Taps of the last axis that is laid out vary slowest, then those before it; channels vary fastest.
    laid = weight.transpose([*reversed(moving), 1, 0]).reshape(-1, len(weight))
    matrix = ctx.write.constant(laid, node.inputs[1])
    bias = ctx.fixed(node, node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    hint = node.proto.name or node.output

    def emit(window: str) -> str:
        rows = ctx.write.transpose(window, forth, f"{hint}.rows")
        for place, axis in enumerate(moving, start=1):
            at = axis - 2
            pads = (0, 0) if axis == time else (shape.pads[at], shape.pads[at + len(moving)])
            size = None if axis == time else alignment.axes[axis].size + sum(pads)
            rows = _padded(ctx.write, rows, place, pads, len(forth), hint)
            rows = _side_by_side(
                ctx.write, rows, place, len(forth) - 1,
                (shape.kernel[at], shape.stride[at], shape.dilation[at]), size, hint,
            )  # fmt: skip
        product = ctx.write.one("MatMul", [rows, matrix], f"{hint}.product")
        if bias is not None and np.any(bias):
            product = ctx.write.one("Add", [product, ctx.write.constant(bias, node.inputs[2])], f"{hint}.sum")
        return ctx.write.transpose(product, back, hint)

    return emit


def _padded(write: Writer, rows: str, axis: int, pads: tuple[int, int], rank: int, hint: str) -> str:
    if not any(pads):
        return rows
    amounts = [0] * (2 * rank)
    amounts[axis], amounts[axis + rank] = pads
    return write.one("Pad", [rows, write.ints(*amounts)], f"{hint}.padded")


def _side_by_side(
    write: Writer,
    rows: str,
    axis: int,
    channels: int,
    window: tuple[int, int, int],
    size: int | None,
    hint: str,
) -> str:
    """What each window along ``axis`` sees, tap by tap in the channels.

    Args:
        window: taps, step, and how far apart the taps are.
        size: of the axis; None = exactly as much as the windows need.
    """
    taps, step, apart = window
    if taps == 1 and step == 1:
        return rows
    reach = (taps - 1) * apart
    parts = []
    for start in range(0, reach + 1, apart):
        last = start - reach or END
        if size is not None:
            last = start + (size - reach - 1) // step * step + 1
        parts.append(write.slice(rows, start, last, axis, f"{hint}.tap", step))
    return parts[0] if taps == 1 else write.one("Concat", parts, f"{hint}.taps", axis=channels)
