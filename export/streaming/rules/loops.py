"""Scan, a loop over frames: its loop values are the state, and its body stays as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.memory import Array, arrived, head
from export.streaming.node import Node
from export.streaming.probe import open_session
from export.streaming.rules.pointwise import align, merged
from export.streaming.rules.registry import rule

_CARRIED = (np.dtype(np.float32), np.dtype(np.int64))


@rule("Scan")
def scan(ctx: Context, node: Node) -> None:
    attrs = dict(node.attrs)
    count = int(attrs["num_scan_inputs"])
    starts, rows = node.inputs[:-count], node.inputs[-count:]
    for name in ("scan_input_directions", "scan_output_directions"):
        if any(attrs.get(name, ())):
            ctx.refuse(
                node, "a loop that runs backwards needs the whole sequence", "loop from the first frame on"
            )
    alignments = align(ctx, node, [_sequence(ctx, node, name) for name in rows])
    axes = list(attrs.get("scan_input_axes", [0] * count))
    for alignment, axis in zip(alignments, axes, strict=True):
        if alignment.time is None or axis % len(alignment.axes) != alignment.time:
            ctx.refuse(node, "the loop does not run along time", "loop over the frames")
    lead = merged(alignments, alignments[0])
    values = [_start(ctx, node, name, lead) for name in starts]
    if lead.lag < 0:
        values = _after_head(ctx, node, alignments, values)
    states = [ctx.write.state(shape, value) for shape, value, _ in values]
    used = [
        state if stored is None else ctx.write.one("Reshape", [state, ctx.write.ints(*stored)], "state")
        for state, (_, _, stored) in zip(states, values, strict=True)
    ]
    inputs = [t.name for t in alignments]
    if lead.lag > 0:
        attrs, extra = _holding(ctx, node, alignments[0], attrs, len(starts))
        inputs.append(extra)
    hint = node.proto.name.split("/")[-1] or "loop"
    names = ctx.write.emit("Scan", [*used, *inputs], hint, len(node.outputs), **attrs)
    for state, after, (shape, _, stored) in zip(states, names, values, strict=False):
        kept = after if stored is None else ctx.write.one("Reshape", [after, ctx.write.ints(*shape)], "keep")
        ctx.write.update(state, kept)
    for position, name in enumerate(names):
        if position < len(starts):
            if node.outputs[position]:
                ctx.refuse_later(
                    node.outputs[position],
                    node,
                    "its final state is used as a result",
                    "use the last output instead",
                )
        elif node.outputs[position]:
            ctx.derive(node, lead, name, position, first=None)


def _sequence(ctx: Context, node: Node, name: str) -> Alignment:
    if not ctx.varies(name):
        ctx.refuse(
            node,
            "a step of it reads values that depend on the position in the sequence, which has no end in a stream",
            "use the same values in every step",
        )
    return ctx.alignment(name)


State = tuple[
    tuple[int, ...], Array, "tuple[int, ...] | None"
]  # shape kept, start value, shape used if another


def _start(ctx: Context, node: Node, name: str, lead: Alignment) -> State:
    """A loop value to start from, the same for every stream."""
    if ctx.varies(name):
        ctx.refuse(
            node, "its initial state is computed from the sequence", "start from zeros or learned values"
        )
    axes = ctx.axes(node, name)
    places = [i for i, axis in enumerate(axes) if axis.kind == "batch"]
    if len(places) != 1 or any(axis.kind in ("time", "both") for axis in axes):
        ctx.refuse(node, "its state has no axis for the streams of a batch", "give the state a batch axis")
    (batch,) = places
    per_stream = axes[batch].size
    if per_stream != 1 and lead.around != (1, per_stream):
        ctx.refuse(node, "its state folds features into the batch", "keep features an axis of their own")
    value = ctx.probe.value(name)
    row = value.take(range(per_stream), axis=batch)
    for run in range(3):
        other = ctx.probe.value(name, run)
        if not np.array_equal(np.concatenate([row] * (other.shape[batch] // per_stream), axis=batch), other):
            ctx.refuse(
                node, "its initial state differs between streams", "start every stream from the same values"
            )
    if row.dtype not in _CARRIED:
        ctx.refuse(node, f"it would have to remember values of type {row.dtype}", "use float32 for the state")
    shape = list(row.shape)
    if per_stream == 1:
        shape[batch] = -1
        return tuple(shape), row.take(0, axis=batch), None
    used = tuple(-1 if i == batch else d for i, d in enumerate(shape))
    return (*shape[:batch], -1, per_stream, *shape[batch + 1 :]), row, used


def _after_head(ctx: Context, node: Node, alignments: list[Alignment], values: list[State]) -> list[State]:
    """Loop values after the rows of padding that precede the sound, found by running the loop on them."""
    feed: dict[str, Array] = {}
    for k, (shape, value, stored) in enumerate(values):
        batch = shape.index(-1)
        feed[f"s{k}"] = np.expand_dims(value, batch) if stored is None else value
    for k, alignment in enumerate(alignments):
        known = head(ctx, alignment).astype(np.float32)
        feed[f"x{k}"] = np.expand_dims(known, alignment.batch) if known.ndim < len(alignment.axes) else known
    finals = [f"f{k}" for k in range(len(values))]
    outputs = finals + [f"y{k}" for k in range(len(node.outputs) - len(values))]
    proto = helper.make_node("Scan", list(feed), outputs, **node.attrs)
    graph = helper.make_graph(
        [proto],
        "head",
        [helper.make_tensor_value_info(n, _element(a), a.shape) for n, a in feed.items()],
        [onnx.helper.make_empty_tensor_value_info(n) for n in finals],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", ctx.write.opset)], ir_version=8)
    after = open_session(model).run(None, feed)
    done: list[State] = []
    for (shape, _, stored), value in zip(values, after, strict=True):
        done.append(
            (shape, np.asarray(value) if stored else np.asarray(value).take(0, axis=shape.index(-1)), stored)
        )
    return done


def _element(array: Array) -> int:
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def _holding(
    ctx: Context, node: Node, alignment: Alignment, attrs: dict[str, Any], states: int
) -> tuple[dict[str, Any], str]:
    """The loop with one more sequence, True once rows mean something: until then every loop value stays.

    Returns:
        The attributes, and the tensor (N, 1, rows) that says so.
    """
    write = ctx.write
    body = onnx.GraphProto()
    body.CopyFrom(attrs["body"])
    here = f"{body.name}.arrived"
    for k in range(states):
        before, after = body.input[k], body.output[k]
        shape = f"{body.name}.held.{k}.shape"
        rank = len(ctx.probe.value(node.inputs[k]).shape)
        batch = next(i for i, axis in enumerate(ctx.axes(node, node.inputs[k])) if axis.kind == "batch")
        if ctx.axes(node, node.inputs[k])[batch].size != 1:
            ctx.refuse(
                node, "features are folded into the batch of its state", "keep features an axis of their own"
            )
        sizes = np.array([-1 if i == batch else 1 for i in range(rank)], np.int64)
        body.initializer.append(numpy_helper.from_array(sizes, shape))
        body.node.extend(
            [
                helper.make_node("Reshape", [here, shape], [f"{body.name}.held.{k}.when"]),
                helper.make_node(
                    "Where",
                    [f"{body.name}.held.{k}.when", after.name, before.name],
                    [f"{body.name}.held.{k}"],
                ),
            ]
        )
        after.name = f"{body.name}.held.{k}"
    body.input.append(helper.make_tensor_value_info(here, TensorProto.BOOL, None))
    rows = arrived(ctx, alignment)  # broadcastable: every axis but batch and time is 1
    batch, time = alignment.batch, alignment.real_time
    rank = len(alignment.axes)
    others = [i for i in range(rank) if i not in (batch, time)]
    rows = write.transpose(rows, [batch, time, *others], "arrived")
    rows = write.one("Reshape", [rows, write.ints(0, 0)], "arrived")
    changed = dict(attrs)
    changed["body"] = body
    changed["num_scan_inputs"] = attrs["num_scan_inputs"] + 1
    changed["scan_input_axes"] = [*attrs.get("scan_input_axes", [0] * attrs["num_scan_inputs"]), 1]
    return changed, rows
