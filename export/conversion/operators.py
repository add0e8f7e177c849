"""Operators that a streaming graph must not contain."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from export.streaming.node import Node
from stream.errors import NotStreamable, ParityError
from stream.inference.onnx_file import FORBIDDEN_OPERATORS, STREAM_OPERATORS

RANDOM_OPERATORS = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
)


def check_no_chance(model: onnx.ModelProto) -> None:
    """Refuse an offline graph that draws random numbers, in its functions, branches and loops too.

    Raises:
        NotStreamable: names the operator.
    """
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for node in waiting:
        if node.op_type == "Constant":
            constants.update(
                (node.output[0], onnx.numpy_helper.to_array(a.t)) for a in node.attribute if a.HasField("t")
            )
        waiting.extend(each for a in node.attribute for each in a.g.node)
        training = node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]
        if node.op_type in RANDOM_OPERATORS or (
            training and bool(np.any(constants.get(node.input[2], True)))
        ):
            raise NotStreamable(
                f"{Node(node).label}: it draws random numbers, so no two runs agree; export the network in eval mode, "
                "without dropout or noise"
            )


def check_operators(model: onnx.ModelProto, from_torch: bool = False) -> None:
    """Refuse what a streaming graph must never contain, whatever it computes.

    Raises:
        ParityError: a loop or branch, an operator of another domain, a literal batch or length, or a GRU from torch
            without linear_before_reset (how an exporter once went silently wrong).
    """
    explained = {(function.domain, function.name) for function in model.functions} & STREAM_OPERATORS
    for node in _all_nodes(model.graph):
        if node.op_type in FORBIDDEN_OPERATORS:
            raise ParityError(
                f"operator '{node.name}' ({node.op_type}): loops and branches are not allowed in a streaming graph"
            )
        if node.domain not in ("", "ai.onnx") and (node.domain, node.op_type) not in explained:
            raise ParityError(
                f"operator '{node.name}' ({node.domain}): only standard operators run everywhere"
            )
        if node.op_type == "GRU" and from_torch:
            flags = [a.i for a in node.attribute if a.name == "linear_before_reset"]
            if flags != [1]:
                raise ParityError(
                    f"operator '{node.name}' (GRU): torch's GRU needs linear_before_reset=1; upgrade onnxscript"
                )
    domains = {"", "ai.onnx", *(domain for domain, _ in explained)}
    if any(entry.domain not in domains for entry in model.opset_import):
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
