"""The activation that an offline graph ends in, whatever it is written with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.streaming.context import Context
from export.streaming.node import Node
from stream.errors import NotStreamable
from stream.inference.card import Activation

# Operators that leave every value what it is.
_MOVES = {
    "Transpose", "Squeeze", "Unsqueeze", "Reshape", "Identity", "Flatten", "Cast", "Dropout", "Slice", "Gather",
    "Expand", "Concat", "Split",
}  # fmt: skip
_LINEAR = {"Gemm", "MatMul", "Add", "Sub", "Conv"}
_NAMES = {
    "Softmax": "softmax",
    "Sigmoid": "sigmoid",
    "LogSoftmax": "log-softmax",
    "HardSigmoid": "hard sigmoid",
}
_TOLERANCE = 1e-4


def ends_in(ctx: Context, target: str, activation: Activation | None) -> bool:
    """True if the graph ends in the activation of its card.

    Args:
        ctx: the graph.
        target: its output.
        activation: of the card; None = the output is taken as it is.

    Raises:
        NotStreamable: it ends in another one, so that a second one on top would spoil the probabilities.
    """
    if activation is None:
        return False
    found = {_activation(ctx, node) for node in _last_operators(ctx, target)}
    names = {name for name in found if name}
    if names == found and len(names) == 1:
        (name,) = names
        if name == activation:
            return True
        if name == "log-softmax" and activation == "softmax":
            return False  # the softmax of a log-softmax is the softmax
    if not names:
        names = _looks_like(ctx, target)
        if names == {activation}:
            return True
    if names:
        said = " and ".join(sorted(names)) + (" of some outputs" if len(found) > 1 else "")
        way = (
            f"export it with --activation {next(iter(names))}, or " if names <= {"softmax", "sigmoid"} else ""
        )
        raise NotStreamable(
            f"the network ends in {said}, the card says {activation}, and one on top of the other is neither: "
            f"{way}let the network end in its last linear layer"
        )
    return False


def _last_operators(ctx: Context, target: str) -> list[Node | None]:
    """The operators that compute the values of the output; None for what is no operator's."""
    found: list[Node | None] = []
    waiting, seen = [target], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        node = ctx.producer(name)
        if node is None or node.op not in _MOVES:
            found.append(node)
        elif node.op == "Concat":
            waiting += [each for each in node.inputs if ctx.varies(each)] or [node.inputs[0]]
        else:
            waiting.append(node.inputs[0])
    return found


def _activation(ctx: Context, node: Node | None) -> str:
    """The name of the activation that an operator is, "" for any other operator."""
    if node is None:
        return ""
    if node.op in _NAMES:
        return _NAMES[node.op]
    inner = ctx.producer(node.inputs[0]) if node.inputs and node.inputs[0] else None
    if node.op == "Log" and inner is not None and inner.op in ("Softmax", "Sigmoid"):
        return f"log-{_NAMES[inner.op]}"
    if node.op == "Clip":
        return _bounds(ctx, node)
    if node.op == "Div" and inner is not None and inner.op == "Exp":
        divisor = ctx.producer(node.inputs[1])
        while divisor is not None and divisor.op in _MOVES:
            divisor = ctx.producer(divisor.inputs[0])
        if divisor is not None and divisor.op == "ReduceSum" and inner.output in divisor.inputs:
            return "softmax"
    return ""


def _bounds(ctx: Context, node: Node) -> str:
    limits = [ctx.probe.fixed(name) for name in node.inputs[1:3] if name]
    values = [float(np.asarray(each).reshape(-1)[0]) for each in limits if each is not None]
    return "a limit of 0 to 1" if values == [0.0, 1.0] else ""


def _looks_like(ctx: Context, target: str) -> set[str]:
    """The activation that the values themselves speak of, where the last operator is no linear layer."""
    if all(node is None or node.op in _LINEAR for node in _last_operators(ctx, target)):
        return set()
    runs: list[NDArray[Any]] = ctx.probe.values(target)
    values = [np.asarray(each, np.float64) for each in runs if each.size]
    if not values or not all(np.isfinite(each).all() for each in values):
        return set()
    low, high = min(float(each.min()) for each in values), max(float(each.max()) for each in values)
    if low < 0 or high > 1 + _TOLERANCE or high == low or sum(each.size for each in values) < 64:
        return set()
    for axis in range(1, min(each.ndim for each in values)):
        if all(each.shape[axis] > 1 and np.abs(each.sum(axis) - 1).max() < _TOLERANCE for each in values):
            return {"softmax"}
    return set()
