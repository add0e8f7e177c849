"""Attention over time with a finite window: every frame looks at itself and a fixed number of frames before it.

Offline, all frames are compared with all and a mask takes away what lies outside the window. In a stream the keys and
values of the window are state, and each row is compared with those alone: where the offline scores have an axis of all
frames, the streaming scores have one of the window, oldest first ("keys").
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.masks import RECURRENT, window_of
from export.streaming.memory import history, row_numbers, spread_rows, windowed
from export.streaming.node import Node
from export.streaming.rules.pointwise import align, merged
from export.streaming.rules.sparse import refuse_sparse


def scores(ctx: Context, node: Node, query: Alignment, key: Alignment) -> None:
    """(.., T, d) x (.., d, T) -> (.., T, window)."""
    if query.time != len(query.axes) - 2 or key.time != len(key.axes) - 1 or query.band or key.band:
        ctx.refuse(node, "it compares frames with frames in an order that has no rule", RECURRENT)
    if query.every > 1:
        refuse_sparse(ctx, node)
    window, fill = window_of(ctx, node)
    query, key = align(ctx, node, [query, key])
    if len({query.rate, key.rate}) > 1:
        ctx.refuse(node, "its keys have another frame rate than its queries", "use one frame rate")
    write = ctx.write
    rank = len(query.axes)
    keys = _windows(ctx, node, key, window)  # (.., d, T, window)
    order = list(range(len(key.axes) + 1))
    order[-3], order[-2] = order[-2], order[-3]
    one = write.one("Unsqueeze", [query.name, write.ints(rank - 1)], "query")
    product = write.one("MatMul", [one, write.transpose(keys, order)], "scores")
    product = write.one("Squeeze", [product, write.ints(-2)], "scores")
    alignment = replace(
        merged([query, key], query),
        first=None if key.first is None else key.first - (window - 1) / key.rate,
        band=window,
    )
    rows = write.one("Unsqueeze", [row_numbers(ctx, query), write.ints(2)], "row")
    distances = np.arange(window - 1, -1, -1) + query.lag
    here = write.one("GreaterOrEqual", [rows, write.ints(*distances)], "exists")
    here = spread_rows(ctx, replace(query, axes=ctx.axes(node, node.output)), here)
    product = write.one("Where", [here, product, write.constant(np.float32(fill))], "seen")
    ctx.derive(node, alignment, product)


def weighted(ctx: Context, node: Node, weights: Alignment, value: Alignment) -> None:
    """(.., T, window) x (.., T, d) -> (.., T, d)."""
    if value.time != len(value.axes) - 2 or value.band or weights.axes[-1].kind != "keys":
        ctx.refuse(node, "it weights frames in an order that has no rule", RECURRENT)
    weights, value = align(ctx, node, [weights, value])
    write = ctx.write
    values = _windows(ctx, node, value, weights.band)  # (.., T, window, d)
    one = write.one("Unsqueeze", [weights.name, write.ints(len(weights.axes) - 1)], "weights")
    product = write.one("MatMul", [one, values], "weighted")
    product = write.one("Squeeze", [product, write.ints(-2)], "weighted")
    first = None if value.first is None else value.first - (weights.band - 1) / value.rate
    both = merged([weights, replace(value, first=first)], weights)
    ctx.derive(node, both, product, band=0)


def _windows(ctx: Context, node: Node, alignment: Alignment, window: int) -> str:
    """What each row sees: (.., T, ..) -> (.., T, window, ..)."""
    return windowed(ctx, history(ctx, node, alignment, window - 1), alignment, window)
