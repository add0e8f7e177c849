"""Subsampling whose rows are repeated later: computed at every frame, so that a stream needs no blocks of frames.

A strided operator whose result comes back to the frame rate would need blocks of frames. Instead it runs at every
frame, and of its rows only every ``Alignment.every``-th is one of the offline tensor's; operators behind it look that
much further apart. Repeating rows picks, for each frame, the row that was the last of the offline tensor's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.axes import Axes
from export.streaming.context import Context
from export.streaming.memory import arrived, history, row_numbers, spread
from export.streaming.node import Node
from export.streaming.rules.pointwise import BROADCAST, UNARY
from export.streaming.writer import END

SPARSE = frozenset((*UNARY, *BROADCAST)) | {
    "AveragePool", "BatchNormalization", "Concat", "Conv", "ConvTranspose", "Einsum", "Expand", "GRU", "Gather",
    "GatherND", "Gemm", "LSTM", "LayerNormalization", "LogSoftmax", "MatMul", "MaxPool", "Pad", "RMSNormalization",
    "RNN", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare", "Reshape",
    "Resize", "Slice", "Softmax", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip


def refuse_sparse(ctx: Context, node: Node) -> NoReturn:
    ctx.refuse(
        node,
        "it works on frames that were subsampled and are repeated later",
        "keep the frame rate there, or give the scores at the lower rate",
    )


def phase_is(ctx: Context, alignment: Alignment, phase: int) -> str:
    """Boolean, broadcastable: True for rows so far behind one of the offline tensor's."""
    write = ctx.write
    index = row_numbers(ctx, alignment)
    place = write.one(
        "Mod",
        [write.one("Sub", [index, write.ints(alignment.lag)], "row"), write.ints(alignment.every)],
        "phase",
    )
    return spread(ctx, alignment, write.one("Equal", [place, write.ints(phase)], "at"))


def present(ctx: Context, alignment: Alignment) -> str:
    """Boolean, broadcastable: True for rows that are the offline tensor's."""
    here = arrived(ctx, alignment)
    if alignment.every == 1:
        return here
    return ctx.write.one("And", [here, phase_is(ctx, alignment, 0)], "present")


def repeated(ctx: Context, node: Node, alignment: Alignment, times: int, axis: int | None) -> Alignment:
    """Each row ``times`` times, or its parts along ``axis`` as rows: of the rows before, the one that is meant."""
    if alignment.every % times:
        refuse_sparse(ctx, node)
    apart = alignment.every // times
    time, write = alignment.real_time, ctx.write
    window = history(ctx, node, alignment, (times - 1) * apart)
    result = ""
    for part in range(times):
        back = part * apart
        name = write.slice(window, (times - 1) * apart - back, -back or END, time, "before")
        if axis is not None:
            name = write.one("Gather", [name, write.constant(np.int64(part))], "part", axis=axis)
        if part:
            behind = replace(alignment, axes=_without(alignment, axis))
            name = write.one("Where", [phase_is(ctx, behind, back), name, result], "repeated")
        result = name
    return replace(alignment, name=result, every=apart, axes=_without(alignment, axis))


def _without(alignment: Alignment, axis: int | None) -> Axes:
    return tuple(a for i, a in enumerate(alignment.axes) if i != axis)
