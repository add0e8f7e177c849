"""What the body of a loop computes, as sums of products: independent of how it is written.

A form is a sum of terms. A term is a product of atoms (the frame ``x``, a state, the result of an activation, or a sum
that is multiplied with something), times a matrix or a number. ``z * h + (1 - z) * tanh(x W + b)`` is three terms:
{h z: 1, t: 1, t z: -1}, where t is the atom tanh({x: W, : b}).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

Array = NDArray[Any]
Key = tuple[str, ...]  # atoms of a product, sorted; () for the constant
Factor = float | Array  # a number, or a matrix (size of the product, width); for (): a number or a vector
ACTIVATIONS = ("Sigmoid", "Tanh", "Relu", "HardSigmoid", "Softsign", "Softplus", "Elu", "LeakyRelu")
MAX_TERMS = 64
ALL = 2**31 - 1  # an end behind every row, as TensorFlow writes it


class NoForm(Exception):
    """The body does something that no recurrent operator does. The loop stays."""


@dataclass(frozen=True)
class Form:
    """A sum of terms: product of atoms -> factor."""

    terms: dict[Key, Factor]

    def single(self) -> str | None:
        """The atom that this is, alone and unchanged."""
        if len(self.terms) == 1:
            ((key, factor),) = self.terms.items()
            if len(key) == 1 and np.ndim(factor) == 0 and np.isclose(factor, 1):
                return key[0]
        return None


@dataclass(frozen=True)
class Atom:
    """The result of an activation, or (op "") a sum that was multiplied with something."""

    op: str
    attributes: dict[str, Any]
    argument: Form


class Body:
    """The body of a loop.

    Args:
        nodes: of the body.
        known: values of tensors that never change.
        atoms: names of tensors that are the frame or a state -> what to call them.
        opset: of the graph.
    """

    def __init__(
        self,
        nodes: list[onnx.NodeProto],
        known: Callable[[str], Array | None],
        atoms: dict[str, str],
        opset: int,
    ) -> None:
        self._makers = {name: node for node in nodes for name in node.output if name}
        self._known = known
        self._opset = opset
        self._forms: dict[str, Form | Array] = {name: Form({(atom,): 1.0}) for name, atom in atoms.items()}
        self.atoms: dict[str, Atom] = {}

    def form(self, name: str) -> Form:
        """A tensor of the body as a sum.

        Raises:
            NoForm: it is none.
        """
        value = self._value(name)
        return value if isinstance(value, Form) else Form({(): _vector(value)})

    def _value(self, name: str) -> Form | Array:
        """Everything that a tensor needs, from the first to the last, without recursion."""
        waiting = [name]
        while waiting:
            at = waiting[-1]
            if at in self._forms:
                waiting.pop()
                continue
            constant = self._known(at)
            if constant is not None:
                self._forms[at] = constant
                continue
            node = self._makers.get(at)
            if node is None or len(waiting) > len(self._makers) + 1:
                raise NoForm
            missing = [each for each in node.input if each and each not in self._forms]
            if missing:
                waiting.append(missing[0])
            else:
                self._compute(node)
        return self._forms[name]

    def _compute(self, node: onnx.NodeProto) -> None:
        values = [self._forms[name] if name else None for name in node.input]
        if all(not isinstance(value, Form) for value in values):
            self._forms.update(zip(node.output, evaluate(node, values, self._opset), strict=True))  # type: ignore[arg-type]
            return
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        made: list[Form]
        if node.op_type in ACTIVATIONS and isinstance(values[0], Form):
            atom = f"{node.op_type}:{node.output[0]}"
            self.atoms[atom] = Atom(node.op_type, attributes, values[0])
            made = [Form({(atom,): 1.0})]
        elif node.op_type in ("Split", "Slice"):
            made = _cut(node, attributes, values)
        else:
            rule = _RULES.get(node.op_type)
            if rule is None:
                raise NoForm
            made = [rule(self, node, attributes, values)]
        if any(len(form.terms) > MAX_TERMS for form in made):
            raise NoForm
        self._forms.update(zip(node.output, made, strict=True))

    def clipped(self, node: onnx.NodeProto, form: Form, most: float) -> Form:
        """min(max(form, 0), most), which is most times a hard sigmoid."""
        if most <= 0:
            raise NoForm
        atom = f"HardSigmoid:{node.output[0]}"
        self.atoms[atom] = Atom("HardSigmoid", {"alpha": 1 / most, "beta": 0.0}, form)
        return Form({(atom,): most})

    def factor(self, form: Form, name: str) -> Form:
        """A form that may be multiplied element by element: sums with matrices become an atom."""
        if all(np.ndim(factor) == 0 for factor in form.terms.values()):
            return form
        atom = f":{name}"
        self.atoms[atom] = Atom("", {}, form)
        return Form({(atom,): 1.0})


def evaluate(node: onnx.NodeProto, values: list[Array | None], opset: int) -> list[Array]:
    """A node of constants."""
    names = [name for name in node.input if name]
    infos = [onnx.helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(names)]
    results = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output]
    graph = onnx.helper.make_graph([node], "constant", infos, results)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    feed = {name: value for name, value in zip(node.input, values, strict=True) if name}
    try:
        return [np.asarray(each) for each in ReferenceEvaluator(model).run(None, feed)]
    except Exception as error:  # the evaluator raises whatever its operators do
        raise NoForm from error


def _vector(value: Array) -> Factor:
    if value.size == 1:
        return float(value.reshape(-1)[0])
    if value.ndim > 1 and max(value.shape) != value.size:
        raise NoForm
    return value.reshape(-1).astype(np.float64)


def _as_form(value: Form | Array | None) -> Form:
    if value is None:
        raise NoForm
    return value if isinstance(value, Form) else Form({(): _vector(value)})


def _sum(first: Form, second: Form, sign: float = 1.0) -> Form:
    terms = dict(first.terms)
    for key, factor in second.terms.items():
        if key in terms and key and np.ndim(terms[key]) != np.ndim(factor):
            raise NoForm
        total = terms[key] + sign * factor if key in terms else sign * factor
        if np.ndim(total) == 0 and total == 0:
            terms.pop(key, None)
        else:
            terms[key] = float(total) if np.ndim(total) == 0 else total
    return Form(terms)


def _product(body: Body, node: onnx.NodeProto, first: Form, second: Form) -> Form:
    for one, other in ((first, second), (second, first)):
        if set(one.terms) == {()}:
            by = one.terms[()]
            if np.ndim(by) and any(key and not np.ndim(factor) for key, factor in other.terms.items()):
                raise NoForm  # a vector can scale the columns of matrices only
            return Form({key: factor * by for key, factor in other.terms.items()})
    first, second = body.factor(first, node.input[0]), body.factor(second, node.input[1])
    made = Form({})
    for left, a in first.terms.items():
        for right, b in second.terms.items():
            made = _sum(made, Form({tuple(sorted(left + right)): float(a) * float(b)}))
    return made


def _times_matrix(form: Form, matrix: Array) -> Form:
    """A form (…, n) times a matrix (n, m)."""
    if matrix.ndim != 2:
        raise NoForm
    terms: dict[Key, Factor] = {}
    for key, factor in form.terms.items():
        if not key:
            terms[key] = np.broadcast_to(np.asarray(factor, np.float64), matrix.shape[:1]) @ matrix
        elif np.ndim(factor) == 0:
            terms[key] = factor * matrix
        else:
            terms[key] = factor @ matrix
    return Form(terms)


def _columns(form: Form, start: int, end: int, step: int = 1) -> Form:
    terms: dict[Key, Factor] = {}
    for key, factor in form.terms.items():
        if np.ndim(factor) == 0:
            if key:
                raise NoForm  # part of a state: no operator does that
            terms[key] = factor
        else:
            terms[key] = np.asarray(factor)[..., start:end:step]
    return Form(terms)


def _width(form: Form) -> int:
    widths = {np.asarray(factor).shape[-1] for factor in form.terms.values() if np.ndim(factor)}
    if len(widths) != 1:
        raise NoForm
    return int(widths.pop())


def _cut(node: onnx.NodeProto, attributes: dict[str, Any], values: list[Any]) -> list[Form]:
    """Split and Slice of the last axis."""
    form = values[0]
    if not isinstance(form, Form) or any(isinstance(v, Form) for v in values[1:]):
        raise NoForm
    if node.op_type == "Split" and len(values) > 1 and form.single() is not None:
        form = _times_matrix(
            form, np.eye(int(np.sum(values[1])))
        )  # of a frame: columns of what it is made of
    width = _width(form)
    if node.op_type == "Split":
        if attributes.get("axis", 0) not in (-1, 1):
            raise NoForm
        count = len(node.output)
        sizes = values[1].tolist() if len(values) > 1 and values[1] is not None else [width // count] * count
        ends = np.cumsum(sizes).tolist()
        if ends[-1] != width:
            raise NoForm
        return [_columns(form, end - size, end) for size, end in zip(sizes, ends, strict=True)]
    parts = [np.asarray(v).reshape(-1).tolist() for v in values[1:] if v is not None]
    if len(parts) == 3:
        parts.append([1] * len(parts[0]))
    if len(parts) != 4 or len({len(part) for part in parts}) != 1:
        raise NoForm
    for start, end, axis, step in zip(*parts, strict=True):
        if axis in (-1, 1):
            form = _columns(form, *slice(start, end, step).indices(width))
        elif (start, step) != (0, 1) or end < ALL:  # streams, of which all must stay
            raise NoForm
    return [form]


def _matmul(body: Body, node: onnx.NodeProto, attributes: dict[str, Any], values: list[Any]) -> Form:
    """MatMul and Gemm, with constant weights on the right."""
    form, matrix, *rest = values
    if not isinstance(form, Form) or not isinstance(matrix, np.ndarray) or attributes.get("transA", 0):
        raise NoForm
    matrix = matrix.astype(np.float64).T if attributes.get("transB", 0) else matrix.astype(np.float64)
    made = _times_matrix(form, matrix * float(attributes.get("alpha", 1.0)))
    if rest and rest[0] is not None:
        made = _sum(made, _scaled(_as_form(rest[0]), float(attributes.get("beta", 1.0))))
    return made


def _quotient(body: Body, node: onnx.NodeProto, attributes: dict[str, Any], values: list[Any]) -> Form:
    return _scaled(_as_form(values[0]), 1.0 / _number(values[1]))


def _scaled(form: Form, by: float) -> Form:
    return Form({key: factor * by for key, factor in form.terms.items()})


def _number(value: Form | Array | None) -> float:
    terms = _as_form(value).terms
    if set(terms) != {()} or np.ndim(terms[()]):
        raise NoForm
    return float(terms[()])


def _clip(body: Body, node: onnx.NodeProto, attributes: dict[str, Any], values: list[Any]) -> Form:
    if len(values) != 3 or _number(values[1]) != 0:
        raise NoForm
    return body.clipped(node, _as_form(values[0]), _number(values[2]))


def _least(body: Body, node: onnx.NodeProto, attributes: dict[str, Any], values: list[Any]) -> Form:
    """min(form, number): half of a clip, whose other half follows, or was a Relu."""
    form, most = _as_form(values[0]), _number(values[1])
    before = body.atoms.get(form.single() or "")
    if before is not None and before.op == "Relu":
        return body.clipped(node, before.argument, most)
    atom = f"Min:{node.output[0]}"
    body.atoms[atom] = Atom("Min", {"most": most}, form)
    return Form({(atom,): 1.0})


def _most(body: Body, node: onnx.NodeProto, attributes: dict[str, Any], values: list[Any]) -> Form:
    """max(min(form, number), 0)."""
    before = body.atoms.get(_as_form(values[0]).single() or "")
    if before is None or before.op != "Min" or _number(values[1]) != 0:
        raise NoForm
    return body.clipped(node, before.argument, before.attributes["most"])


def _cast(body: Body, node: onnx.NodeProto, attributes: dict[str, Any], values: list[Any]) -> Form:
    """To float32, which a form is of already."""
    if attributes.get("to") != onnx.TensorProto.FLOAT:
        raise NoForm
    return _as_form(values[0])


Rule = Callable[[Body, onnx.NodeProto, dict[str, Any], list[Any]], Form]
_RULES: dict[str, Rule] = {
    "Add": lambda body, node, attributes, v: _sum(_as_form(v[0]), _as_form(v[1])),
    "Sub": lambda body, node, attributes, v: _sum(_as_form(v[0]), _as_form(v[1]), -1.0),
    "Mul": lambda body, node, attributes, v: _product(body, node, _as_form(v[0]), _as_form(v[1])),
    "Div": _quotient,
    "Neg": lambda body, node, attributes, v: _scaled(_as_form(v[0]), -1.0),
    "Identity": lambda body, node, attributes, v: _as_form(v[0]),
    "Cast": _cast,
    "Clip": _clip,
    "Min": _least,
    "Max": _most,
    "Gemm": _matmul,
    "MatMul": _matmul,
}
