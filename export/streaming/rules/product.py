"""A convolution over time as one matrix product, so that a chunk's rows have the same bits as single ones.

ONNX Runtime's Conv puts rows side by side in the columns of its product, and a column's rounding depends on how many
there are; in a MatMul each row is one of the left matrix, rounded on its own. The frames a row looks at are laid
side by side by slicing, which is exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from export.streaming.context import Context
from export.streaming.node import Node
from export.streaming.track import Track
from export.streaming.writer import END

MOST_TAPS = 16  # a slice each; a filter bank of hundreds of taps stays a Conv


def as_product(
    ctx: Context, node: Node, track: Track, kernel: list[int], stride: list[int], dilation: list[int]
) -> Callable[[str], str] | None:
    """What to emit for a Conv (N, C, T) -> (N, C', T'); None where it should stay one."""
    if node.op != "Conv" or len(track.axes) != 3 or node.attrs.get("group", 1) != 1 or kernel[0] > MOST_TAPS:
        return None
    taps, step, apart = kernel[0], stride[0], dilation[0]
    reach = (taps - 1) * apart
    weight = ctx.fixed(node, node.inputs[1])  # (C', C, taps)
    matrix = ctx.write.constant(weight.transpose(2, 1, 0).reshape(-1, len(weight)), node.inputs[1])
    bias = ctx.fixed(node, node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    hint = node.proto.name or node.output

    def emit(window: str) -> str:
        rows = ctx.write.transpose(window, [0, 2, 1], f"{hint}.rows")
        parts = [rows]
        if taps > 1 or step > 1:
            parts = [
                ctx.write.slice(rows, k * apart, (k * apart - reach) or END, 1, f"{hint}.tap", step)
                for k in range(taps)
            ]
        side_by_side = parts[0] if taps == 1 else ctx.write.one("Concat", parts, f"{hint}.taps", axis=2)
        product = ctx.write.one("MatMul", [side_by_side, matrix], f"{hint}.product")
        if bias is not None and np.any(bias):
            product = ctx.write.one("Add", [product, ctx.write.constant(bias, node.inputs[2])], f"{hint}.sum")
        return ctx.write.transpose(product, [0, 2, 1], hint)

    return emit
