"""RNN, GRU and LSTM: their own initial and final values are the state; the fused operator stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.streaming.alignment import Alignment
from export.streaming.axes import Axis
from export.streaming.context import Context
from export.streaming.memory import Array, arrived, first_arrival, head
from export.streaming.node import Node
from export.streaming.probe import open_session
from export.streaming.rules.reduction import settle
from export.streaming.rules.registry import rule

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
    direction = node.attrs.get("direction", b"forward").decode()
    if direction != "forward":
        text = "a bidirectional recurrence" if direction == "bidirectional" else "a reversed recurrence"
        ctx.refuse(node, f"{text} needs the whole sequence", "use bidirectional=False")
    if node.attrs.get("layout", 0):
        ctx.refuse(node, "layout=1 is not run by ONNX Runtime", "export it time-major")
    alignment = ctx.alignment(node.inputs[0])
    if alignment.time != 0 or alignment.batch != 1:
        ctx.refuse(
            node, "its sequence axis is not time", "give it (time, batch, features) or set batch_first"
        )
    _check_lengths(ctx, node)
    layer = _read(ctx, node, alignment)
    if alignment.lag < 0:
        layer.initial = _after_head(ctx, node, alignment, layer)
    rows = alignment.name
    if alignment.lag > 0:
        rows = _hold_until_arrival(ctx, node, alignment, layer)
    _write(ctx, node, alignment, layer, rows)


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
    """Initial value (1, rows a stream, H), the same for every stream."""
    rows = alignment.axes[1].size
    if not name:
        return np.zeros((1, rows, hidden), np.float32)
    if ctx.varies(name):
        ctx.refuse(
            node, "its initial state is computed from the sequence", "start from zeros or learned values"
        )
    value = ctx.probe.value(name)
    first = value[:, :rows]
    for run in range(3):
        other = ctx.probe.value(name, run)
        if not np.array_equal(np.tile(first, (1, other.shape[1] // rows, 1)), other):
            ctx.refuse(
                node, "its initial state differs between streams", "start every stream from the same values"
            )
    return first


def _after_head(ctx: Context, node: Node, alignment: Alignment, layer: _Layer) -> list[Array]:
    """State after the padding rows that precede the sound, found by running the layer on them."""
    known = head(ctx, alignment)
    known = known if known.ndim == 3 else known[:, None]  # (rows, batch, F)
    arrays = [known.astype(np.float32), layer.weight, layer.recurrence, layer.bias, None, *layer.initial]
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
    return [np.asarray(value) for value in open_session(model).run(None, feed)]


def _hold_until_arrival(ctx: Context, node: Node, alignment: Alignment, layer: _Layer) -> str:
    """Keep the state as it is while meaningless rows pass.

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
        start[0] = recurrence @ layer.initial[0][0, :1].T
        layer.initial[0] = np.zeros_like(layer.initial[0])
    if node.op == "LSTM":  # i o f c
        gate[0, : 2 * width] = -_SATURATING_LOGIT
        gate[0, 2 * width : 3 * width] = _SATURATING_LOGIT
    elif node.op == "RNN" and layer.bias is not None:
        half = layer.bias.shape[1] // 2
        gate[0, :, 0] = -(layer.bias[0, :half] + layer.bias[0, half:])
    write = ctx.write
    here = arrived(ctx, alignment)
    quiet = write.one("Where", [here, alignment.name, write.constant(np.float32(0))], "masked")
    absent = write.one("Cast", [write.one("Not", [here], "absent")], "absent", to=TensorProto.FLOAT)
    inputs, columns = [quiet, absent], [layer.weight, gate]
    if np.any(start):
        inputs.append(write.one("Cast", [first_arrival(ctx, alignment)], "first", to=TensorProto.FLOAT))
        columns.append(start)
    layer.weight = np.concatenate(columns, axis=2)
    return write.one("Concat", inputs, "held", axis=2)


def _write(ctx: Context, node: Node, alignment: Alignment, layer: _Layer, rows: str) -> None:
    write = ctx.write
    names = [node.inputs[k] for k in (1, 2, 3) if node.input(k)]
    stored = [layer.weight, layer.recurrence] + ([] if layer.bias is None else [layer.bias])
    weights = [write.constant(a, n) for a, n in zip(stored, names, strict=True)]
    if layer.bias is None:
        weights.append("")
    per_stream = alignment.axes[1].size
    states = []
    for value in layer.initial:
        shape = (1, -1, layer.hidden) if per_stream == 1 else (1, -1, per_stream, layer.hidden)
        states.append(write.state(shape, value[:, 0] if per_stream == 1 else value))
    used = states
    if per_stream > 1:
        used = [write.one("Reshape", [s, write.ints(1, -1, layer.hidden)], "state") for s in states]
    count = 3 if node.op == "LSTM" else 2
    attrs = {k: v for k, v in node.attrs.items() if k not in ("direction", "layout")}
    sequence, *final = write.emit(
        node.op, [rows, *weights, "", *used], node.proto.name or node.output, count, **attrs
    )
    for state, last in zip(states, final, strict=True):
        if per_stream > 1:
            last = write.one("Reshape", [last, write.ints(1, -1, per_stream, layer.hidden)], "keep")
        write.update(state, last)
    _register(ctx, node, alignment, sequence, layer.hidden)


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
    )
    if node.outputs[0]:
        ctx.derive(node, rows, sequence)
    if len(node.outputs) > 1 and node.outputs[1]:
        _final_hidden(ctx, node, rows)
    if len(node.outputs) > 2 and node.outputs[2]:
        ctx.refuse_later(
            node.outputs[2], node, "its final cell state is used as a result", "use the hidden state instead"
        )


def _final_hidden(ctx: Context, node: Node, rows: Alignment) -> None:
    """h_n (1, N, H): for every frame, the hidden state so far."""
    if rows.surplus > 0 or rows.axes[2].size != 1 or (rows.surplus and not node.outputs[0]):
        ctx.refuse_later(
            node.outputs[1], node, "its final state depends on padding at the end", "pad on the left only"
        )
        return
    settled = settle(ctx, node, rows)
    name = ctx.write.transpose(settled.name, [1, 2, 0, 3], "final")
    ctx.derive(
        node,
        settled,
        name,
        1,
        lag=0,
        summary=True,
        open=True,
        warmup=max(rows.warmup, -rows.clock.offset),
        lookahead_layer="",
    )
