"""Between a card's features (N, T, F) and whatever order of axes a network takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from stream.errors import UsageError


@dataclass(frozen=True)
class InputLayout:
    """How to turn (N, T, F) into the network's input.

    Attributes:
        squeeze: the network takes (N, T) without a feature axis.
        order: transposition of the remaining axes.
        ones: axes of size 1 to insert afterwards, ascending.
    """

    squeeze: bool
    order: tuple[int, ...]
    ones: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], batch_axis: int, time_axis: int) -> InputLayout:
        """Read the layout off an example's shape.

        Raises:
            UsageError: axes out of range, or more than one feature axis.
        """
        rank = len(shape)
        if not all(-rank <= axis < rank for axis in (batch_axis, time_axis)) or rank < 2:
            raise UsageError(
                f"example of shape {list(shape)} has no axes {batch_axis} (batch), {time_axis} (time)"
            )
        batch, time = batch_axis % rank, time_axis % rank
        if batch == time:
            raise UsageError(f"batch_axis and time_axis are both {batch}")
        rest = [axis for axis in range(rank) if axis not in (batch, time)]
        wide = [axis for axis in rest if shape[axis] != 1] or rest[-1:]
        if len(wide) > 1:
            raise UsageError(
                f"example of shape {list(shape)}: only one axis besides batch and time may exceed 1"
            )
        present = sorted([batch, time, *wide])
        source = {batch: 0, time: 1, **dict.fromkeys(wide, 2)}
        ones = tuple(axis for axis in rest if axis not in wide)
        return cls(not wide, tuple(source[axis] for axis in present), ones)

    def axes_of_network(self) -> dict[str, int]:
        """Axes of the network's own input: of "N" streams and "T" frames."""
        order = list(self.order)
        for axis in self.ones:
            order.insert(axis, -1)
        return {"N": order.index(0), "T": order.index(1)}

    def to_network(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, F) -> the network's input."""
        x = x.squeeze(2) if self.squeeze else x
        x = x.permute(self.order) if self.order != tuple(range(len(self.order))) else x
        for axis in self.ones:
            x = x.unsqueeze(axis)
        return x

    def from_network(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's input -> (N, T, F)."""
        x = np.squeeze(x, axis=self.ones) if self.ones else x
        x = np.transpose(x, np.argsort(self.order))
        return np.ascontiguousarray(x[:, :, None] if self.squeeze else x)

    def prepend(self, model: onnx.ModelProto, features: int) -> onnx.ModelProto:
        """A copy of an offline graph that takes (N, T, F)."""
        if not self.squeeze and not self.ones and self.order == (0, 1, 2):
            return model
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        graph = changed.graph
        name = "stream_features"
        target = graph.input[0].name
        nodes = []
        last = name
        if self.squeeze:
            graph.initializer.append(helper.make_tensor("stream_axis", TensorProto.INT64, [1], [2]))
            nodes.append(helper.make_node("Squeeze", [last, "stream_axis"], ["stream_squeezed"]))
            last = "stream_squeezed"
        nodes.append(helper.make_node("Transpose", [last], ["stream_ordered"], perm=list(self.order)))
        if self.ones:
            graph.initializer.append(
                helper.make_tensor("stream_ones", TensorProto.INT64, [len(self.ones)], list(self.ones))
            )
            nodes.append(helper.make_node("Unsqueeze", ["stream_ordered", "stream_ones"], [target]))
        else:
            nodes[-1].output[0] = target
        rest = list(graph.node)
        del graph.node[:], graph.input[:]
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", "T", features]))
        graph.node.extend([*nodes, *rest])
        return changed
