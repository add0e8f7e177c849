"""Operators that a streaming graph must not contain."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from stream.errors import ParityError
from stream.inference.onnx_file import FORBIDDEN_OPERATORS


def check_operators(model: onnx.ModelProto, from_torch: bool = False) -> None:
    """Refuse what a streaming graph must never contain, whatever it computes.

    Raises:
        ParityError: a loop or branch, an operator of another domain, a literal batch or length, or a GRU from torch
            without linear_before_reset (how an exporter once went silently wrong).
    """
    for node in _all_nodes(model.graph):
        if node.op_type in FORBIDDEN_OPERATORS:
            raise ParityError(
                f"operator '{node.name}' ({node.op_type}): loops and branches are not allowed in a streaming graph"
            )
        if node.domain not in ("", "ai.onnx"):
            raise ParityError(
                f"operator '{node.name}' ({node.domain}): only standard operators run everywhere"
            )
        if node.op_type == "GRU" and from_torch:
            flags = [a.i for a in node.attribute if a.name == "linear_before_reset"]
            if flags != [1]:
                raise ParityError(
                    f"operator '{node.name}' (GRU): torch's GRU needs linear_before_reset=1; upgrade onnxscript"
                )
    if any(entry.domain not in ("", "ai.onnx") for entry in model.opset_import):
        raise ParityError("the graph imports operators of another domain; only standard ones run everywhere")
    for axis in (0, 1):
        if not model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param:
            raise ParityError("the graph fixes its batch or length; both must stay free")


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of the bodies of its loops."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _all_nodes(attribute.g)
