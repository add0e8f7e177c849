"""Small ONNX networks on plain sound, with the inputs and outputs that published ones have."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

WINDOW, HOP, RATE = 15_600, 7_680, 16_000  # 0.96 s of frames of 25 ms every 10 ms, every 0.48 s
FRAME, FRAME_HOP, BANDS = 400, 160, 64


class _Nodes:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, kind: type = np.int64) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def __call__(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        name = to or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def patch_network(
    rank: int = 1, length: int | None = None, *, padded: bool = True, whole: bool = False, opset: int = 17
) -> bytes:
    """Sound of any length -> scores (frames, 521), embeddings (frames, 1024), log_mel (10 ms frames, 64), as YAMNet.

    Args:
        rank: 1 for (samples,), 2 for (batch, samples), with outputs (batch, frames, ...).
        length: samples that it takes; None = any number.
        padded: fill the last window up with silence, as YAMNet does.
        whole: rows depend on the whole sound, which a stream cannot have.
        opset: of the operators, 13 or later.
    """
    n, rng = _Nodes(), np.random.default_rng(0)
    sound = "waveform" if rank == 2 else n("Unsqueeze", "waveform", n.constant([0]))
    if whole:
        level = n("ReduceMax", n("Abs", sound), axes=[1], keepdims=1)
        sound = n("Div", sound, n("Add", level, n.constant(1e-6, np.float32)))
    sound = n("Unsqueeze", sound, n.constant([1]))  # (N, 1, n)
    if padded and length is None:
        size = n("Slice", n("Shape", "waveform"), n.constant([rank - 1]), n.constant([rank]))
        over = n("Max", n("Sub", size, n.constant([WINDOW])), n.constant([0]))
        hops = n("Div", n("Add", over, n.constant([HOP - 1])), n.constant([HOP]))
        wanted = n("Add", n("Mul", hops, n.constant([HOP])), n.constant([WINDOW]))
        pads = n("Concat", n.constant([0] * 5), n("Sub", wanted, size), axis=0)
        sound = n("Pad", sound, pads)
    frames = n("Conv", sound, n.constant(_filters(), np.float32), strides=[FRAME_HOP])
    power = n("Mul", frames, frames)
    pooled = {"kernel_shape": [96], "strides": [48]}
    parts = [n(kind, power, **pooled) for kind in ("AveragePool", "MaxPool")]
    patches = n("Log", n("Add", n("Concat", *parts, axis=1), n.constant(1e-4, np.float32)))
    rows = n("Transpose", patches, perm=[0, 2, 1])
    mixing = rng.normal(0, 0.1, (2 * BANDS, 1024))
    numbers = n("Relu", n("MatMul", rows, n.constant(mixing, np.float32)))
    scores = n("Sigmoid", n("MatMul", numbers, n.constant(rng.normal(0, 0.01, (1024, 521)), np.float32)))
    mel = n("Transpose", n("Log", n("Add", power, n.constant(1e-3, np.float32))), perm=[0, 2, 1])
    outputs = {"output_0": (scores, 521), "output_1": (numbers, 1024), "output_2": (mel, BANDS)}
    values = []
    for name, (value, width) in outputs.items():
        if rank == 1:
            n("Squeeze", value, n.constant([0]), to=name)
        else:
            n("Identity", value, to=name)
        shape = [None, width] if rank == 1 else ["batch", None, width]
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    given = [length or "samples"] if rank == 1 else ["batch", length or "samples"]
    graph = helper.make_graph(
        n.nodes,
        "patches",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, given)],
        values,
        n.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _filters() -> NDArray[np.float64]:
    """(64, 1, 400): cosines and sines from 100 to 6000 Hz."""
    time = np.arange(FRAME) / RATE
    pitches = np.geomspace(100, 6000, BANDS // 2)[:, None]
    waves = np.concatenate([np.cos(2 * np.pi * pitches * time), np.sin(2 * np.pi * pitches * time)])
    return (waves * np.hanning(FRAME) / 100)[:, None]
