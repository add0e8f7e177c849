"""A convolution over time as one matrix product, so that a chunk's rows have the same bits as single ones.

ONNX Runtime's Conv puts rows side by side in the columns of its product, and a column's rounding depends on how many
there are; in a MatMul each row is one of the left matrix, rounded on its own. What a row looks at is laid side by side
by slicing, which is exact. Where each channel is by itself (depthwise) there is no product to make: every tap is
multiplied by its weights, and that takes a fraction of the time of Conv, which makes a product for each channel.
"""

from __future__ import annotations

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.node import Node
from export.streaming.rules.lowering import MAX_TAPS, Geometry, Lowering, side_by_side, tap_by_tap


def as_product(ctx: Context, node: Node, alignment: Alignment, shape: Geometry) -> Lowering | None:
    """What becomes of a Conv (N, C, T) -> (N, C', T'), or one with an axis of size 1 beside time; None where it should
    stay one.
    """
    assert alignment.time is not None
    at, groups = alignment.time - 2, node.attrs.get("group", 1)
    depthwise = groups == alignment.axes[1].size == len(ctx.fixed(node, node.inputs[1]))
    if not (groups == 1 or depthwise) or shape.kernel[at] > MAX_TAPS:
        return None
    order = [0, alignment.time, *(axis for axis in range(2, len(alignment.axes)) if axis != at + 2), 1]
    back = [order.index(axis) for axis in range(len(order))]
    weight = ctx.fixed(node, node.inputs[1])
    weight = weight.reshape(len(weight), -1, shape.kernel[at]).transpose([2, 1, 0])  # (taps, C, C')
    bias = ctx.fixed(node, node.inputs[2]) if node.input(2) else None
    hint = node.proto.name or node.output

    def emit(window: str, step: int, apart: int) -> str:
        write, taps = ctx.write, (shape.kernel[at], step, shape.dilation[at] * apart)
        if depthwise:
            seen = tap_by_tap(write, window, taps, hint)
            parts = [
                write.one("Mul", [tap, write.constant(of_tap[0], node.inputs[1])], f"{hint}.part")
                for tap, of_tap in zip(seen, weight, strict=True)
            ]
            product = write.one("Sum", parts, f"{hint}.product")
        else:
            rows = side_by_side(write, window, taps, len(order) - 1, hint)
            matrix = write.constant(weight.reshape(-1, weight.shape[2]), node.inputs[1])
            product = write.one("MatMul", [rows, matrix], f"{hint}.product")
        if bias is not None and np.any(bias):
            product = write.one("Add", [product, write.constant(bias, node.inputs[2])], f"{hint}.sum")
        return write.transpose(product, back, hint)

    return Lowering(order, emit)
