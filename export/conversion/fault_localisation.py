"""Which layer is at fault, when a comparison fails, and which of several exporters' faults to tell."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from export.conversion.step_runner import StreamRunner
from export.streaming import Streaming
from export.streaming.alignment import Alignment
from export.streaming.node import Node
from export.streaming.probe import open_session
from stream.errors import ExportError, NotStreamable, ParityError

Array = NDArray[Any]
_RELATIVE_TOLERANCE = 1e-4  # of the largest value of a tensor
# What says more of an exporter's graph than of the network.
_OF_THE_GRAPH = ("does not run at other lengths", "loops and branches in the graph", "there is no rule")


def first_different_layer(streaming: Streaming, x: Array) -> str:
    """The layer from which on the streaming graph differs from the offline graph.

    Args:
        x: (N, T, F) features, T a multiple of the stride and at least 40 steps.
    """
    made = {name for node in streaming.model.graph.node for name in node.output}
    alignments = [
        t
        for t in streaming.alignments.values()
        if t.name in made
        and t.source in streaming.labels
        and not t.summary
        and t.time is not None
        and not t.open
        and t.every == 1  # else most rows are none of the offline tensor's
        and not t.band
    ]
    whole = all_tensors(streaming.offline, [t.source for t in alignments], x)
    runner = StreamRunner(streaming.model, streaming.states, [t.name for t in alignments])
    state = runner.initial(len(x))
    chunks: list[list[Array]] = []
    for size in _pieces(x.shape[1], streaming.stride):
        _, state, values = runner.step(x[:, size[0] : size[1]], state)
        chunks.append(values)
    for i, alignment in enumerate(alignments):
        rows = np.concatenate([values[i] for values in chunks], axis=alignment.real_time)
        if _differs(alignment, rows, whole[alignment.source]):
            return streaming.labels[alignment.source]
    return "the output"


def _pieces(frames: int, step: int) -> list[tuple[int, int]]:
    edges = [0, 3 * step, 4 * step, 11 * step, frames]
    return list(itertools.pairwise(edges))


def _differs(alignment: Alignment, rows: Array, whole: Array) -> bool:
    time = alignment.time
    assert time is not None
    rows, whole = np.moveaxis(rows, time, 0), np.moveaxis(whole, time, 0)
    whole = whole[: len(whole) - max(alignment.surplus, 0)]
    first = max(alignment.lag, 0)  # streaming rows before have no counterpart
    rows, whole = rows[first:], whole[max(-alignment.lag, 0) :]
    count = min(len(rows), len(whole))
    a, b = rows[:count].astype(np.float64), whole[:count].astype(np.float64)
    return not _near(a, b)


def _near(a: Array, b: Array) -> bool:
    """Equal up to rounding, and both without a number at the same places."""
    finite = np.isfinite(b)
    if not np.array_equal(np.isfinite(a), finite):
        return False
    a, b = a[finite], b[finite]
    limit = _RELATIVE_TOLERANCE * (1 + np.abs(b).max(initial=0.0))
    return bool(np.abs(a - b).max(initial=0.0) <= limit)


def first_not_finite(streaming: Streaming, x: Array) -> str:
    """The first layer of the offline graph that makes something that is no number of numbers; "" if none.

    Args:
        x: (N, T, F) features.
    """
    model = streaming.offline
    names = [name for node in model.graph.node for name in node.output if name]
    values = all_tensors(model, names, x)
    values[model.graph.input[0].name] = x
    values.update({t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer})
    for proto in model.graph.node:
        given, made = ([values[name] for name in names if name] for names in (proto.input, proto.output))
        if given and _numbers(given) and not _numbers(made):
            return Node(proto).label
    return ""


def _numbers(values: list[Array]) -> bool:
    return all(np.isfinite(each).all() for each in values if each.dtype.kind == "f")


def all_tensors(
    model: onnx.ModelProto, names: list[str], x: Array, states: Mapping[str, Array] | None = None
) -> dict[str, Array]:
    """Inner tensors of a graph by name, for features (N, T, F) and the states that it takes."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    values = open_session(exposed).run(None, {model.graph.input[0].name: x, **(states or {})})
    return dict(zip(names, values, strict=True))


def locate_exporter_fault(network: nn.Module, offline: onnx.ModelProto, x: Array, prefix: str = "net") -> str:
    """The first layer whose output in the offline graph is not what torch computes; "" if none.

    Layouts differ between the two, so outputs are compared as sorted numbers.
    """
    seen: list[tuple[str, Array]] = []

    def remember(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            if isinstance(first, torch.Tensor):
                seen.append((name, np.sort(first.detach().numpy().reshape(-1))))

        return hook

    leaves = [
        (n, m)
        for n, m in network.named_modules()
        if n and not list(m.children()) and not isinstance(m, torch.jit.ScriptModule)  # which take no hooks
    ]
    handles = [m.register_forward_hook(remember(n.removeprefix(prefix + "."))) for n, m in leaves]
    try:
        with torch.no_grad():
            network(torch.from_numpy(x))
    finally:
        for handle in handles:
            handle.remove()
    nodes = [Node(proto) for proto in offline.graph.node]
    names = [name for node in nodes if node.path for name in node.outputs if name]
    values = all_tensors(offline, names, x)
    for layer, expected in seen:
        candidates = [
            np.sort(values[name].reshape(-1))
            for node in nodes
            if node.path == layer
            for name in node.outputs
            if name
        ]
        candidates = [c for c in candidates if c.shape == expected.shape]
        if candidates and not any(_near(c, expected) for c in candidates):
            return f"layer '{layer}' ({type(network.get_submodule(f'{prefix}.{layer}')).__name__})"
    return ""


def most_helpful(faults: Sequence[ExportError]) -> ExportError:
    """The fault that helps most: a refusal that names a layer, then one that says what the network does, then others.

    Args:
        faults: one of each exporter, in the order they were tried.
    """
    for kind in (NotStreamable, ParityError):
        found = [fault for fault in faults if isinstance(fault, kind)]
        told = [fault for fault in found if not any(words in str(fault) for words in _OF_THE_GRAPH)] or found
        if told:
            return next((fault for fault in told if str(fault).startswith("layer")), told[0])
    reasons = "; ".join(str(fault) for fault in faults)
    return ExportError(f"torch cannot export this network: {reasons}")
