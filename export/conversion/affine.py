"""Scaling and shifting before a matrix product, as part of it: two operators less on every frame."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Array = NDArray[Any]
LARGEST_ERROR = 1e-6  # that the other order of operations may bring by itself
EPSILON = float(np.finfo(np.float32).eps) / 2


def fold_affine(model: onnx.ModelProto, uses: Counter[str]) -> None:
    """Scale the weights of a MatMul, and shift its result, instead of its input.

    Features are normalised so: ``((x - mean) * scale) @ weight`` is ``x @ (scale * weight) - (mean * scale) @ weight``.
    Where the shift is so large that the difference of two large numbers would lose digits, all stays as it is.

    Args:
        model: an offline graph; changed.
        uses: how often each tensor is read, outputs of the graph included.
    """
    graph = model.graph
    constants = {t.name: t for t in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    for product in [node for node in graph.node if node.op_type == "MatMul"]:
        if product.input[1] not in constants:
            continue
        weight = numpy_helper.to_array(constants[product.input[1]])
        if weight.ndim != 2 or weight.dtype != np.float32:
            continue
        scale, shift = np.ones(len(weight)), np.zeros(len(weight))
        before, name = [], product.input[0]
        while (node := producers.get(name)) is not None and uses[name] == 1:
            taken = _taken(node, constants, len(weight))
            if taken is None:
                break
            name, factor, term = taken
            # What is found later comes earlier: x -> (x * factor + term) * scale + shift
            shift, scale = shift + term * scale, scale * factor
            before.append(node)
        terms = shift[:, None] * weight.astype(np.float64)
        if (
            not before
            or not np.all(np.isfinite(scale))
            or np.abs(terms).sum(axis=0).max() * EPSILON > LARGEST_ERROR
        ):
            continue
        output = product.output[0]
        scaled = (scale[:, None] * weight).astype(np.float32)
        parts = {"weight": scaled, "bias": terms.sum(axis=0).astype(np.float32)}
        for kind, value in parts.items():
            graph.initializer.append(numpy_helper.from_array(value, f"{output}/{kind}"))
        product.input[:] = [name, f"{output}/weight"]
        for node in before:
            graph.node.remove(node)
        _shift(graph, product, output, parts["bias"], constants, uses)


def _taken(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], size: int
) -> tuple[str, Array, Array] | None:
    """An operator as ``x * factor + term`` on the last axis: x, and both; None if it is none of that kind."""
    if node.op_type not in ("Add", "Sub", "Mul", "Div"):
        return None
    at = 1 if node.input[1] in constants else 0
    if (
        node.input[at] not in constants
        or node.input[1 - at] in constants
        or (at == 0 and node.op_type == "Div")
    ):
        return None
    value = numpy_helper.to_array(constants[node.input[at]])
    if value.dtype != np.float32 or value.ndim > 1 or value.size not in (1, size):
        return None
    flat = np.broadcast_to(value.reshape(-1).astype(np.float64), size)
    one, none = np.ones(size), np.zeros(size)
    if node.op_type == "Mul":
        return node.input[1 - at], flat, none
    if node.op_type == "Div":
        with np.errstate(divide="ignore"):
            return node.input[0], 1 / flat, none
    if node.op_type == "Add":
        return node.input[1 - at], one, flat
    return (node.input[0], one, -flat) if at == 1 else (node.input[1], -one, flat)


def _shift(
    graph: onnx.GraphProto,
    product: onnx.NodeProto,
    output: str,
    bias: Array,
    constants: dict[str, onnx.TensorProto],
    uses: Counter[str],
) -> None:
    """Add the bias behind the product: to the one that is there, or by an Add of its own."""
    if not np.any(bias):
        return
    name = f"{output}/bias"
    follower = next((node for node in graph.node if output in node.input), None)
    if follower is not None and follower.op_type == "Add" and uses[output] == 1:
        other = next((each for each in follower.input if each != output), output)
        there = numpy_helper.to_array(constants[other]) if other in constants else None
        if there is not None and there.shape == bias.shape and there.dtype == np.float32:
            total = (there.astype(np.float64) + bias).astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(total, f"{output}/sum"))
            follower.input[:] = [output, f"{output}/sum"]
            return
    plain = f"{output}/unshifted"
    product.output[0] = plain
    place = next(i for i, node in enumerate(graph.node) if node is product or node.output[0] == plain)
    added = onnx.helper.make_node("Add", [plain, name], [output], f"{product.name}/shift")
    added.metadata_props.extend(product.metadata_props)
    graph.node.insert(place + 1, added)
