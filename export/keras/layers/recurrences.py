"""SimpleRNN, GRU and LSTM as ONNX's operators, and frames that Masking leaves out.

Gates: Keras has z, r, h (GRU) and i, f, c, o (LSTM); ONNX z, r, h and i, o, f, c. Both compute
h' = z * h + (1 - z) * candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.keras.graph_builder import Builder, Tensor, Time
from export.keras.layer_config import Layer
from export.keras.layers.activations import recurrent_activation
from export.keras.layers.held_lstm import Gates, held_lstm
from export.keras.layers.layer_table import Array, features, layer, weights

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_CELLS = {"SimpleRNNCell": "RNN", "GRUCell": "GRU", "LSTMCell": "LSTM"}
_HOLD = 1e4  # a gate is exactly 0 or 1 in float32


@dataclass
class _Operator:
    """A recurrence as ONNX takes it.

    Attributes:
        op: RNN, GRU or LSTM.
        weight: (gates * H, F).
        recurrence: (gates * H, H).
        bias: (2 * gates * H,): of the input, then of the state.
        activations: of each gate's kind: name, alpha, beta.
    """

    op: str
    weight: Array
    recurrence: Array
    bias: Array
    activations: list[tuple[str, float, float]]

    @property
    def hidden(self) -> int:
        return int(self.recurrence.shape[1])


@layer("SimpleRNN", mask="use")
def simple_rnn(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    return _recurrent(b, layer, inputs, given, "RNN")


@layer("GRU", mask="use")
def gru(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    return _recurrent(b, layer, inputs, given, "GRU")


@layer("LSTM", mask="use")
def lstm(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    return _recurrent(b, layer, inputs, given, "LSTM")


@layer("RNN", mask="use")
def rnn_of_cell(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """keras.layers.RNN around one of Keras's own cells."""
    cell = layer.config.get("cell")
    cell = cell if isinstance(cell, dict) else {}
    kind = cell.get("class_name")
    if kind not in _CELLS or not isinstance(cell.get("config"), dict):
        raise layer.refused(
            f"its cell is {kind or 'unknown'}, of which the file has no code",
            "use SimpleRNN, GRU or LSTM layers, one after the other instead of stacked cells",
        )
    config = {**cell["config"], **layer.config}
    return _recurrent(
        b, Layer(layer.name, layer.kind, config, version=layer.version), inputs, given, _CELLS[kind]
    )


def _recurrent(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array], op: str) -> list[Tensor]:
    (x,) = inputs
    _check(layer, x)
    if layer.config.get("stateful"):
        b.notes.append(f"{layer.label} is stateful; in a stream every recurrence is, so nothing changes")
    width = features(layer, x)
    operator = _operator(layer, given, op, width)
    batch, hidden = x.axes[0], operator.hidden
    if x.mask and layer.config.get("zero_output_for_mask"):
        raise layer.refused("zero_output_for_mask has no rule", "leave zero_output_for_mask or Masking out")
    if x.mask and operator.op == "LSTM":
        bias = operator.bias.reshape(2, -1).sum(axis=0)
        gates = Gates(operator.weight, operator.recurrence, bias, operator.activations)
        sequence, final = held_lstm(b, x, gates, layer.name)
        rows_of = Tensor(sequence, (batch, x.axes[1], hidden), x.mask)
        states = [Tensor(each, (batch, hidden)) for each in final]
        found = [rows_of if layer.config.get("return_sequences") else states[0]]
        return found + (states if layer.config.get("return_state") else [])
    if x.mask:
        x = _held(b, layer, x, operator)
    rows = b.transpose(x, [1, 0, 2])
    names = [b.floats(array[None]) for array in (operator.weight, operator.recurrence, operator.bias)]
    attributes: dict[str, object] = {
        "hidden_size": operator.hidden,
        "activations": [name for name, *_ in operator.activations],
        "activation_alpha": [alpha for _, alpha, _ in operator.activations],
        "activation_beta": [beta for *_, beta in operator.activations],
    }
    if operator.op == "GRU":
        attributes["linear_before_reset"] = int(
            op == "RNN" or bool(layer.setting("reset_after", layer.version >= 3))
        )
    count = 3 if operator.op == "LSTM" else 2
    sequence, *final = b.emit(operator.op, [rows.name, *names], count, **attributes)
    if layer.config.get("return_sequences"):
        name = b.one("Transpose", [b.one("Squeeze", [sequence, b.ints(1)])], perm=[1, 0, 2])
        found = [Tensor(name, (batch, x.axes[1], hidden), x.mask)]
    else:
        found = [Tensor(b.one("Squeeze", [final[0], b.ints(0)]), (batch, hidden))]
    if layer.config.get("return_state"):
        found += [Tensor(b.one("Squeeze", [each, b.ints(0)]), (batch, hidden)) for each in final]
    return found


