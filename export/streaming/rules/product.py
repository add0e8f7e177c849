"""A convolution over time as one matrix product, so that a chunk's rows have the same bits as single ones.

ONNX Runtime's Conv puts rows side by side in the columns of its product, and a column's rounding depends on how many
there are; in a MatMul each row is one of the left matrix, rounded on its own. What a row looks at is laid side by side
by slicing, which is exact.
"""

from __future__ import annotations

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.node import Node
from export.streaming.rules.lowering import MAX_TAPS, Geometry, Lowering, side_by_side


def as_product(ctx: Context, node: Node, alignment: Alignment, shape: Geometry) -> Lowering | None:
    """What becomes of a Conv (N, C, T) -> (N, C', T'), or one with an axis of size 1 beside time; None where it should
    stay one.
    """
    assert alignment.time is not None
    at = alignment.time - 2
    if node.attrs.get("group", 1) != 1 or shape.kernel[at] > MAX_TAPS:
        return None
    order = [0, alignment.time, *(axis for axis in range(2, len(alignment.axes)) if axis != at + 2), 1]
    back = [order.index(axis) for axis in range(len(order))]
    weight = ctx.fixed(node, node.inputs[1]).reshape(-1, alignment.axes[1].size, shape.kernel[at])
    matrix = ctx.write.constant(weight.transpose([2, 1, 0]).reshape(-1, len(weight)), node.inputs[1])
    bias = ctx.fixed(node, node.inputs[2]) if node.input(2) else None
    hint = node.proto.name or node.output

    def emit(window: str, step: int, apart: int) -> str:
        taps = (shape.kernel[at], step, shape.dilation[at] * apart)
        product = ctx.write.one(
            "MatMul", [side_by_side(ctx.write, window, taps, len(order) - 1, hint), matrix], f"{hint}.product"
        )
        if bias is not None and np.any(bias):
            product = ctx.write.one("Add", [product, ctx.write.constant(bias, node.inputs[2])], f"{hint}.sum")
        return ctx.write.transpose(product, back, hint)

    return Lowering(order, emit)
