"""RNN, GRU and LSTM: their own initial and final values are the state; the fused operator stays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.streaming.alignment import Alignment
from export.streaming.axes import Axis
from export.streaming.context import Context
from export.streaming.memory import Array, first_arrival, folded_state, head, per_stream
from export.streaming.node import Node
from export.streaming.probe import open_session
from export.streaming.rules.pointwise import align, closed
from export.streaming.rules.reduction import settle
from export.streaming.rules.registry import rule
from export.streaming.rules.sparse import present

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_SATURATING_LOGIT = 1e4  # a gate is exactly 0 or 1 in float32


@dataclass
class _Layer:
    """Inputs of a recurrent node, as arrays."""

    weight: Array  # (1, gates * H, F)
    recurrence: Array  # (1, gates * H, H)
    bias: Array | None  # (1, 2 * gates * H)
    initial: list[Array]  # hidden (and cell), each (1, H) or (1, rows, H)

    @property
    def hidden(self) -> int:
        return int(self.recurrence.shape[2])


@rule("RNN", "GRU", "LSTM")
def recurrent(ctx: Context, node: Node) -> None:
    if node.attrs.get("layout", 0):
        ctx.refuse(node, "layout=1 is not run by ONNX Runtime", "export it time-major")
    alignment = ctx.alignment(node.inputs[0])
    _check_lengths(ctx, node)
    if alignment.axes[0].kind == "fixed" and alignment.batch == 1:
        within_a_frame(ctx, node, alignment)
        return
    direction = node.attrs.get("direction", b"forward").decode()
    if direction != "forward":
        text = "a bidirectional recurrence" if direction == "bidirectional" else "a reversed recurrence"
        ctx.refuse(node, f"{text} needs the whole sequence", "use bidirectional=False")
    if alignment.time != 0 or alignment.batch != 1:
        ctx.refuse(
            node, "its sequence axis is not time", "give it (time, batch, features) or set batch_first"
        )
    layer = _read(ctx, node, alignment)
    if alignment.lag < 0:
        layer.initial = _after_head(ctx, node, alignment, layer)
    rows = alignment.name
    if alignment.every > 1 and alignment.lag < 0:
        ctx.refuse(
            node,
            "padding was put before frames that are subsampled and repeated later",
            "pad before subsampling",
        )
    if alignment.every > 1 and node.op != "GRU":
        rows = _frame_by_frame(ctx, node, alignment, layer)
        _register(ctx, node, alignment, rows, layer.hidden)
        return
    if alignment.lag > 0 or alignment.every > 1:
        rows = _hold_until_arrival(ctx, node, alignment, layer)
    _write(ctx, node, alignment, layer, rows)


def within_a_frame(ctx: Context, node: Node, alignment: Alignment) -> None:
    """A recurrence over the bins of a frame: every frame is a sequence of its own, so nothing is carried."""
    alignment = closed(ctx, node, alignment)
    weights = [ctx.parameter(node, name) for name in node.inputs[1:4]]
    states = [_start_of_frames(ctx, node, node.input(k), alignment) for k in (5, 6)]
    peepholes = [ctx.parameter(node, node.input(7))] if node.input(7) else []
    inputs = [alignment.name, *weights, *[""] * (3 - len(weights)), "", *states, *peepholes]
    while not inputs[-1]:
        inputs.pop()
    names = ctx.write.emit(node.op, inputs, node.proto.name or node.output, len(node.outputs), **node.attrs)
    for position, name in enumerate(names):
        if node.outputs[position]:
            ctx.derive(node, alignment, name, position)


def _start_of_frames(ctx: Context, node: Node, name: str, like: Alignment) -> str:
    """Initial state (directions, rows, H) of a recurrence within frames; "" for zeros."""
    if not name:
        return ""
    if ctx.varies(name):
        initial = closed(ctx, node, align(ctx, node, [ctx.alignment(name), like])[0])
        return initial.name
    values = ctx.probe.values(name)
    if not any(value.any() for value in values):
        return ""
    row = values[0][:, :1]
    if not all(np.array_equal(np.broadcast_to(row, value.shape), value) for value in values):
        ctx.refuse(
            node, "its initial state differs between streams", "start every frame from the same values"
        )
    write = ctx.write
    rows = write.one("Shape", [like.name], "rows", start=1, end=2)
    shape = write.one("Concat", [write.ints(1), rows, write.ints(1)], "shape", axis=0)
    return write.one("Expand", [write.constant(row, name), shape], "start")


def _check_lengths(ctx: Context, node: Node) -> None:
    name = node.input(4)
    if not name:
        return
    for run in range(3):
        length = ctx.probe.value(node.inputs[0], run).shape[0]
        if ctx.varies(name) or not np.all(ctx.probe.value(name, run) == length):
            ctx.refuse(
                node,
                "sequence lengths (packed sequences) are not known in a stream",
                "do not pack in forward",
            )


def _read(ctx: Context, node: Node, alignment: Alignment) -> _Layer:
    weight, recurrence = (ctx.fixed(node, name) for name in node.inputs[1:3])
    bias = ctx.fixed(node, node.inputs[3]) if node.input(3) else None
    layer = _Layer(weight, recurrence, bias, [])
    for position in (5, 6) if node.op == "LSTM" else (5,):
        layer.initial.append(_initial(ctx, node, node.input(position), alignment, layer.hidden))
    if node.op == "LSTM" and node.input(7):
        ctx.refuse(node, "peephole weights have no rule", "use an LSTM without peepholes")
    return layer


def _initial(ctx: Context, node: Node, name: str, alignment: Alignment, hidden: int) -> Array:
    """Initial value (1, features slower than the streams, features faster, H), sizes of 1 in the middle left out."""
    around = alignment.around
    if not name:
        return np.zeros((1, *(size for size in around if size != 1), hidden), np.float32)
    if ctx.varies(name):
        ctx.refuse(
            node, "its initial state is computed from the sequence", "start from zeros or learned values"
        )
    value = per_stream(ctx.probe.values(name), 1, around)
    if value is None:
        ctx.refuse(
            node, "its initial state differs between streams", "start every stream from the same values"
        )
    return value


def _after_head(ctx: Context, node: Node, alignment: Alignment, layer: _Layer) -> list[Array]:
    """State after the padding rows that precede the sound, found by running the layer on them."""
    known = head(ctx, alignment).astype(np.float32)
    known = known.reshape(len(known), -1, known.shape[-1])  # (rows, rows of a stream, F)
    starts = [value.reshape(1, -1, layer.hidden) for value in layer.initial]
    arrays = [known, layer.weight, layer.recurrence, layer.bias, None, *starts]
    names = [f"i{k}" if a is not None else "" for k, a in enumerate(arrays)]
    outputs = ["", "h", "c"] if node.op == "LSTM" else ["", "h"]
    proto = helper.make_node(node.op, names, outputs, **node.attrs)
    feed = {n: a for n, a in zip(names, arrays, strict=True) if a is not None}
    graph = helper.make_graph(
        [proto],
        "head",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in feed.items()],
        [onnx.helper.make_empty_tensor_value_info(n) for n in outputs if n],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    values = open_session(model).run(None, feed)
    return [np.reshape(v, old.shape) for v, old in zip(values, layer.initial, strict=True)]


def _hold_until_arrival(ctx: Context, node: Node, alignment: Alignment, layer: _Layer) -> str:
    """Keep the state as it is while meaningless rows pass: before anything has come, or between subsampled rows.

    One more input, 1 while nothing has arrived, drives the gates. GRU: z = 1 keeps the hidden state. LSTM: forget 1 and
    input 0 keep the cell, output 0 the hidden state at zero. Plain RNN: the bias is cancelled, which keeps zero. Where
    a hidden state that is zero till then should start elsewhere, what that start would add to the gates is added to
    the first row, by another input.
    """
    width, recurrence = layer.hidden, layer.recurrence[0]
    gate = np.zeros((1, layer.weight.shape[1], 1), np.float32)
    start = np.zeros_like(gate)
    if node.op == "GRU":  # z r h
        gate[0, :width] = _SATURATING_LOGIT
    else:
        first = layer.initial[0].reshape(-1, width)
        if np.ptp(first, axis=0).any():
            ctx.refuse(node, "it starts late, each band from other values", "start all bands from the same")
        start[0] = recurrence @ first[:1].T
        layer.initial[0] = np.zeros_like(layer.initial[0])
    if node.op == "LSTM":  # i o f c
        gate[0, : 2 * width] = -_SATURATING_LOGIT
        gate[0, 2 * width : 3 * width] = _SATURATING_LOGIT
    elif node.op == "RNN" and layer.bias is not None:
        half = layer.bias.shape[1] // 2
        gate[0, :, 0] = -(layer.bias[0, :half] + layer.bias[0, half:])
    write = ctx.write
    here = present(ctx, alignment)
    quiet = write.one("Where", [here, alignment.name, write.constant(np.float32(0))], "masked")
    absent = write.one("Cast", [write.one("Not", [here], "absent")], "absent", to=TensorProto.FLOAT)
    inputs, columns = [quiet, absent], [layer.weight, gate]
    if np.any(start):
        inputs.append(write.one("Cast", [first_arrival(ctx, alignment)], "first", to=TensorProto.FLOAT))
        columns.append(start)
    layer.weight = np.concatenate(columns, axis=2)
    return write.one("Concat", inputs, "held", axis=2)


def _frame_by_frame(ctx: Context, node: Node, alignment: Alignment, layer: _Layer) -> str:
    """Rows (T, 1, N, H) of an RNN or LSTM that stands still between subsampled rows: a loop, as no gate can hold both
    of an LSTM's states."""
    write, prefix = ctx.write, ctx.write.fresh("waiting")
    sizes = [1, alignment.axes[1].size, layer.hidden]
    states = [folded_state(ctx, sizes, 1, alignment.around, value) for value in layer.initial]
    stored = {"W": layer.weight, "R": layer.recurrence} | ({} if layer.bias is None else {"B": layer.bias})

    def own(name: str) -> str:
        return f"{prefix}.{name}"

    old = [own(f"old {k}") for k in range(len(states))]
    new, kept = [own(f"new {k}") for k in range(len(states))], [own(f"kept {k}") for k in range(len(states))]
    weights = [own(name) if name in stored else "" for name in ("W", "R", "B")]
    attrs = {k: v for k, v in node.attrs.items() if k not in ("direction", "layout")}
    nodes = [
        helper.make_node("Unsqueeze", [own("row"), own("first")], [own("frame")]),
        helper.make_node(node.op, [own("frame"), *weights, "", *old], ["", *new], **attrs),
        *(
            helper.make_node("Where", [own("here"), n, o], [k])
            for n, o, k in zip(new, old, kept, strict=True)
        ),
        helper.make_node("Identity", [kept[0]], [own("out")]),
    ]
    inputs = [(name, TensorProto.FLOAT) for name in (*old, own("row"))] + [(own("here"), TensorProto.BOOL)]
    body = helper.make_graph(
        nodes,
        prefix,
        [helper.make_tensor_value_info(name, kind, None) for name, kind in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (*kept, own("out"))],
        [numpy_helper.from_array(value, own(name)) for name, value in stored.items()]
        + [numpy_helper.from_array(np.array([0], np.int64), own("first"))],
    )
    scanned = [*(name for name, _ in states), alignment.name, present(ctx, alignment)]
    *last, rows = write.emit("Scan", scanned, prefix, len(states) + 1, body=body, num_scan_inputs=2)
    for (_, keep), value in zip(states, last, strict=True):
        keep(value)
    return rows