def _check(layer: Layer, x: Tensor) -> None:
    if x.rank != 3:
        raise layer.refused(f"its input is {x.shape}", "give it (batch, time, features)")
    if not isinstance(x.axes[1], Time):
        raise layer.refused(
            f"its sequence is {x.size(1)} features of one frame, not time (input {x.shape})",
            "give it (batch, time, features): frames one after the other",
        )
    if layer.config.get("go_backwards"):
        raise layer.refused("go_backwards reads the sound from its end", "leave go_backwards out")
    if layer.config.get("time_major"):
        raise layer.refused("its input has time before the batch", "leave time_major out")


def _operator(layer: Layer, given: list[Array], op: str, width: int) -> _Operator:
    units, gates = layer.integer("units"), _GATES[op]
    after = op == "GRU" and bool(layer.setting("reset_after", layer.version >= 3))
    size = gates * units
    bias_shape = ((2, size) if after else (size,)) if layer.setting("use_bias", True) else None
    kernel, recurrence, *bias = weights(layer, given, (width, size), (units, size), bias_shape)
    stored = np.zeros((2, size), np.float32)
    if bias:
        stored[: len(np.atleast_2d(bias[0]))] = np.atleast_2d(bias[0])
    order = (0, 3, 1, 2) if op == "LSTM" else tuple(range(gates))

    def laid(array: Array) -> Array:
        parts = np.split(array, gates, axis=-1)
        return np.concatenate([parts[gate] for gate in order], axis=-1)

    inner = recurrent_activation(layer, "activation", "tanh")
    activations = [inner]
    if op != "RNN":
        default = "sigmoid" if layer.version >= 3 else "hard_sigmoid"
        gate = recurrent_activation(layer, "recurrent_activation", default)
        activations = [gate, inner] if op == "GRU" else [gate, inner, inner]
    return _Operator(op, laid(kernel).T, laid(recurrence).T, laid(stored).reshape(-1), activations)


def _held(b: Builder, layer: Layer, x: Tensor, operator: _Operator) -> Tensor:
    """Let masked frames keep the state, as Keras does: one more input, 1 on them, closes the update gate.

    A SimpleRNN becomes a GRU whose other gates are open. An LSTM cannot be held so: its output gate is computed
    from the masked frame too.
    """
    if operator.op == "GRU" and operator.activations[0][0] not in ("Sigmoid", "HardSigmoid"):
        raise layer.refused("its gates cannot be held on masked frames", "use recurrent_activation='sigmoid'")
    hidden = operator.hidden
    if operator.op == "RNN":
        zero = np.zeros((2 * hidden, 1), np.float32)
        gates = np.concatenate([np.full(hidden, -_HOLD), np.full(hidden, _HOLD)]).astype(np.float32)
        operator.weight = np.concatenate([np.repeat(zero, operator.weight.shape[1], 1), operator.weight])
        operator.recurrence = np.concatenate([np.repeat(zero, hidden, 1), operator.recurrence])
        operator.bias = np.concatenate([gates, operator.bias[:hidden], zero[:, 0], operator.bias[hidden:]])
        operator.activations = [("Sigmoid", 0.0, 0.0), *operator.activations]
        operator.op = "GRU"
    column = np.zeros((3 * hidden, 1), np.float32)
    column[:hidden] = 2 * _HOLD
    operator.weight = np.concatenate([operator.weight, column], axis=1)
    name = b.one("Concat", [x.name, x.mask], axis=2)
    return x.named(name, axes=(*x.axes[:2], operator.weight.shape[1]))


@layer("Masking", mask="use")
def masking(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    """Frames whose values all equal mask_value are left out by the recurrences that follow."""
    (x,) = inputs
    features(layer, x)
    level = b.floats(layer.number("mask_value", 0.0))
    same = b.one("Cast", [b.one("Equal", [x.name, level])], to=1)
    mask = b.one("ReduceMin", [same], axes=[x.rank - 1], keepdims=1)
    kept = b.one("Sub", [b.floats(1.0), mask])
    b.notes.append(
        f"{layer.label}: a stream has no padding; a live frame whose values all equal the mask value leaves the state "
        "as it is, as in Keras"
    )
    return [x.named(b.one("Mul", [x.name, kept]), mask=mask)]
