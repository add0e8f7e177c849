"""Which outputs of an ONNX graph are the next values of which of its inputs."""

from __future__ import annotations

import re
from dataclasses import dataclass

import onnx
from onnx import TensorProto

_INTEGERS = (TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.INT8, TensorProto.BOOL)
_FIRST = r"^({})(?=[_.])|(?<=[_.])({})$"
_BEFORE = re.compile(
    _FIRST.format("in|prev|previous|past|old|init|initial|cur|current", "in|input|prev|past|old|init|initial")
)
_AFTER = re.compile(
    _FIRST.format("out|new|next|r|present|updated", "out|output|new|next|n|present|updated|final")
)
_STATE_LIKE = re.compile(r"state|hidden|cache|^[hc]\d*$|^[hc]_?[0n]$", re.IGNORECASE)


@dataclass(frozen=True)
class Pairing:
    """How a graph with states is fed.

    Attributes:
        features: the input that is no state.
        states: (input, output) of each carried tensor.
        outputs: the others, in order.
    """

    features: str
    states: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]


def takes_states(graph: onnx.GraphProto) -> bool:
    """True if the graph has more than one input."""
    stored = {t.name for t in graph.initializer}
    return sum(value.name not in stored for value in graph.input) > 1


def pair_states(graph: onnx.GraphProto) -> Pairing | str:
    """Pair inputs with outputs by name and shape; if no name tells, what follows the first input by order.

    Returns:
        The pairing, or why there is none.
    """
    stored = {t.name for t in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    numbers = [value.name for value in inputs if _is_constant(value)]
    if numbers:
        return f"input {numbers[0]!r} is a number and no state: make it a constant of the graph, the one you would feed"
    named = _by_name(inputs, list(graph.output))
    if not named and len(inputs) > 1:
        rest, after = inputs[1:], list(graph.output)[1:]
        if len(rest) != len(after) or not all(_fit(a, b) for a, b in zip(rest, after, strict=False)):
            names = ", ".join(value.name for value in rest)
            return (
                f"no outputs belong to its inputs {names}: name them alike (h and h_out, or h.in and h.out)"
            )
        named = {a.name: b.name for a, b in zip(rest, after, strict=True)}
    features = [value.name for value in inputs if value.name not in named]
    if len(features) != 1:
        names = ", ".join(features) or "none"
        return f"its inputs that are no states are {names}: exactly one must be, the features"
    taken = set(named.values())
    outputs = tuple(value.name for value in graph.output if value.name not in taken)
    if not outputs:
        return "all its outputs are states"
    return Pairing(features[0], tuple(named.items()), outputs)


def _is_constant(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _INTEGERS:
        return False
    dims = [d.dim_value for d in tensor.shape.dim]
    return not dims or (dims == [1] and not _STATE_LIKE.search(value.name))


def _by_name(inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in inputs:
        stem = _stem(value.name, _BEFORE, "0")
        matches = [
            other.name
            for other in outputs
            if other.name not in found.values()
            and (other.name != value.name)
            and stem in (_stem(other.name, _AFTER, "nN"), other.name.lower())
            and _fit(value, other)
        ]
        if len(matches) == 1:
            found[value.name] = matches[0]
    return found


def _stem(name: str, affixes: re.Pattern[str], trailing: str) -> str:
    """A name without what says whether it is of before or after the step."""
    name = affixes.sub("", name.lower()).strip("_.")
    return name.rstrip(trailing.lower()).rstrip("_.") or name


def _fit(a: onnx.ValueInfoProto, b: onnx.ValueInfoProto) -> bool:
    """True if both may be the same tensor: type, rank (where it is given), and sizes (where they are)."""
    one, two = a.type.tensor_type, b.type.tensor_type
    if one.elem_type != two.elem_type:
        return False
    if not two.HasField("shape") or not one.HasField("shape"):
        return True
    if len(one.shape.dim) != len(two.shape.dim):
        return False
    pairs = zip(one.shape.dim, two.shape.dim, strict=True)
    return all(not x.dim_value or not y.dim_value or x.dim_value == y.dim_value for x, y in pairs)
