"""Which sums of products are a step of RNN, GRU or LSTM, and with which weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.streaming.loops.forms import ACTIVATIONS, Atom, Body, Factor, Form, NoForm

Array = NDArray[Any]
FRAME = "x"
_ALPHA = {"HardSigmoid": 0.2, "Elu": 1.0, "LeakyRelu": 0.01}  # ONNX's own defaults
_BETA = {"HardSigmoid": 0.5}


@dataclass(frozen=True)
class Cell:
    """A recurrent operator of ONNX.

    Attributes:
        op: RNN, GRU or LSTM.
        weight: (gates * H, F).
        recurrence: (gates * H, H).
        bias: (2 * gates * H,): of the frame, then of the state.
        attributes: activations, linear_before_reset.
        states: which state of the loop is the operator's h, and c.
    """

    op: str
    weight: Array
    recurrence: Array
    bias: Array
    attributes: dict[str, Any]
    states: tuple[str, ...]

    @property
    def hidden(self) -> int:
        return int(self.recurrence.shape[1])


@dataclass(frozen=True)
class _Gate:
    """What goes into an activation: x W + h R + b."""

    weight: Array
    recurrence: Array
    bias: Array
    recurrent_bias: Array


def read_cell(body: Body, states: dict[str, str]) -> Cell:
    """The operator that a body is a step of.

    Args:
        body: of the loop.
        states: atom of each state -> tensor of the body that is its next value.

    Raises:
        NoForm: it is none.
    """
    forms = {state: body.form(name) for state, name in states.items()}
    if len(states) == 1:
        ((state, form),) = forms.items()
        return _rnn(body, state, form) if len(form.terms) == 1 else _gru(body, state, form)
    if len(states) == 2:
        for hidden, cell in (tuple(forms), tuple(forms)[::-1]):
            try:
                return _lstm(body, hidden, cell, forms)
            except NoForm:
                continue
    raise NoForm


def _rnn(body: Body, state: str, form: Form) -> Cell:
    atom = _atom(body, form.single())
    gate = _gate(atom.argument, state)
    return _cell("RNN", [gate], [atom], (state,))


def _gru(body: Body, state: str, form: Form) -> Cell:
    """h' = z h + (1 - z) g, or the same with 1 - z in place of z."""
    terms = {frozenset(key): _number(factor) for key, factor in form.terms.items()}
    singles = [next(iter(key)) for key in terms if len(key) == 1]
    pairs = [key for key in terms if len(key) == 2]
    if len(terms) != 3 or len(singles) != 1 or len(pairs) != 2 or not pairs[0] & pairs[1]:
        raise NoForm
    (update,) = pairs[0] & pairs[1]
    others = {next(iter(pair - {update})): pair for pair in pairs}
    if state not in others or len(others) != 2:
        raise NoForm
    (new,) = set(others) - {state}
    kept = singles[0] == new  # z keeps the state; otherwise it lets the new value in
    if singles[0] not in (new, state) or terms[frozenset(singles)] != 1:
        raise NoForm
    if (terms[others[state]], terms[others[new]]) != ((1, -1) if kept else (-1, 1)):
        raise NoForm
    z, candidate = _atom(body, update), _atom(body, new)
    if not kept and z.op != "Sigmoid":
        raise NoForm
    update_gate = _gate(z.argument, state)
    if not kept:  # 1 - sigmoid(a) = sigmoid(-a)
        update_gate = _Gate(*(-part for part in (*vars(update_gate).values(),)))
    reset, reset_gate, new_gate, after = _candidate(body, candidate.argument, state)
    if (z.op, _settings(z)) != (reset.op, _settings(reset)):
        raise NoForm
    made = _cell("GRU", [update_gate, reset_gate, new_gate], [z, candidate], (state,))
    made.attributes["linear_before_reset"] = int(after)
    return made


def _candidate(body: Body, form: Form, state: str) -> tuple[Atom, _Gate, _Gate, bool]:
    """x W + b + (r h) R, or x W + b + r (h R + c): the reset gate, its weights, the candidate's, and which it is."""
    plain = {key: factor for key, factor in form.terms.items() if len(key) < 2}
    ((product, factor),) = [item for item in form.terms.items() if len(item[0]) == 2] or [((), 0.0)]
    if len(plain) + 1 != len(form.terms) or not product:
        raise NoForm
    if state in product and np.ndim(factor) == 2:
        (name,) = set(product) - {state}
        reset = _atom(body, name)
        terms: dict[tuple[str, ...], Factor] = {**plain, (state,): factor}
        return reset, _gate(reset.argument, state), _gate(Form(terms), state), False
    sums = [name for name in product if name in body.atoms and not body.atoms[name].op]
    if len(sums) != 1 or _number(factor) != 1:
        raise NoForm
    (name,) = set(product) - set(sums)
    reset, inner = _atom(body, name), body.atoms[sums[0]].argument
    if set(inner.terms) - {(), (state,)} or (state,) not in inner.terms:
        raise NoForm
    recurrence = np.asarray(inner.terms[state,])
    width = recurrence.shape[-1]
    outer = _gate(Form({**plain, (state,): recurrence}), state)
    bias = np.broadcast_to(np.asarray(inner.terms.get((), 0.0)), (width,))
    return reset, _gate(reset.argument, state), _Gate(outer.weight, outer.recurrence, outer.bias, bias), True


