"""Transposed convolution and interpolation: along frequency as they are; along time only by whole numbers of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.memory import history, masked
from export.streaming.node import Node
from export.streaming.rules.pointwise import closed
from export.streaming.rules.registry import rule


@rule("ConvTranspose")
def conv_transpose(ctx: Context, node: Node) -> None:
    """Row j of the output is made of input rows up to (j + pad) / step: it looks back, like any convolution."""
    alignment = ctx.alignment(node.inputs[0])
    if any(ctx.varies(name) for name in node.inputs[1:]):
        ctx.refuse(node, "its weights are computed from the sound", "use constant weights")
    weights = [ctx.parameter(node, name) for name in node.inputs[1:]]
    if alignment.time is None:
        in_the_batch(ctx, node, alignment)
        alignment = closed(ctx, node, alignment)
        name, *_ = ctx.copy(node, [alignment.name, *weights])
        ctx.derive(node, alignment, name)
        return
    if alignment.time < 2 or alignment.batch != 0:
        ctx.refuse(
            node, "time lies on its batch or channel axis", "transpose to (batch, channels, time) before it"
        )
    at = alignment.time - 2
    count = len(alignment.axes) - 2
    kernel = ctx.fixed(node, node.inputs[1]).shape[2:]
    step = list(node.attrs.get("strides", [1] * count))
    apart = list(node.attrs.get("dilations", [1] * count))
    extra = list(node.attrs.get("output_padding", [0] * count))
    pads = _pads(ctx, node, [(k - 1) * d + 1 for k, d in zip(kernel, apart, strict=True)], step, extra)
    reach = (kernel[at] - 1) * apart[at]
    past = reach // step[at]
    lag = alignment.lag * step[at] + pads[at]
    alignment = masked(ctx, alignment, 0.0)
    window = history(ctx, node, alignment, past)
    # Of the full result, keep step rows for each new one: those from the first that the rows kept can complete.
    end = reach + 1 - step[at]
    pads[at], pads[at + count] = step[at] * past, max(end, 0)
    extra[at] = max(-end, 0)
    attrs: dict[str, Any] = {"pads": pads, "output_padding": extra, "auto_pad": None, "output_shape": None}
    name, *_ = ctx.copy(node, [window, *weights], **attrs)
    rate = alignment.rate * step[at]
    first = None if alignment.first is None else alignment.first - past / alignment.rate
    ctx.derive(
        node,
        alignment,
        name,
        lag=lag,
        rate=rate,
        first=first,
        lookahead_layer=ctx.lookahead_layer(node, alignment, lag, rate),
    )


def in_the_batch(ctx: Context, node: Node, alignment: Alignment) -> None:
    """Refuse a layer on (batch, channels, ...) if anything that moves is not in its batch axis."""
    if alignment.batch != 0 or alignment.outer > 1:
        ctx.refuse(
            node,
            "streams or frames lie on its channels or are mixed with its bins",
            "give it (batch, channels, bins) with the frames in the batch",
        )


def _pads(ctx: Context, node: Node, spans: list[int], step: list[int], extra: list[int]) -> list[int]:
    """Begins, then ends, whichever way the operator states them."""
    mode = node.attrs.get("auto_pad", b"NOTSET").decode()
    if mode in ("NOTSET", "") and "output_shape" not in node.attrs:
        return list(node.attrs.get("pads", [0] * (2 * len(spans))))
    before, after = ctx.probe.value(node.inputs[0]).shape[2:], ctx.probe.value(node.output).shape[2:]
    begins, ends = [], []
    for i, span in enumerate(spans):
        total = step[i] * (before[i] - 1) + extra[i] + span - after[i]
        half = total // 2
        begins.append(half if mode == "SAME_UPPER" else total - half)
        ends.append(total - begins[-1])
    return begins + ends


@rule("Resize")
def resize(ctx: Context, node: Node) -> None:
    alignment = closed(ctx, node, ctx.alignment(node.inputs[0]))
    after = ctx.axes(node, node.output)
    for axis, other in zip(alignment.axes, after, strict=True):
        if axis.kind != "fixed" and (axis.size, axis.rate or other.rate) != (other.size, other.rate):
            ctx.refuse(
                node,
                "it interpolates along time, which needs frames to come",
                "repeat rows with repeat_interleave, or keep the frame rate",
            )
    inputs = [alignment.name, ctx.parameter(node, node.input(1))]
    if node.input(2) and ctx.probe.value(node.inputs[2]).size:
        scales = np.ones(len(after), np.float32)
        places = [int(a) % len(after) for a in node.attrs.get("axes", range(len(after)))]
        scales[places] = ctx.probe.value(node.inputs[2])
        inputs.append(ctx.write.constant(scales))
    else:
        sizes = [
            ctx.write.ints(axis.size)
            if axis.kind == "fixed"
            else ctx.write.one("Shape", [alignment.name], "size", start=place, end=place + 1)
            for place, axis in enumerate(after)
        ]
        inputs += ["", ctx.write.one("Concat", sizes, "sizes", axis=0)]
    name, *_ = ctx.copy(node, inputs, axes=None)
    ctx.derive(node, alignment, name)
