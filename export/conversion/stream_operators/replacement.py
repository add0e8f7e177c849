"""An operator for streams in the place of the plain ones that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

DOMAIN = "com.microsoft"


@dataclass(frozen=True)
class Replacement:
    """New nodes for old ones.

    Attributes:
        result: the tensor at whose place in the graph the new nodes stand; they make it.
        nodes: the new ones, in their order.
        constants: that they read.
        made: further tensors that they make, which old nodes made.
    """

    result: str
    nodes: Sequence[onnx.NodeProto]
    constants: Sequence[onnx.TensorProto]
    made: frozenset[str]


def replaced(model: onnx.ModelProto, replacements: Sequence[Replacement]) -> onnx.ModelProto:
    """The graph with the replacements; nodes and constants that nothing needs any more are gone."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    at = {each.result: each for each in replacements}
    made = frozenset[str]().union(*(each.made for each in replacements))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        each = at.get(node.output[0])
        if each is not None:
            nodes += each.nodes
        elif made.isdisjoint(node.output):
            nodes.append(node)
    kept = _needed(nodes, {output.name for output in graph.output})
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in graph.node for name in node.input}
    constants = [each for each in graph.initializer if each.name in used]
    constants += [constant for each in replacements for constant in each.constants]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    return changed


def _needed(nodes: list[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    """Nodes that an output depends on, in their order."""
    wanted = set(outputs)
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(name for name in node.input if name)
    return kept[::-1]
