"""A convolution over time and frequency as one over frequency alone, each row an image of its own.

A row has the same bits in any chunk then, for the columns of the product that ONNX Runtime makes of an image are bins
of one row. Time is brought in by one of two ways, whichever moves less: the frames that a row looks at become channels
of its image; or each frame is convolved once with the weights of every tap, and a row is the sum of what frames gave.
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
        self.ctx, self.write, self.time = ctx, ctx.write, alignment.time
        self.frequency = 5 - self.time
        at, over_time = self.frequency - 2, self.time - 2
        weight = ctx.fixed(node, node.inputs[1])
        self.weight = (
            weight if self.time == 2 else weight.swapaxes(2, 3)
        )  # (C', C, taps of time, of frequency)
        self.names = node.inputs[1:3]
        self.bias = ctx.fixed(node, node.inputs[2]) if node.input(2) else np.zeros(len(weight), np.float32)
        self.groups = node.attrs.get("group", 1)
        self.taps, self.apart = shape.kernel[over_time], shape.dilation[over_time]
        self.channels, self.bins = alignment.axes[1].size, alignment.axes[self.frequency].size
        self.bins_after = ctx.axes(node, node.output)[self.frequency].size
        self.attrs = {
            "kernel_shape": [shape.kernel[at]],
            "strides": [shape.stride[at]],
            "dilations": [shape.dilation[at]],
            "pads": [shape.pads[at], shape.pads[at + 2]],
        }
        self.hint = node.proto.name or node.output

    def convolved(self, rows: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """Rows of any shape as images (N * T, C, bins), convolved over the bins: (N * T, C', bins')."""
        groups = self.groups
        images = self.write.reshape(rows, [-1, weight.shape[1] * groups, self.bins], f"{self.hint}.images")
        inputs = [images, self.write.constant(weight, self.names[0])]
        if np.any(bias):
            inputs.append(self.write.constant(bias, self.names[1]))
        return self.write.one("Conv", inputs, f"{self.hint}.image", group=groups, **self.attrs)

    def by_stream(self, images: str, *sizes: int) -> str:
        """(N * T, ...) as (N, T, sizes)."""
        streams = self.write.once("Shape", [self.ctx.features], "streams", start=0, end=1)
        shape = self.write.once("Concat", [streams, self.write.ints(-1, *sizes)], "shape", axis=0)
        return self.write.one("Reshape", [images, shape], f"{self.hint}.rows")

    def back(self, rows: str) -> str:
        """(N, T, C', bins') in the offline order."""
        return self.write.transpose(rows, [0, 2, 1, 3] if self.time == 2 else [0, 2, 3, 1], self.hint)

    def by_frames(self, window: str, step: int, apart: int) -> str:
        """The frames that a row looks at as channels of its image."""
        weight = self.weight.transpose(0, 2, 1, 3)
        rows = side_by_side(self.write, window, (self.taps, step, self.apart * apart), 2, self.hint)
        images = self.convolved(rows, weight.reshape(len(weight), -1, weight.shape[3]), self.bias)
        return self.back(self.by_stream(images, len(weight), self.bins_after))

    def by_products(self, chunk: str, _: int, apart: int) -> str:
        """Each frame convolved once with all taps; what the frames before gave is remembered, not they."""
        apart *= self.apart
        before = (self.taps - 1) * apart
        write, taps, size = self.write, self.taps, len(self.weight) // self.groups * self.bins_after
        weight = self.weight.transpose(0, 2, 1, 3)  # (C', taps, C, of frequency); C' by group
        parts = weight.reshape(self.groups, -1, *weight.shape[1:]).swapaxes(1, 2)
        bias = np.zeros(parts.shape[:3], np.float32)
        bias[:, -1] = self.bias.reshape(
            self.groups, -1
        )  # with the newest frame, which stands before no stream
        images = self.convolved(chunk, parts.reshape(-1, *weight.shape[2:]), bias.reshape(-1))
        products = self.by_stream(images, self.groups, taps * size)
        window = remembered(self.ctx, products, np.zeros((before, self.groups, taps * size), np.float32))
        seen = [
            self._part(window, k * apart, k * apart - before, k * size, (k + 1) * size) for k in range(taps)
        ]
        rows = write.one("Sum", seen, f"{self.hint}.sum")
        shape = write.ints(0, 0, len(self.weight), self.bins_after)
        return self.back(write.one("Reshape", [rows, shape], f"{self.hint}.rows"))

    def _part(self, window: str, first: int, last: int, start: int, end: int) -> str:
        """Rows from first to last of (N, T, groups, values), and values from start to end."""
        write = self.write
        bounds = [write.ints(first, start), write.ints(last or END, end), write.ints(1, 3)]
        return write.one("Slice", [window, *bounds], f"{self.hint}.tap")


def as_images(
    ctx: Context, node: Node, alignment: Alignment, shape: Geometry, past: NDArray[np.float32] | None
) -> Lowering | None:
    """What becomes of a Conv over time and frequency; None where it should stay one.

    Args:
        past: the rows before the stream that it looks at; None if it looks at none.
    """
    assert alignment.time is not None
    plane = _Plane(ctx, node, alignment, shape)
    order = [0, alignment.time, 1, plane.frequency]
    if plane.taps > MAX_TAPS:
        return None
    smaller = len(plane.weight) * plane.bins_after < plane.channels * plane.bins
    if past is not None and not np.any(past) and plane.taps > 1 and (smaller or plane.groups > 1):
        return Lowering(order, plane.by_products, remembers=True)
    return Lowering(order, plane.by_frames) if plane.groups == 1 or plane.taps == 1 else None
