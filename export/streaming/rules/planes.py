"""A convolution over time and frequency, written so that a row has the same bits in any chunk.

ONNX Runtime's Conv puts all bins of all rows side by side in the columns of its product. As soon as a row has several
bins, a column's rounding does not depend on how many there are, so the operator may stay as it is, and nothing is
turned around it. Two kinds are better written in another way: where a row is a single value a channel, as a matrix
product; and in groups, where a frame is convolved once with the weights of every tap, and a row is the sum of what
the frames that it looks at gave.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.memory import remembered
from export.streaming.node import Node
from export.streaming.rules.lowering import MAX_TAPS, Geometry, Lowering, side_by_side
from export.streaming.writer import END


class _Plane:
    """A Conv (N, C, T, bins) -> (N, C', T', bins'), or with bins before T."""

    def __init__(self, ctx: Context, node: Node, alignment: Alignment, shape: Geometry) -> None:
        assert alignment.time is not None
        self.ctx, self.write, self.time, self.shape = ctx, ctx.write, alignment.time, shape
        self.frequency = 5 - self.time
        weight = ctx.fixed(node, node.inputs[1])
        # (C', C, taps of time, of frequency)
        self.weight = weight if self.time == 2 else weight.swapaxes(2, 3)
        self.names = node.inputs[1:3]
        self.bias = ctx.fixed(node, node.inputs[2]) if node.input(2) else np.zeros(len(weight), np.float32)
        self.groups = node.attrs.get("group", 1)
        over_time = self.time - 2
        self.taps, self.apart = shape.kernel[over_time], shape.dilation[over_time]
        self.channels, self.bins = alignment.axes[1].size, alignment.axes[self.frequency].size
        self.bins_after = ctx.axes(node, node.output)[self.frequency].size
        self.hint = node.proto.name or node.output

    def one_bin(self, window: str, step: int, apart: int) -> str:
        """Rows (N, T, C, bins), of which one bin is left, as a product with all weights where they fall."""
        at, write = self.frequency - 2, self.write
        begin, every = self.shape.pads[at], self.shape.dilation[at]
        per_group = len(self.weight) // self.groups
        matrix = np.zeros((self.taps, self.channels, self.bins, len(self.weight)), np.float32)
        for to in range(len(self.weight)):
            first = to // per_group * self.weight.shape[1]
            for tap in range(self.weight.shape[3]):
                bin_ = tap * every - begin
                if 0 <= bin_ < self.bins:
                    matrix[:, first : first + self.weight.shape[1], bin_, to] = self.weight[to, :, :, tap].T
        rows = write.reshape(window, [0, 0, self.channels * self.bins], f"{self.hint}.bins")
        rows = side_by_side(write, rows, (self.taps, step, self.apart * apart), 2, self.hint)
        weight = write.constant(matrix.reshape(-1, len(self.weight)), self.names[0])
        product = write.one("MatMul", [rows, weight], f"{self.hint}.product")
        if np.any(self.bias):
            product = write.one(
                "Add", [product, write.constant(self.bias, self.names[1])], f"{self.hint}.sum"
            )
        turned = write.transpose(product, [0, 2, 1], self.hint)  # (N, C', T)
        return write.reshape(turned, [0, 0, 0, 1] if self.time == 2 else [0, 0, 1, -1], self.hint)

    def by_products(self, chunk: str, _: int, apart: int) -> str:
        """Each frame convolved once with all taps; what the frames before gave is remembered, not they."""
        write, taps, apart = self.write, self.taps, apart * self.apart
        # (C' * taps, C, 1, taps of frequency): a channel's taps follow each other, so that groups stay together.
        weight = self.weight.transpose(0, 2, 1, 3).reshape(-1, 1, self.weight.shape[1], self.weight.shape[3])
        weight = weight.swapaxes(1, 2) if self.time == 2 else weight.transpose(0, 2, 3, 1)
        bias = np.zeros((len(self.weight), taps), np.float32)
        bias[:, -1] = self.bias  # with the newest frame, which stands before no stream
        inputs = [chunk, write.constant(weight, self.names[0])]
        if np.any(bias):
            inputs.append(write.constant(bias.reshape(-1), self.names[1]))
        attrs = {
            "kernel_shape": list(self.shape.kernel),
            "strides": list(self.shape.stride),
            "dilations": list(self.shape.dilation),
            "pads": list(self.shape.pads),
        }
        over_time = self.time - 2
        for name in ("kernel_shape", "strides", "dilations"):
            attrs[name][over_time] = 1
        attrs["pads"][over_time] = attrs["pads"][over_time + 2] = 0
        products = write.one("Conv", inputs, f"{self.hint}.products", group=self.groups, **attrs)
        before = (taps - 1) * apart
        sizes = [len(bias) * taps, before, self.bins_after]
        init = np.zeros(sizes if self.time == 2 else [sizes[0], sizes[2], sizes[1]], np.float32)
        window = remembered(self.ctx, products, init, self.time)
        seen = [self._part(window, k, k * apart, k * apart - before) for k in range(taps)]
        return write.one("Sum", seen, self.hint)

    def _part(self, window: str, tap: int, first: int, last: int) -> str:
        """What the rows from first to last gave through one tap."""
        write = self.write
        bounds = [write.ints(tap, first), write.ints(END, last or END), write.ints(1, self.time)]
        steps = write.ints(self.taps, 1)
        return write.one("Slice", [window, *bounds, steps], f"{self.hint}.tap")


def on_a_plane(
    ctx: Context, node: Node, alignment: Alignment, shape: Geometry, past: NDArray[np.float32] | None
) -> Lowering | None:
    """What becomes of a Conv over time and frequency; None where it should stay one.

    Args:
        past: the rows before the stream that it looks at; None if it looks at none.
    """
    assert alignment.time is not None
    plane = _Plane(ctx, node, alignment, shape)
    if plane.taps > MAX_TAPS:
        return None
    if plane.bins_after == 1:
        return Lowering([0, alignment.time, 1, plane.frequency], plane.one_bin)
    if plane.groups > 1 and plane.taps > 1 and past is not None and not np.any(past):
        return Lowering([0, 1, 2, 3], plane.by_products, remembers=True)
    return None
