"""Transposed convolution and interpolation: along frequency as they are; along time only by whole numbers of rows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.memory import history, masked
from export.streaming.node import Node
from export.streaming.rules.dims import real_dims, reshaped
from export.streaming.rules.pointwise import closed
from export.streaming.rules.registry import rule
from export.streaming.rules.sparse import present, refuse_sparse, repeated


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
    if alignment.every > 1:
        _between_rows(ctx, node, alignment, weights, (at, reach), step, pads)
        return
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


def _between_rows(
    ctx: Context,
    node: Node,
    alignment: Alignment,
    weights: list[str],
    window: tuple[int, int],
    step: list[int],
    pads: list[int],
) -> None:
    """Transposed convolution over time back from subsampled rows: one of step 1, with zeros between those rows."""
    (at, reach), write = window, ctx.write
    if alignment.every % step[at]:
        refuse_sparse(ctx, node)
    apart = alignment.every // step[at]
    rows = write.one(
        "Where", [present(ctx, alignment), alignment.name, write.constant(np.float32(0))], "sparse"
    )
    lag = alignment.lag + pads[at] * apart
    span = reach * apart
    joined = history(ctx, node, replace(alignment, name=rows), span)
    count = len(step)
    dilation = list(node.attrs.get("dilations", [1] * count))
    extra = list(node.attrs.get("output_padding", [0] * count))
    step[at], dilation[at], extra[at] = 1, dilation[at] * apart, 0
    pads[at] = pads[at + count] = span
    attrs: dict[str, Any] = {"auto_pad": None, "output_shape": None, "output_padding": extra}
    name, *_ = ctx.copy(node, [joined, *weights], pads=pads, strides=step, dilations=dilation, **attrs)
    first = None if alignment.first is None else alignment.first - span / alignment.rate
    layer = ctx.lookahead_layer(node, alignment, lag, alignment.rate)
    ctx.derive(node, alignment, name, lag=lag, every=apart, first=first, lookahead_layer=layer)


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
    times = 1
    for place, axis in enumerate(alignment.axes):
        if axis.kind == "time":
            times = _times(ctx, node, after[place].rate / axis.rate)
    inputs = [alignment.name, ctx.parameter(node, node.input(1))]
    if node.input(2) and ctx.probe.value(node.inputs[2]).size:
        scales = np.ones(len(after), np.float32)
        places = [int(a) % len(after) for a in node.attrs.get("axes", range(len(after)))]
        scales[places] = ctx.probe.value(node.inputs[2])
        scales[[i for i, axis in enumerate(after) if axis.kind != "fixed"]] = 1
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
    _repeat(ctx, node, replace(alignment, name=name, axes=after), times)


def _times(ctx: Context, node: Node, factor: Fraction) -> int:
    if factor.denominator != 1 or (factor != 1 and node.attrs.get("mode", b"nearest") != b"nearest"):
        ctx.refuse(
            node,
            "it interpolates along time, which needs frames to come",
            "repeat rows with repeat_interleave, or keep the frame rate",
        )
    return int(factor)


def _repeat(ctx: Context, node: Node, alignment: Alignment, times: int) -> None:
    """Each row so many times."""
    if times == 1:
        ctx.derive(node, alignment, alignment.name)
        return
    if alignment.every > 1:
        made = repeated(ctx, node, alignment, times, None)
        ctx.derive(node, made, made.name)
        return
    write, time, rank = ctx.write, alignment.real_time, len(alignment.axes)
    wide = write.one("Unsqueeze", [alignment.name, write.ints(time + 1)], "rows")
    many = [times if i == time + 1 else 1 for i in range(rank + 1)]
    wide = write.one("Expand", [wide, write.ints(*many)], "rows")
    after = real_dims(alignment)
    before = [*after[: time + 1], (frozenset[str](), times), *after[time + 1 :]]
    wide = reshaped(ctx, wide, before, after)
    lag, rate = alignment.lag * times, alignment.rate * times
    layer = ctx.lookahead_layer(node, alignment, lag, rate)
    ctx.derive(node, alignment, wide, lag=lag, rate=rate, lookahead_layer=layer)
