"""ONNX graphs that were exported for one length or one batch: freed, and proven equal at the size they have."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.conversion.input_layout import InputLayout
from export.streaming.probe import open_session
from export.streaming.synthetic_features import synthetic_features
from stream.errors import NotStreamable

Array = NDArray[Any]
_TOLERANCE = 1e-5
_RECURRENT = {"GRU": 5, "LSTM": 5, "RNN": 5}  # place of the initial state


def fixed_sizes(model: onnx.ModelProto, layout: InputLayout) -> dict[str, int]:
    """The sizes that the input of a graph fixes: of "N" streams and "T" frames, empty if both are free."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    axes = layout.axes_of_network()
    return {
        name: dims[axis].dim_value
        for name, axis in axes.items()
        if axis < len(dims) and dims[axis].HasField("dim_value")
    }


def free(model: onnx.ModelProto, sizes: dict[str, int]) -> onnx.ModelProto:
    """A copy whose shapes take any number of streams and frames, as far as its constants let them.

    Targets of Reshape and Expand and first states of recurrent layers are freed, and the last frame is no longer taken
    by its number; shapes are forgotten.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception:  # the inference raises its own C++ types; without it nothing is known of inner shapes
        inferred = model
    shapes = {
        v.name: [d.dim_value if d.HasField("dim_value") else -1 for d in v.type.tensor_type.shape.dim]
        for v in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    }
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants.update(
                (node.output[0], numpy_helper.to_array(a.t)) for a in node.attribute if a.HasField("t")
            )
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        place = _RECURRENT.get(node.op_type)
        if node.op_type == "Reshape" and node.input[1] in constants and node.input[0] in shapes:
            target = _freed_target(constants[node.input[1]], shapes[node.input[0]], sizes)
            node.input[1] = _store(graph, f"{node.output[0]}/any_size", target)
        elif node.op_type == "Gather" and _takes_the_last(node, constants, shapes, sizes.get("T")):
            node.input[1] = _store(graph, f"{node.output[0]}/last", constants[node.input[1]] * 0 - 1)
        elif place and len(node.input) > place and node.input[place] in constants:
            nodes += _spread(graph, node, place, constants[node.input[place]])
        nodes.append(node)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    for value in [*graph.input, *graph.output]:
        for dim in value.type.tensor_type.shape.dim:
            dim.Clear()
    return changed


def _takes_the_last(
    node: onnx.NodeProto, constants: dict[str, Array], shapes: dict[str, list[int]], frames: int | None
) -> bool:
    """True for the last frame of a fixed length, taken by its number."""
    index = constants.get(node.input[1])
    if frames is None or index is None or index.size != 1 or int(index.reshape(-1)[0]) != frames - 1:
        return False
    shape = shapes.get(node.input[0])
    axis = next((int(a.i) for a in node.attribute if a.name == "axis"), 0)
    return shape is None or shape[axis] in (-1, frames)


def _freed_target(target: Array, given: list[int], sizes: dict[str, int]) -> Array:
    """The target of a Reshape with streams and frames copied from its input, or left to be computed."""
    freed = target.copy()
    whole = sizes.get("N", 1) * sizes.get("T", 1)
    for i, size in enumerate(target):
        if size > 0 and i < len(given) and given[i] == size:
            freed[i] = 0
        elif size > 1 and -1 not in freed and size in (sizes.get("T"), whole):
            freed[i] = -1
    return freed


def _spread(graph: onnx.GraphProto, node: onnx.NodeProto, place: int, state: Array) -> list[onnx.NodeProto]:
    """Operators that repeat the first state of one stream for as many as there are; in front of the layer."""
    name = node.output[0] or node.name
    made = []
    for at in range(place, min(place + 2, len(node.input)) if node.op_type == "LSTM" else place + 1):
        if not node.input[at]:
            continue
        first = _store(graph, f"{name}/first.{at}", state[:, :1])
        one, rest = _store(graph, f"{name}/one.{at}", [1]), _store(graph, f"{name}/two.{at}", [2])
        ends = [_store(graph, f"{name}/size{i}.{at}", [state.shape[i]]) for i in (0, 2)]
        made += [
            helper.make_node("Shape", [node.input[0]], [f"{name}/shape.{at}"]),
            helper.make_node("Slice", [f"{name}/shape.{at}", one, rest], [f"{name}/streams.{at}"]),
            helper.make_node(
                "Concat", [ends[0], f"{name}/streams.{at}", ends[1]], [f"{name}/full.{at}"], axis=0
            ),
            helper.make_node("Expand", [first, f"{name}/full.{at}"], [f"{name}/start.{at}"]),
        ]
        node.input[at] = f"{name}/start.{at}"
    return made


def decided(model: onnx.ModelProto, example: Array) -> onnx.ModelProto:
    """A copy without what does nothing at a fixed length: choices (Where) that it decides, casts to the same type.

    Args:
        model: takes (N, T, F) of any N.
        example: (N, T, F) float32 of its length.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    varying = {graph.input[0].name}
    for node in graph.node:
        if node.op_type not in ("Shape", "Size") and varying.intersection(node.input):
            varying.update(node.output)
    choices = [
        n for n in graph.node if n.op_type == "Cast" or (n.op_type == "Where" and n.input[0] not in varying)
    ]
    made = {name for node in graph.node for name in node.output} | {t.name for t in graph.initializer}
    names = sorted({name for n in choices for name in (*n.input, n.output[0])} & made)
    if not choices:
        return changed
    exposed = onnx.ModelProto()
    exposed.CopyFrom(changed)
    del exposed.graph.output[:]
    exposed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    found = open_session(exposed).run(None, {graph.input[0].name: np.repeat(example[:1], 2, axis=0)})
    values = dict(zip(names, found, strict=True))
    instead: dict[str, str] = {}
    for node in choices:
        first = values.get(node.input[0])
        if first is None or (node.op_type == "Where" and first.all() != first.any()):
            continue
        kept = node.input[0 if node.op_type == "Cast" else 1 if first.all() else 2]
        same = values.get(kept)
        result = values[node.output[0]]
        if same is not None and same.shape == result.shape and same.dtype == result.dtype:
            instead[node.output[0]] = instead.get(kept, kept)
    outputs = {output.name for output in graph.output}
    nodes = [n for n in graph.node if n.output[0] not in instead or n.output[0] in outputs]
    for node in nodes:
        node.input[:] = [instead.get(name, name) for name in node.input]
    del graph.node[:]
    graph.node.extend(nodes)
    return changed


