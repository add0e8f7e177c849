"""Layers and functions that join several tensors, element by element or side by side."""

from __future__ import annotations

from export.keras.graph_builder import Axis, Builder, Tensor, Time
from export.keras.layer_config import Layer
from export.keras.layers.layer_table import Array, features, layer

_OPERATORS = {
    "Add": "Sum",
    "Multiply": "Mul",
    "Subtract": "Sub",
    "Average": "Mean",
    "Maximum": "Max",
    "Minimum": "Min",
}


@layer(*_OPERATORS, joins=True)
def merge(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    if len(inputs) < 2:
        raise layer.refused("it joins tensors with a number", "use a Rescaling layer for the number")
    if len({x.rank for x in inputs}) > 1 and not layer.is_function:
        raise layer.refused("it joins tensors of different rank", "reshape them to the same axes first")
    axes = _broadcast(layer, inputs)
    op = _OPERATORS[layer.kind]
    if op in ("Mul", "Sub"):
        name = inputs[0].name
        for x in inputs[1:]:
            name = b.one(op, [name, x.name])
    else:
        name = b.one(op, [x.name for x in inputs])
    return [Tensor(name, axes)]


@layer("Concatenate", joins=True)
def concatenate(b: Builder, layer: Layer, inputs: list[Tensor], given: list[Array]) -> list[Tensor]:
    axis = layer.integer("axis", -1)
    rank = inputs[0].rank
    if any(x.rank != rank for x in inputs):
        raise layer.refused("it joins tensors of different rank", "reshape them to the same axes first")
    total = sum(features(layer, x, axis) for x in inputs)
    others = _broadcast(layer, [x.named(x.name, axes=_without(x, axis)) for x in inputs])
    axes = list(others)
    axes[axis % rank] = total
    return [Tensor(b.one("Concat", [x.name for x in inputs], axis=axis % rank), tuple(axes))]


def _without(x: Tensor, axis: int) -> tuple[Axis, ...]:
    return tuple(1 if i == axis % x.rank else each for i, each in enumerate(x.axes))


def _broadcast(layer: Layer, inputs: list[Tensor]) -> tuple[Axis, ...]:
    """Axes of the result of joining tensors element by element."""
    rank = max(x.rank for x in inputs)
    axes: list[Axis] = []
    for i in range(rank):
        column = [x.axes[i - rank + x.rank] for x in inputs if i - rank + x.rank >= 0]
        times = [a for a in column if isinstance(a, Time)]
        sizes = {a for a in column if isinstance(a, int) and a != 1}
        if len(sizes) > 1 or (sizes and (times or None in column)) or (times and None in column):
            shapes = " and ".join(x.shape for x in inputs)
            raise layer.refused(f"it joins tensors {shapes}, which do not fit", "give both the same axes")
        if None in column:
            axes.append(None)
        else:
            axes.append(times[0] if times else sizes.pop() if sizes else 1)
    return tuple(axes)
