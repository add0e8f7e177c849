"""Operators with a sliding window over time: convolutions and pooling. The rows they look back on become state."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.memory import before_the_stream, history, history_turned, masked
from export.streaming.node import Node
from export.streaming.rules.lowering import Geometry, Lowering
from export.streaming.rules.planes import on_a_plane
from export.streaming.rules.pointwise import closed
from export.streaming.rules.product import as_product
from export.streaming.rules.registry import rule
from export.streaming.rules.sparse import refuse_sparse
from export.streaming.rules.upsampling import in_the_batch
from export.streaming.writer import END

LOWEST = float(np.finfo(np.float32).min)


def slide(
    ctx: Context,
    node: Node,
    alignment: Alignment,
    apply: Callable[[str, int, int], str],
    *,
    span: int,
    step: int,
    pad: int,
    fill: float = 0.0,
    lower: Callable[[Alignment, int, int], Lowering | None] | None = None,
) -> None:
    """Carry an operator whose output row j reads input rows [j * step - pad, j * step - pad + span).

    Args:
        apply: emits the operator without padding on a tensor whose time axis holds exactly the rows needed; given
            the step from row to row of the result, and how far apart rows of the offline tensor are.
        fill: what the padding is made of.
        lower: another way to write it, given the alignment, the rows it looks back on, and the step; or None.
    """
    apart, every = alignment.every, alignment.every * step
    if apart == 1 and ctx.in_blocks(alignment.rate / step):
        every = 1
    else:
        step, span, pad = 1, (span - 1) * apart + 1, pad * apart
    if pad > 0:
        if alignment.edge:
            ctx.refuse(node, "it pads again what was padded with copies of the first frame", "pad once")
        alignment = masked(ctx, alignment, fill)
    padded_lag = alignment.lag - pad
    lag = -((-padded_lag - span) // step) - 1  # newest row complete at the end of a chunk
    rows = lag * step - padded_lag
    lowered = lower(alignment, rows, step) if lower is not None else None
    name = alignment.name
    if rows < 0:
        name = ctx.write.slice(name, -rows, END, alignment.real_time, "trimmed")
    if lowered is None:
        name = apply(history(ctx, node, alignment, rows, fill) if rows >= 0 else name, step, apart)
    elif rows >= 0 and not lowered.remembers:
        name = lowered.emit(history_turned(ctx, node, alignment, rows, lowered.order, fill), step, apart)
    else:
        name = lowered.emit(ctx.write.transpose(name, lowered.order, "rows"), step, apart)
    rate = alignment.rate / step
    first = None if alignment.first is None else alignment.first - Fraction(pad) / alignment.rate
    ctx.derive(
        node,
        alignment,
        name,
        every=every,
        lag=lag,
        rate=rate,
        first=first,
        last=alignment.last + Fraction(span - 1 - pad) / alignment.rate,
        lookahead_layer=ctx.lookahead_layer(node, alignment, lag, rate),
    )


@rule("Conv", "MaxPool", "AveragePool", "LpPool")
def window(ctx: Context, node: Node) -> None:
    alignment = ctx.alignment(node.inputs[0])
    if any(ctx.varies(name) for name in node.inputs[1:]):
        ctx.refuse(node, "its weights are computed from the sound", "use constant weights")
    weights = [ctx.parameter(node, name) for name in node.inputs[1:]]
    if len(node.outputs) > 1 and node.outputs[1]:
        ctx.refuse_later(
            node.outputs[1], node, "positions of maxima count from the start", "use the values alone"
        )
    if alignment.time is None:  # frames are folded into the batch: nothing to remember
        in_the_batch(ctx, node, alignment)
        alignment = closed(ctx, node, alignment)
        name, *_ = ctx.copy(node, [alignment.name, *weights], count=1)
        ctx.derive(node, alignment, name)
        return
    if alignment.time < 2 or alignment.batch != 0:
        ctx.refuse(
            node, "time lies on its batch or channel axis", "transpose to (batch, channels, time) before it"
        )
    spatial = alignment.time - 2
    kernel, stride, dilation, pads = _geometry(ctx, node, alignment)
    if node.op == "AveragePool" and pads[spatial] and not node.attrs.get("count_include_pad", 0):
        ctx.refuse(
            node,
            "it counts padding out of the mean at the start",
            "pad before it or set count_include_pad=True",
        )
    if (
        node.op == "AveragePool"
        and alignment.lag < 0
        and pads[spatial] == 0
        and node.attrs.get("ceil_mode", 0)
    ):
        ctx.refuse(node, "ceil_mode shortens its last mean", "set ceil_mode=False")
    bare = list(pads)
    half = len(pads) // 2
    bare[spatial] = bare[spatial + half] = 0
    attrs: dict[str, Any] = {"pads": bare, "auto_pad": None}
    if node.attrs.get("ceil_mode", 0):
        attrs["ceil_mode"] = (
            1 if half > 1 and _ceil_matters(node, kernel, stride, pads, spatial, alignment) else 0
        )
        if attrs["ceil_mode"]:
            ctx.refuse(node, "ceil_mode with frequency has no rule", "set ceil_mode=False")
    taps = dilation[spatial]

    def apply(name: str, step: int, apart: int) -> str:
        if node.op != "Conv" and apart * step != stride[spatial]:
            return _pooled(ctx, node, name, alignment, (kernel[spatial], taps * apart), attrs)
        stride[spatial], dilation[spatial] = step, taps * apart
        steps: dict[str, Any] = {"strides": stride}
        if node.op == "Conv" or "dilations" in node.attrs:
            steps["dilations"] = dilation
        return ctx.copy(node, [name, *weights], count=1, **attrs, **steps)[0]

    def lower(at: Alignment, rows: int, step: int) -> Lowering | None:
        shape = Geometry(kernel, stride, dilation, pads)
        if node.op != "Conv" or at.open or len(at.axes) not in (3, 4):
            return None
        if all(
            at.axes[axis].size * kernel[axis - 2] == 1 for axis in range(2, len(at.axes)) if axis != at.time
        ):
            return as_product(ctx, node, at, shape)
        plain = rows > 0 and step == 1 and not at.edge and at.around == (1, 1)
        return on_a_plane(
            ctx, node, at, shape, before_the_stream(ctx, node, at, at, rows, 0.0) if plain else None
        )

    slide(
        ctx,
        node,
        alignment,
        apply,
        span=(kernel[spatial] - 1) * taps + 1,
        step=stride[spatial],
        pad=pads[spatial],
        fill=LOWEST if node.op == "MaxPool" else 0.0,
        lower=lower,
    )


def _pooled(
    ctx: Context,
    node: Node,
    name: str,
    alignment: Alignment,
    taps: tuple[int, int],
    attrs: dict[str, Any],
) -> str:
    """Pooling at every frame over rows further apart: along frequency by the operator, then row by row."""
    if node.op == "LpPool":
        refuse_sparse(ctx, node)
    write, time, (count, apart) = ctx.write, alignment.real_time, taps
    spatial = time - 2
    single = {k: list(node.attrs[k]) for k in ("kernel_shape", "strides", "dilations") if k in node.attrs}
    for sizes in single.values():
        sizes[spatial] = 1
    name = ctx.copy(node, [name], count=1, **attrs, **single)[0]
    reach = (count - 1) * apart
    rows = [write.slice(name, k * apart, k * apart - reach or END, time, "tap") for k in range(count)]
    return write.one("Max" if node.op == "MaxPool" else "Mean", rows, "pooled")


def _geometry(
    ctx: Context, node: Node, alignment: Alignment
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Kernel, stride, dilation and pads (begins, then ends) of the spatial axes, auto_pad resolved."""
    count = len(alignment.axes) - 2
    if node.op == "Conv":
        kernel = list(ctx.fixed(node, node.inputs[1]).shape[2:])
    else:
        kernel = list(node.attrs["kernel_shape"])
    stride = list(node.attrs.get("strides", [1] * count))
    dilation = list(node.attrs.get("dilations", [1] * count))
    mode = node.attrs.get("auto_pad", b"NOTSET").decode()
    if mode in ("NOTSET", ""):
        return kernel, stride, dilation, list(node.attrs.get("pads", [0] * (2 * count)))
    begins, ends = [0] * count, [0] * count
    if mode.startswith("SAME"):
        size_in = ctx.probe.value(node.inputs[0]).shape[2:]
        size_out = ctx.probe.value(node.output).shape[2:]
        for i in range(count):
            span = (kernel[i] - 1) * dilation[i] + 1
            total = max((size_out[i] - 1) * stride[i] + span - size_in[i], 0)
            begins[i] = total // 2 if mode == "SAME_UPPER" else total - total // 2
            ends[i] = total - begins[i]
    return kernel, stride, dilation, begins + ends


def _ceil_matters(
    node: Node, kernel: list[int], stride: list[int], pads: list[int], spatial: int, alignment: Alignment
) -> bool:
    """True if rounding up adds a row on an axis other than time."""
    half = len(pads) // 2
    for i in range(half):
        size = alignment.axes[i + 2].size + pads[i] + pads[i + half] - kernel[i]
        if i != spatial and size % stride[i]:
            return True
    return False
