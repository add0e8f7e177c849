"""The offline ONNX graph under construction, and the tensors in it with the meaning of their axes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.streaming.node import LAYER_CLASS
from stream.errors import NotStreamable

Array = NDArray[Any]
OPSET = 17


@dataclass(frozen=True)
class Time:
    """An axis along time.

    Attributes:
        length: the only one that the network was built for, None = any. It is freed; settings that were derived from
            it still mean it.
    """

    length: int | None = None


Axis = int | Time | None  # None: streams (the batch)


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        name: in the graph.
        axes: what each axis is.
        mask: tensor (N, T, 1), 1 where a frame is masked and 0 elsewhere; "" without Masking.
    """

    name: str
    axes: tuple[Axis, ...]
    mask: str = ""

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def time(self) -> int | None:
        """Position of the time axis; None for one value for the whole sequence."""
        return next((i for i, axis in enumerate(self.axes) if isinstance(axis, Time)), None)

    def size(self, axis: int) -> int | None:
        """Size of an axis that does not depend on batch or length; None for those that do."""
        value = self.axes[axis]
        return value if isinstance(value, int) else None

    def named(self, name: str, **changes: Any) -> Tensor:
        return replace(self, name=name, **changes)

    @property
    def shape(self) -> str:
        """As a person writes it: (batch, time, 40)."""
        names = [
            str(a) if isinstance(a, int) else "time" if isinstance(a, Time) else "batch" for a in self.axes
        ]
        return f"({', '.join(names)})"


class Builder:
    """Collects nodes and constants. Nodes are named by the layer they belong to, so that messages can name it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.notes: list[str] = []
        self._constants: list[onnx.TensorProto] = []
        self._layer = ("network", "")
        self._count = 0

    def enter(self, name: str, kind: str) -> None:
        """What follows belongs to this layer."""
        self._layer = (name, kind)

    def emit(self, op: str, inputs: list[str], count: int = 1, **attrs: Any) -> list[str]:
        """Add a node; returns the names of its outputs."""
        self._count += 1
        layer, kind = self._layer
        name = f"/{layer}/{op}_{self._count}"
        outputs = [f"{name}:{i}" if i else name for i in range(count)]
        node = helper.make_node(op, inputs, outputs, name=name, **attrs)
        node.metadata_props.add(key=LAYER_CLASS, value=kind)
        self.nodes.append(node)
        return outputs

    def one(self, op: str, inputs: list[str], **attrs: Any) -> str:
        return self.emit(op, inputs, **attrs)[0]

    def constant(self, value: Any) -> str:
        self._count += 1
        name = f"/{self._layer[0]}/constant_{self._count}"
        self._constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def floats(self, value: Any) -> str:
        return self.constant(np.asarray(value, np.float32))

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def transpose(self, x: Tensor, perm: list[int]) -> Tensor:
        if perm == list(range(x.rank)):
            return x
        name = self.one("Transpose", [x.name], perm=perm)
        return x.named(name, axes=tuple(x.axes[i] for i in perm))

    def model(self, source: Tensor, outputs: list[Tensor]) -> onnx.ModelProto:
        """The graph: a tensor (N, T, …) to the outputs; streams and length are free."""
        if not any(source.name in node.input for node in self.nodes):
            raise NotStreamable("the network does not use its input; check it")
        names = [self.one("Identity", [output.name]) for output in outputs]
        graph = helper.make_graph(
            self.nodes,
            "keras",
            [_declared(source.name, source)],
            [_declared(name, output) for name, output in zip(names, outputs, strict=True)],
            self._constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def _declared(name: str, tensor: Tensor) -> onnx.ValueInfoProto:
    dims = [a if isinstance(a, int) else "T" if isinstance(a, Time) else "N" for a in tensor.axes]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