def _write(ctx: Context, node: Node, alignment: Alignment, layer: _Layer, rows: str) -> None:
    write = ctx.write
    names = [node.inputs[k] for k in (1, 2, 3) if node.input(k)]
    stored = [layer.weight, layer.recurrence] + ([] if layer.bias is None else [layer.bias])
    weights = [write.constant(a, n) for a, n in zip(stored, names, strict=True)]
    if layer.bias is None:
        weights.append("")
    sizes = [1, alignment.axes[1].size, layer.hidden]
    states = [folded_state(ctx, sizes, 1, alignment.around, value) for value in layer.initial]
    used = [name for name, _ in states]
    count = 3 if node.op == "LSTM" else 2
    attrs = {k: v for k, v in node.attrs.items() if k not in ("direction", "layout")}
    sequence, *final = write.emit(
        node.op, [rows, *weights, "", *used], node.proto.name or node.output, count, **attrs
    )
    for (_, keep), last in zip(states, final, strict=True):
        keep(last)
    _register(ctx, node, alignment, sequence, layer.hidden)
    if len(node.outputs) > 2 and ctx.used(node.outputs[2]):
        _final_cell(ctx, node, replace(alignment, name=rows), layer, (used[0], sequence))


def _register(ctx: Context, node: Node, alignment: Alignment, sequence: str, hidden: int) -> None:
    """Outputs of the node: rows (T, 1, N, H), final hidden state and final cell."""
    rows = Alignment(
        source=node.outputs[0] or f"{node.proto.name}:rows",
        name=sequence,
        axes=(alignment.axes[0], Axis("fixed", 1), alignment.axes[1], Axis("fixed", hidden)),
        rate=alignment.rate,
        lag=alignment.lag,
        first=None,
        last=alignment.last,
        warmup=alignment.warmup,
        lookahead_layer=alignment.lookahead_layer,
        fold=alignment.fold,
        every=alignment.every,
    )
    if node.outputs[0]:
        ctx.derive(node, rows, sequence)
    if len(node.outputs) > 1 and node.outputs[1]:
        _final_hidden(ctx, node, rows)


