"""A streaming graph of plain operators, read from any tensor backwards to what makes it and onwards to what uses it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


class PlainGraph:
    """Who makes a tensor, who uses it, and what its value is if it is a constant.

    Attributes:
        nodes: in their order.
        inputs: name -> sizes, None where one is not fixed.
        outputs: names.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = tuple(model.graph.node)
        self.inputs = {
            each.name: tuple(dim.dim_value or None for dim in each.type.tensor_type.shape.dim)
            for each in model.graph.input
        }
        self.outputs = frozenset(output.name for output in model.graph.output)
        self._makers = {output: node for node in self.nodes for output in node.output}
        self._values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        self._uses = Counter(name for node in self.nodes for name in node.input)
        self._uses.update(self.outputs)
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self._users.setdefault(name, []).append(node)

    def maker(self, name: str | None, *kinds: str) -> onnx.NodeProto | None:
        """The node that makes a tensor, if it is of one of these operators."""
        node = self._makers.get(name or "")
        return node if node is not None and node.op_type in kinds else None

    def value(self, name: str) -> NDArray[Any] | None:
        """A constant."""
        return self._values.get(name)

    def integers(self, name: str) -> list[int]:
        """A constant as a flat list; empty if it is none."""
        value = self._values.get(name)
        return [] if value is None else [int(each) for each in value.reshape(-1)]

    def users(self, name: str) -> list[onnx.NodeProto]:
        """Nodes that read a tensor."""
        return self._users.get(name, [])

    def only_user(self, name: str) -> onnx.NodeProto | None:
        """The node that reads a tensor, if nothing else does and it does so once."""
        return self._users[name][0] if self._uses[name] == 1 and name in self._users else None
