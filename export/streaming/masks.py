"""Masks of attention over time: which frames each frame sees, and what is added to its scores, by distance."""

from __future__ import annotations

import numpy as np

from export.streaming.context import Array, Context
from export.streaming.node import Node

RECURRENT = "use a recurrent layer or a causal convolution in place of attention"
WINDOWED = "give it a mask that lets every frame see itself and a fixed number of frames before it"
ABSENT = -1e30  # score of a frame before the stream began
_MASKED = -1e4  # scores below are no part of a softmax in float32
_FOLLOWED = (
    "Add", "Sub", "Mul", "Div", "Where", "Cast", "Identity", "Dropout", "Reshape", "Transpose", "Unsqueeze",
    "Squeeze", "Clip", "Neg",
)  # fmt: skip
_LENGTHS = (512, 1024, 2048)  # frames, where the window is longer than the probe's sequences


def banded(ctx: Context, node: Node, name: str, band: int) -> Array:
    """A mask or bias (.., T, T) that does not depend on the sound, as (.., 1, window)."""
    axes = ctx.axes(node, name)
    if sum(axis.kind == "time" for axis in axes[-2:]) < 2:
        return ctx.static_operand(node, name)
    values = [_one_stream(value, axes) for value in ctx.probe.values(name)]
    if any(value.shape[-1] <= band for value in values):
        values.append(_one_stream(_longer(ctx, name, band), axes))
    longest = max(values, key=lambda value: value.shape[-1])
    columns = []
    for distance in range(band - 1, -1, -1):
        diagonals = [np.diagonal(value, -distance, -2, -1) for value in values if value.shape[-1] > distance]
        column = np.diagonal(longest, -distance, -2, -1)[..., :1]
        if not all(np.array_equal(np.broadcast_to(column, d.shape), d) for d in diagonals):
            ctx.refuse(
                node, "its mask or bias differs from frame to frame", "let every frame see the same window"
            )
        columns.append(column)
    return np.stack(columns, axis=-1)


def _one_stream(value: Array, axes: tuple[object, ...]) -> Array:
    """Without axes of streams, which must all be equal."""
    for place, axis in enumerate(axes):
        if getattr(axis, "kind", "") == "batch":
            value = value.take([0], axis=place)
    return value


def _longer(ctx: Context, name: str, least: int) -> Array:
    value = next((v for length in _LENGTHS if length > least for v in [ctx.probe.longer(name, length)]), None)
    if value is None:
        raise LookupError(f"{name} cannot be computed for {least} frames")
    return value


def window_of(ctx: Context, node: Node) -> tuple[int, float]:
    """How many frames a frame sees, itself included, by the masks behind the scores; and what to set absent ones to."""
    masks = _masks(ctx, node)
    if not masks:
        ctx.refuse(
            node,
            f"it compares frames with frames (attention), and sees those to come; {WINDOWED}",
            f"or {RECURRENT}",
        )
    fill = 0.0 if all(op == "Mul" for op, *_ in masks) else ABSENT
    seen = _distances(_allowed(masks, [ctx.probe.value(name, 0) for _, name, _ in masks]))
    length = ctx.probe.lengths[0]
    for longer in _LENGTHS:
        if seen.max() < length - 1:
            break
        longest = [ctx.probe.longer(name, longer) for _, name, _ in masks]
        values = [value for value in longest if value is not None and value.shape[-1] == longer]
        if len(values) < len(masks):
            continue
        seen, length = _distances(_allowed(masks, values)), longer
    if seen.min() < 0:
        ctx.refuse(
            node,
            f"its mask lets frames see {-int(seen.min())} frame(s) to come",
            f"{WINDOWED}, or {RECURRENT}",
        )
    if seen.max() >= length - 1:
        ctx.refuse(
            node,
            "every frame sees all frames before it, so its memory grows without end",
            f"{WINDOWED}, or {RECURRENT}",
        )
    return int(seen.max()) + 1, fill


def _masks(ctx: Context, node: Node) -> list[tuple[str, str, bool]]:
    """(operator, mask, whether frames are seen where it is true) between the scores and their softmax."""
    found: list[tuple[str, str, bool]] = []
    scores = {node.output}
    for each in ctx.after(node):
        inside = [place for place, name in enumerate(each.inputs) if name in scores]
        if not inside or each.op not in _FOLLOWED:
            continue
        scores.update(each.outputs)
        for place, name in enumerate(each.inputs):
            axes = None if not name or ctx.varies(name) or name in scores else ctx.probe.axes(name)
            if axes is None or sum(axis.kind == "time" for axis in axes[-2:]) < 2:
                continue
            if each.op in ("Add", "Mul") or (each.op == "Where" and place == 0):
                found.append((each.op, name, each.op != "Where" or 1 in inside))
    return found


def _allowed(masks: list[tuple[str, str, bool]], values: list[Array]) -> Array:
    """(T, T) boolean: what the masks leave of the scores."""
    left = np.ones(values[0].shape[-2:], bool)
    for (op, _, positive), value in zip(masks, values, strict=True):
        kept = value > _MASKED if op == "Add" else value != 0
        kept = kept if positive else ~kept
        left &= kept.reshape(-1, *kept.shape[-2:]).any(axis=0)
    return left


def _distances(allowed: Array) -> Array:
    rows, columns = np.nonzero(allowed)
    return np.asarray(rows - columns)