def _final_hidden(ctx: Context, node: Node, rows: Alignment) -> None:
    """h_n (1, N, H): for every frame, the hidden state so far."""
    if rows.every > 1 or rows.surplus > 0 or (rows.surplus and not node.outputs[0]):
        ctx.refuse_later(
            node.outputs[1], node, "its final state depends on padding at the end", "pad on the left only"
        )
        return
    _summary(ctx, node, settle(ctx, node, rows), 1)


def _summary(ctx: Context, node: Node, rows: Alignment, position: int) -> None:
    """Register rows (T, 1, N, H) as what a final state (1, N, H) is so far."""
    name = ctx.write.transpose(rows.name, [1, 2, 0, 3], "final")
    ctx.derive(
        node,
        rows,
        name,
        position,
        lag=0,
        summary=True,
        open=True,
        warmup=max(rows.warmup, -rows.clock.offset),
        lookahead_layer="",
    )


def _final_cell(
    ctx: Context, node: Node, alignment: Alignment, layer: _Layer, hidden: tuple[str, str]
) -> None:
    """c_n (1, N, H): for every frame, the cell so far.

    The operator gives the last cell alone. The gates follow from the frames and the hidden states before them; given
    those, an LSTM whose other gates are open and whose cell is linear adds up c = f c + i g.

    Args:
        hidden: the hidden state before the chunk (1, N, H), and its rows (T, 1, N, H).
    """
    odd = [name for name in ("activations", "clip", "input_forget") if node.attrs.get(name)]
    if odd or alignment.surplus != 0:
        ctx.refuse_later(
            node.outputs[2],
            node,
            "its final cell state is used, of an LSTM that is not the usual one or has padding at its end",
            "use the hidden state instead",
        )
        return
    write, width = ctx.write, layer.hidden
    known = write.one("Squeeze", [write.slice(hidden[1], 0, -1, 0, "before"), write.ints(1)], "before")
    before = write.one("Concat", [hidden[0], known], "before", axis=0)
    seen = write.one("Concat", [alignment.name, before], "seen", axis=2)
    kept = np.r_[0:width, 2 * width : 4 * width]  # of i o f c
    weight = np.concatenate([layer.weight[0], layer.recurrence[0]], axis=1)[kept]
    gates = write.one("MatMul", [seen, write.constant(np.ascontiguousarray(weight.T))], "gates")
    if layer.bias is not None:
        half = 4 * width
        gates = write.one(
            "Add", [gates, write.constant((layer.bias[0, :half] + layer.bias[0, half:])[kept])], "gates"
        )
    sizes = write.ints(width, width, width)
    take, forget, candidate = write.emit("Split", [gates, sizes], "gate", 3, axis=2)
    fresh = write.one(
        "Mul", [write.one("Sigmoid", [take], "take"), write.one("Tanh", [candidate], "new")], "fresh"
    )
    eye, none = np.eye(width, dtype=np.float32), np.zeros((width, width), np.float32)
    linear = np.block([[none, none], [none, none], [none, eye], [eye, none]])
    opened = np.zeros((1, 8 * width), np.float32)
    opened[0, : 2 * width] = _SATURATING_LOGIT
    state, keep = folded_state(ctx, [1, alignment.axes[1].size, width], 1, alignment.around, layer.initial[1])
    inputs = [
        write.one("Concat", [fresh, forget], "feed", axis=2),
        write.constant(linear[None]),
        write.constant(np.zeros((1, 4 * width, width), np.float32)),
        write.constant(opened),
        "",
        "",
        state,
    ]
    activations = {"activations": ["Sigmoid", "Affine", "Affine"], "activation_alpha": [1.0, 1.0]}
    cells, _, last = write.emit(
        "LSTM", inputs, "cells", 3, hidden_size=width, activation_beta=[0.0, 0.0], **activations
    )
    keep(last)
    rows = Alignment(
        source=node.outputs[2],
        name=cells,
        axes=(alignment.axes[0], Axis("fixed", 1), alignment.axes[1], Axis("fixed", width)),
        rate=alignment.rate,
        first=None,
        last=alignment.last,
        warmup=alignment.warmup,
        fold=alignment.fold,
    )
    _summary(ctx, node, rows, 2)
