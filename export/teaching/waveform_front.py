"""A network that others trained on plain sound, such as YAMNet, as a front: it is run on one window after the other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from export.teaching.front import Front, FrontCard
from export.teaching.windows import Windows, find_windows
from stream.errors import ModelError, StreamClassifyError
from stream.features.spec import WaveformSpec
from stream.inference.onnx_file import scan
from stream.inference.options import CPU, create_session

Array = NDArray[np.float32]
SAMPLE_RATE = 16_000  # Hz: what such networks are fed, as an ONNX file does not say
PROBE_SECONDS = 2.0
OPSET, IR = 17, 8
NET = "net/"


@dataclass(frozen=True, eq=False, slots=True)
class _Network:
    """The file, with the output that is used.

    Attributes:
        input, rank, length: its input: name; 1 for (samples,) or 2 for (batch, samples); samples, None = any number.
        output, width: the output: name, and D numbers in a row.
        session: runs it.
    """

    input: str
    rank: int
    length: int | None
    output: str
    width: int
    session: Any

    def rows(self, samples: Array) -> Array:
        """(n,) -> (R, D)."""
        fed = samples if self.rank == 1 else samples[None]
        found = _as_rows(self.session.run([self.output], {self.input: fed})[0], self.rank)
        assert found is not None
        return found


def waveform_front(data: bytes, name: str) -> Front:
    """A network from (samples,) or (batch, samples) at 16 kHz to rows of numbers, as a front.

    Its rows must each be about a window of sound of their own; that is tried out. Of several outputs the one with
    "embed" in its name is used, or else the widest.

    Args:
        data: the ONNX file.
        name: of it, for messages.

    Raises:
        ModelError: it is not such a network; says why.
    """
    scan(data, name)  # before onnx sees it
    model = _at_opset(onnx.load_from_string(data), name)
    try:
        network = _network(model, name)
        windows = find_windows(network.rows, network.length, SAMPLE_RATE)
        spec = WaveformSpec(sample_rate=SAMPLE_RATE, frame_length=windows.length, hop_length=windows.hop)
        graph = _over_windows(model, network, windows)
    except StreamClassifyError as error:
        raise ModelError(f"front {name}: {_without(name, str(error))}") from None
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"front {name}: cannot be run on 16 kHz sound ({reason[:200]})") from None
    card = FrontCard(
        name=name.rsplit("/", 1)[-1].removesuffix(".onnx"), licence="", features=spec, width=network.width, stride=1,
        span=windows.length / SAMPLE_RATE, states=(), provenance={"output": network.output},
    )  # fmt: skip
    return Front(card, graph, hashlib.sha256(data).hexdigest()[:16])


def _network(model: onnx.ModelProto, name: str) -> _Network:
    constants = {tensor.name for tensor in model.graph.initializer}
    (value,) = [each for each in model.graph.input if each.name not in constants]
    kind = value.type.tensor_type
    sizes = [dim.dim_value or None for dim in kind.shape.dim]
    if kind.elem_type != TensorProto.FLOAT:
        raise ModelError("its input is not float32; export it so")
    if len(sizes) == 2 and sizes[0] not in (None, 1):
        raise ModelError(f"takes {sizes[0]} recordings at a time; export it for one, or for any number")
    rank, length = len(sizes), sizes[-1]
    session = create_session(model.SerializeToString(), [CPU])
    sound = np.random.default_rng(0).normal(0, 0.05, length or round(PROBE_SECONDS * SAMPLE_RATE))
    fed = sound.astype(np.float32)
    names = [each.name for each in session.get_outputs()]
    found = zip(names, session.run(names, {value.name: fed if rank == 1 else fed[None]}), strict=True)
    widths = {name: rows.shape[1] for name, array in found if (rows := _as_rows(array, rank)) is not None}
    if not widths:
        raise ModelError("no output of it is rows of numbers, (frames, numbers) or (batch, frames, numbers)")
    output = max(widths, key=lambda each: ("embed" in each.lower(), widths[each]))
    return _Network(value.name, rank, length, output, widths[output], session)


def _as_rows(array: Any, rank: int) -> Array | None:
    """(R, D) of an output, or None where it is something else."""
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        return None
    if rank == 2:
        array = array[0] if array.ndim in (2, 3) and len(array) == 1 else None
    if array is None or array.ndim not in (1, 2) or array.shape[-1] < 2:
        return None
    return np.atleast_2d(array)


def _at_opset(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model in operators of a version that the head can stand beside."""
    others = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if others:
        raise ModelError(
            f"front {name}: has operators of {', '.join(sorted(others))}; export it without them"
        )
    version = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    if version < OPSET:
        try:
            model = version_converter.convert_version(model, OPSET)
        except Exception as error:  # a C++ exception of the converter's own
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"front {name}: is of opset {version}, and cannot be brought to {OPSET} ({reason[:120]}); "
                f"export it with opset {OPSET}"
            ) from None
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", max(version, OPSET)))
    return model


def _over_windows(model: onnx.ModelProto, network: _Network, windows: Windows) -> onnx.ModelProto:
    """(features (N, T, W)) -> (embedding (N, T, D)): the network on each frame, alone, so that no other changes it."""
    used = onnx.utils.Extractor(model).extract_model([network.input], [network.output])
    part = compose.add_prefix(used, NET).graph
    width, length = network.width, windows.length
    entry = helper.make_node("Identity", ["row"], [NET + network.input])
    if network.rank == 2:
        entry = helper.make_node("Unsqueeze", ["row", "first"], [NET + network.input])
    body = helper.make_graph(
        [entry, *part.node, helper.make_node("Reshape", [NET + network.output, "flat"], ["numbers"])],
        "window",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [length])],
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [width])],
        [
            *part.initializer,
            numpy_helper.from_array(np.array([0], np.int64), "first"),
            numpy_helper.from_array(np.array([width], np.int64), "flat"),
        ],
    )
    nodes = [
        helper.make_node("Shape", ["features"], ["streams_and_frames"], end=2),
        helper.make_node("Concat", ["streams_and_frames", "width"], ["shape"], axis=0),
        helper.make_node("Reshape", ["features", "windows"], ["each"]),
        helper.make_node("Scan", ["each"], ["rows"], body=body, num_scan_inputs=1),
        helper.make_node("Reshape", ["rows", "shape"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "front",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", "T", length])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", "T", width])],
        [
            numpy_helper.from_array(np.array([width], np.int64), "width"),
            numpy_helper.from_array(np.array([-1, length], np.int64), "windows"),
        ],
    )
    made = helper.make_model(graph, opset_imports=list(model.opset_import))
    made.ir_version = max(IR, model.ir_version)
    onnx.checker.check_model(made, full_check=True)
    return made


def _without(name: str, text: str) -> str:
    """A message without what stands before it already."""
    return text.removeprefix(f"model {name}: ")
