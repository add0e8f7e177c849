"""What a model file is: card, operators, states, parameters, work per frame, latency. Needs numpy and onnxruntime."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stream.inference.card import GOLDEN_KEY, StateSpec
from stream.inference.onnx_file import read_model_file, scan
from stream.inference.options import CPU, create_session, session_options
from stream.inference.session import Model

_RECURRENT = ("RNN", "GRU", "LSTM", "DynamicQuantizeLSTM")
_PRODUCTS = ("MatMul", "Gemm", "MatMulInteger")


def describe(path: str | Path) -> dict[str, Any]:
    """Everything worth knowing about a model file, ready for JSON.

    Args:
        path: an ONNX file with a card.

    Returns:
        file: path, bytes, sha256, whether it carries golden vectors.
        card: the card without its states.
        states: name, shape (-1 = streams), dtype, start value, bytes a stream.
        graph: operators and how often, parameters, macs_per_frame (multiplications of weights, at one step).
        latency: seconds. ``window``: a frame is known this long after it began; ``step``: rows of probabilities
            come this often; ``delay``: they lag by this; ``warmup``: before the first one that counts.
        receptive_field: frames and seconds (None = all since the start), and ``noticed``: frames after which a
            disturbed frame moves no probability by more than 0.001.

    Raises:
        ModelError: the file cannot be used.
    """
    data = read_model_file(path)
    model = Model(data, str(path), "cpu")
    card = model.card
    spec = card.features
    field = card.receptive_field
    rate = spec.frame_rate
    fields = {k: v for k, v in msgspec.to_builtins(card).items() if k != "states"}
    return {
        "file": {
            "path": str(path),
            "bytes": len(data),
            "sha256": model.sha256,
            "golden": GOLDEN_KEY in scan(data, str(path)),
        },
        "card": fields,
        "states": [_state(state) for state in card.states],
        "graph": _graph(data, model),
        "latency": {
            "window": spec.span / spec.sample_rate,
            "step": card.stride / rate,
            "delay": card.delay * card.stride / rate,
            "warmup": card.warmup / rate,
        },
        "receptive_field": {
            "frames": field,
            "seconds": None
            if field is None
            else ((field - 1) * spec.hop_length + spec.span) / spec.sample_rate,
            "noticed": noticed_frames(model),
        },
    }


def noticed_frames(model: Model, frames: int = 1000, threshold: float = 1e-3, seed: int = 0) -> int:
    """Frames for which a disturbed frame still moves a probability by more than ``threshold``, found by trying."""
    card = model.card
    frames = max(frames // card.stride, 1) * card.stride
    rng = np.random.default_rng(seed)
    calm = rng.standard_normal((1, frames, card.features.width)).astype(np.float32)
    disturbed = calm.copy()
    disturbed[:, : card.stride] += 3
    (a, _), (b, _) = (model.step(x, model.initial_state(1)) for x in (calm, disturbed))
    moved = np.flatnonzero(np.abs(a - b).max(axis=(0, 2)) > threshold)
    return int(moved[-1] + 1) * card.stride if len(moved) else 0


def _state(state: StateSpec) -> dict[str, Any]:
    values = prod(size for size in state.shape if size != -1)
    return {
        "name": state.input,
        "shape": list(state.shape),
        "dtype": state.dtype,
        "start": state.init if isinstance(state.init, float) else "stored values",
        "bytes": values * np.dtype(state.dtype).itemsize,
    }


def _graph(data: bytes, model: Model) -> dict[str, Any]:
    steps = _profile(data, model)
    return {
        "operators": dict(sorted(Counter(step["op_name"] for step in steps).items())),
        "parameters": sum(_weights(step) for step in steps),
        "macs_per_frame": sum(_macs(step) for step in steps) / model.card.stride,
    }


def _profile(data: bytes, model: Model) -> list[dict[str, Any]]:
    """One step as ONNX Runtime's profiler saw it: operator, shapes and sizes of every node, nothing optimised."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "step")
        options.graph_optimization_level = type(options.graph_optimization_level).ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights are not reported
        session = create_session(data, [CPU], options)
        card = model.card
        feed: dict[str, Any] = {s.input: s.initial(1) for s in card.states}
        feed[card.input] = np.zeros((1, card.stride, card.features.width), np.float32)
        session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    return [e["args"] for e in events if e["name"].endswith("_kernel_time") and e["args"].get("op_name")]


def _weights(step: dict[str, Any]) -> int:
    """Stored float numbers of one node; what is stored as int64 are axes and shapes."""
    stored = int(step.get("parameter_size") or 0)
    integers: int = sum(8 * prod(entry["int64"]) for entry in step["input_type_shape"] if "int64" in entry)
    return int(max(stored - integers, 0) // 4)


def _shapes(step: dict[str, Any], key: str) -> list[list[int]]:
    return [shape for entry in step[key] for shape in entry.values()]


def _macs(step: dict[str, Any]) -> int:
    """Multiplications of a weight with a value in one node."""
    op = step["op_name"]
    inputs, outputs = _shapes(step, "input_type_shape"), _shapes(step, "output_type_shape")
    if op in _PRODUCTS:
        return prod(outputs[0]) * inputs[0][-1]
    if op == "Conv":
        weight = inputs[1]
        return prod(outputs[0]) * prod(weight[1:])
    if op in _RECURRENT:
        rows, streams = inputs[0][:2]
        return rows * streams * (prod(inputs[1]) + prod(inputs[2]))
    return 0