def _store(graph: onnx.GraphProto, name: str, value: Any) -> str:
    array = np.asarray(value)
    array = array.astype(np.int64) if array.dtype.kind == "i" else array
    graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def check_all_frames_read(model: onnx.ModelProto, example: Array, path: str) -> None:
    """Refuse a graph of free length in which an exporter unrolled a loop for a single frame.

    Args:
        model: takes (N, T, F) of any T, as its axes say.
        example: (N, T, F) features.
        path: of the file, for the message.

    Raises:
        NotStreamable: it runs for one frame alone, or reads no other.
    """
    if model.producer_name != "pytorch" or any(
        n.op_type in ("Loop", "Scan", *_RECURRENT) for n in model.graph.node
    ):
        return
    session = open_session(model)
    name = model.graph.input[0].name
    x = np.tile(example[:1], (2, -(-48 // example.shape[1]), 1))[:, :48]
    try:
        one = session.run(None, {name: x[:, :1]})[0]
        all_frames = session.run(None, {name: x})[0]
    except Exception:  # ORT's own exception classes derive from Exception only
        all_frames = one = np.zeros(0)
        try:
            one = session.run(None, {name: x[:, :1]})[0]
        except Exception:  # it may need more frames than one; others say what it needs
            return
    if (one.shape == all_frames.shape and np.array_equal(one, all_frames)) or (
        one.size and not all_frames.size
    ):
        raise NotStreamable(
            f"{path}: reads its first frame alone: PyTorch's exporter unrolls a loop over frames for those of its "
            "example, and Keras gives it a single one where the length is free; export it with a fixed length "
            "(keras.Input((50, 40)) instead of (None, 40)): it is freed again here"
        )


def check_freed(
    original: onnx.ModelProto, freed: onnx.ModelProto, sizes: dict[str, int], example: Array, path: str
) -> None:
    """Compare a freed graph with what it was, at the size that it had, and for the beginnings of longer sequences.

    Args:
        original: takes (N, T, F) of ``sizes`` alone.
        freed: the same for any.
        sizes: as ``fixed_sizes`` gives them.
        example: (N, T, F) features.
        path: of the file, for the message.

    Raises:
        NotStreamable: they differ, or the freed graph does not run: says what is fixed and how to free it.
    """
    rng = np.random.default_rng(5)
    streams, frames = sizes.get("N", 2), sizes.get("T", 96)
    said = " and ".join(
        f"{sizes[key]} {word}{'s' * (sizes[key] != 1)}"
        for key, word in (("N", "stream"), ("T", "frame"))
        if key in sizes
    )
    way = (
        f"{path}: was exported for {said} and no other size; export it with free axes: torch.onnx.export(..., "
        "dynamic_axes={'x': {0: 'N', 1: 'T'}}), or an input signature of (None, None, F) in Keras and tf2onnx"
    )
    before, after = open_session(original), open_session(freed)
    name = (original.graph.input[0].name, freed.graph.input[0].name)
    for _ in range(3):
        x = synthetic_features(example, streams, 2 * frames, rng)
        expected = before.run(None, {name[0]: x[:, :frames]})[0]
        try:
            same = after.run(None, {name[1]: x[:, :frames]})[0]
            longer = after.run(None, {name[1]: x})[0] if "T" in sizes else same
        except Exception as error:  # ORT's own exception classes derive from Exception only
            raise NotStreamable(way) from error
        if same.shape != expected.shape or not np.abs(same - expected).max(initial=0.0) <= _TOLERANCE:
            raise NotStreamable(f"{way} (freed, it gives something else)")
        if "T" in sizes and expected.ndim > 2 and longer.shape == expected.shape:
            raise NotStreamable(way)