def _lstm(body: Body, hidden: str, cell: str, forms: dict[str, Form]) -> Cell:
    """c' = f c + i g, h' = o tanh(c')."""
    ((output_key, factor),) = forms[hidden].terms.items() if len(forms[hidden].terms) == 1 else [((), 0.0)]
    if len(output_key) != 2 or _number(factor) != 1:
        raise NoForm
    shown = [
        name for name in output_key if name in body.atoms and _same(body.atoms[name].argument, forms[cell])
    ]
    if len(shown) != 1:
        raise NoForm
    (o,) = set(output_key) - set(shown)
    pairs = [set(key) for key in forms[cell].terms]
    if (
        len(pairs) != 2
        or any(len(p) != 2 for p in pairs)
        or any(_number(v) != 1 for v in forms[cell].terms.values())
    ):
        raise NoForm
    keeps = [pair for pair in pairs if cell in pair]
    if len(keeps) != 1:
        raise NoForm
    (f,) = keeps[0] - {cell}
    (taken,) = [pair for pair in pairs if cell not in pair]
    gate = _atom(body, f)
    inputs = [
        name
        for name in taken
        if (_atom(body, name).op, _settings(_atom(body, name))) == (gate.op, _settings(gate))
    ]
    if len(inputs) != 1:
        raise NoForm
    (i,) = inputs
    (g,) = taken - {i}
    gates = [_atom(body, name) for name in (i, o, f, g)]
    if any((each.op, _settings(each)) != (gate.op, _settings(gate)) for each in gates[:3]):
        raise NoForm
    weights = [_gate(each.argument, hidden) for each in gates]
    return _cell("LSTM", weights, [gate, gates[3], body.atoms[shown[0]]], (hidden, cell))


def _atom(body: Body, name: str | None) -> Atom:
    atom = body.atoms.get(name or "")
    if atom is None or atom.op not in ACTIVATIONS:
        raise NoForm
    return atom


def _number(factor: Factor) -> float:
    if np.ndim(factor):
        raise NoForm
    return round(float(factor), 6)  # 6 times a sixth is nearly 1


def _same(first: Form, second: Form) -> bool:
    return first.terms.keys() == second.terms.keys() and all(
        np.array_equal(factor, second.terms[key]) for key, factor in first.terms.items()
    )


def _gate(form: Form, state: str) -> _Gate:
    """The weights in x W + h R + b, which must have no other terms."""
    if set(form.terms) - {(), (FRAME,), (state,)} or (state,) not in form.terms or (FRAME,) not in form.terms:
        raise NoForm
    weight, recurrence = np.asarray(form.terms[FRAME,]), np.asarray(form.terms[state,])
    if weight.ndim != 2 or recurrence.ndim != 2 or recurrence.shape[0] != recurrence.shape[1]:
        raise NoForm
    width = recurrence.shape[1]
    bias = np.broadcast_to(np.asarray(form.terms.get((), 0.0)), (width,))
    return _Gate(weight, recurrence, bias, np.zeros(width))


def _settings(atom: Atom) -> tuple[float, float]:
    alpha = atom.attributes.get("alpha", _ALPHA.get(atom.op, 0.0))
    return float(alpha), float(atom.attributes.get("beta", _BETA.get(atom.op, 0.0)))


def _cell(op: str, gates: list[_Gate], activations: list[Atom], states: tuple[str, ...]) -> Cell:
    if len({(g.weight.shape, g.recurrence.shape) for g in gates}) > 1:
        raise NoForm
    return Cell(
        op,
        np.concatenate([g.weight for g in gates], axis=1).T.astype(np.float32),
        np.concatenate([g.recurrence for g in gates], axis=1).T.astype(np.float32),
        np.concatenate([g.bias for g in gates] + [g.recurrent_bias for g in gates]).astype(np.float32),
        {
            "activations": [atom.op for atom in activations],
            "activation_alpha": [_settings(atom)[0] for atom in activations],
            "activation_beta": [_settings(atom)[1] for atom in activations],
        },
        states,
    )
