"""Safe simplifications of an offline graph: nothing here changes what it computes by more than a rounding.

torch's own optimiser is not used: its rules take an addition of 1e-8 for none, and a factor of 1.000001 for 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.inliner import inline_local_functions

from export.conversion.affine import fold_affine
from export.conversion.operators import RANDOM_OPERATORS
from export.streaming.probe import open_session

Array = NDArray[Any]


def clean(model: onnx.ModelProto, examples: Sequence[Array]) -> onnx.ModelProto:
    """A simpler graph: branches that depend on sizes alone are decided, constants are computed, sequences of
    tensors become slices, BatchNorm becomes part of its convolution, and scaling part of the product behind it.

    Args:
        model: an offline graph with one input.
        examples: inputs of several sizes, of which branches are decided.
    """
    changed = inline_local_functions(model)
    _settle_branches(changed, examples)
    _name_types(changed)
    _fold_constants(changed)
    _slice_sequences(changed)
    _fold_batch_norm(changed)
    fold_affine(changed, _uses(changed))
    return changed


def _settle_branches(model: onnx.ModelProto, examples: Sequence[Array]) -> None:
    """Replace each If whose condition depends on sizes alone, and is the same for all examples, by its branch.

    The tracing exporter writes one for every squeeze of an axis whose size it does not know.
    """
    while True:
        branches = [n for n in model.graph.node if n.op_type == "If" and not _hears(model, n.input[0])]
        if not branches:
            return
        exposed = onnx.ModelProto()
        exposed.CopyFrom(model)
        del exposed.graph.output[:]
        names = list(dict.fromkeys(n.input[0] for n in branches))
        exposed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
        session = open_session(exposed)
        name = model.graph.input[0].name
        runs = [dict(zip(names, session.run(None, {name: x}), strict=True)) for x in examples]
        settled = [n for n in branches if len({bool(run[n.input[0]].item()) for run in runs}) == 1]
        if not settled:
            return
        for node in settled:
            _take(model, node, bool(runs[0][node.input[0]].item()))


def _hears(model: onnx.ModelProto, name: str) -> bool:
    """True if a tensor depends on the values of the input, not just on its sizes."""
    producers = {output: node for node in model.graph.node for output in node.output}
    waiting, seen = [name], {""}
    while waiting:
        name = waiting.pop()
        if name == model.graph.input[0].name:
            return True
        if name in seen or name not in producers:
            continue
        seen.add(name)
        node = producers[name]
        if node.op_type in ("If", "Loop", "Scan"):
            return True
        waiting += [] if node.op_type in ("Shape", "Size") else node.input
    return False


def _take(model: onnx.ModelProto, node: onnx.NodeProto, chosen: bool) -> None:
    """Put one branch of an If in its place."""
    wanted = "then_branch" if chosen else "else_branch"
    branch = next(a.g for a in node.attribute if a.name == wanted)
    place = next(i for i, each in enumerate(model.graph.node) if each.output == node.output)
    prefix = f"{node.name or node.output[0]}/"
    local = {name for each in branch.node for name in each.output} | {t.name for t in branch.initializer}
    renamed = {name: prefix + name for name in local if name}
    for inner, outer in zip(branch.output, node.output, strict=True):
        if inner.name not in local:  # the branch passes a tensor of the graph around it on
            branch.node.add(op_type="Identity", input=[inner.name], output=[outer])
        renamed[inner.name] = outer if inner.name in local else inner.name
    for tensor in branch.initializer:
        tensor.name = renamed[tensor.name]
        model.graph.initializer.append(tensor)
    nodes = list(model.graph.node)
    for each in branch.node:
        each.input[:] = [renamed.get(name, name) for name in each.input]
        each.output[:] = [renamed.get(name, name) for name in each.output]
        each.metadata_props.extend(node.metadata_props)
    nodes[place : place + 1] = list(branch.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _name_types(model: onnx.ModelProto) -> None:
    """Write CastLike, which torch.export's functions are full of, as what it is: nothing, or a Cast."""
    if not any(node.op_type == "CastLike" for node in model.graph.node):
        return
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    types.update((t.name, t.data_type) for t in graph.initializer)
    for node in model.graph.node:
        if node.op_type != "CastLike" or not types.get(node.input[1]):
            continue
        wanted = types[node.input[1]]
        same = types.get(node.input[0]) == wanted
        node.op_type = "Identity" if same else "Cast"
        del node.input[1:], node.attribute[:]
        if not same:
            node.attribute.append(onnx.helper.make_attribute("to", wanted))


def _fold_constants(model: onnx.ModelProto) -> None:
    """Compute once what depends on constants alone."""
    graph = model.graph
    known = {t.name for t in graph.initializer} | {""}
    folded = []
    for node in graph.node:
        nested = any(
            a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute
        )
        if nested or node.op_type in RANDOM_OPERATORS or not known.issuperset(node.input):
            continue
        folded.append(node)
        known.update(node.output)
    made = {name for node in folded for name in node.output if name}
    kept = [node for node in graph.node if node not in folded]
    nested_names = {name for node in kept for name in _names_inside(node)}
    wanted = made & ({o.name for o in graph.output} | {n for node in kept for n in node.input} | nested_names)
    if not wanted:
        return
    names = sorted(wanted)
    used = {name for node in folded for name in node.input}
    part = onnx.helper.make_model(
        onnx.helper.make_graph(
            folded,
            "constants",
            [],
            [onnx.helper.make_empty_tensor_value_info(name) for name in names],
            [t for t in graph.initializer if t.name in used],
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    values = open_session(part).run(None, {})
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in zip(names, values, strict=True))


def _slice_sequences(model: onnx.ModelProto) -> None:
    """Write the pieces of a SplitToSequence, as torch.export writes chunk and unbind, as slices."""
    graph = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    splits = {n.output[0]: n for n in graph.node if n.op_type == "SplitToSequence"}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        split = splits.get(node.input[0]) if node.op_type == "SequenceAt" else None
        place = constants.get(node.input[1]) if split is not None else None
        sizes = np.asarray(1)
        if split is not None and len(split.input) > 1:
            sizes = constants.get(split.input[1], np.asarray(0))
        if split is None or place is None or place < 0 or not np.all(sizes > 0):
            nodes.append(node)
            continue
        ends = np.cumsum(sizes) if sizes.ndim else sizes * np.arange(1, int(place) + 2)
        start, end = (0 if place == 0 else ends[int(place) - 1]), ends[int(place)]
        attributes = {a.name: a.i for a in split.attribute}
        axis, name = attributes.get("axis", 0), node.output[0]
        numbers = {"start": start, "end": end, "axis": axis}
        for kind, value in numbers.items():
            graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), f"{name}/{kind}"))
        inputs = [split.input[0], *(f"{name}/{kind}" for kind in numbers)]
        squeezed = len(split.input) < 2 and not attributes.get("keepdims", 1)
        piece = f"{name}/piece" if squeezed else name
        nodes.append(onnx.helper.make_node("Slice", inputs, [piece], node.name))
        if squeezed:
            nodes.append(
                onnx.helper.make_node("Squeeze", [piece, f"{name}/axis"], [name], f"{node.name}/squeeze")
            )
        for each in nodes[-1 - squeezed :]:
            each.metadata_props.extend(node.metadata_props)
    used = {name for node in nodes for name in node.input}
    del graph.node[:]
    graph.node.extend(n for n in nodes if n.op_type != "SplitToSequence" or n.output[0] in used)


def _names_inside(node: onnx.NodeProto) -> set[str]:
    """What the branches and bodies of an operator read."""
    graphs = [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    inner = [each for graph in graphs for each in graph.node]
    outputs = {o.name for graph in graphs for o in graph.output}
    return outputs | {n for each in inner for n in each.input} | {n for e in inner for n in _names_inside(e)}


def _uses(model: onnx.ModelProto) -> Counter[str]:
    """How often each tensor is read."""
    graph = model.graph
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(output.name for output in graph.output)
    uses.update(name for node in graph.node for name in _names_inside(node))
    return uses


def _fold_batch_norm(model: onnx.ModelProto) -> None:
    """Scale the weights of a convolution instead of its output; the operator left is the convolution."""
    graph = model.graph
    constants = {t.name: t for t in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    uses = _uses(model)
    for norm in [n for n in graph.node if n.op_type == "BatchNormalization"]:
        conv = producers.get(norm.input[0])
        if conv is None or conv.op_type != "Conv" or uses[norm.input[0]] != 1 or len(norm.output) > 1:
            continue
        parameters = [*conv.input[1:], *norm.input[1:]]
        if not all(name in constants for name in parameters) or any(
            a.name == "training_mode" and a.i for a in norm.attribute
        ):
            continue
        scale, shift, mean, variance = (
            numpy_helper.to_array(constants[name]).astype(np.float64) for name in norm.input[1:]
        )
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        weight = numpy_helper.to_array(constants[conv.input[1]])
        bias = (
            numpy_helper.to_array(constants[conv.input[2]]) if len(conv.input) > 2 else np.zeros(len(weight))
        )
        new = {
            "weight": weight * factor.reshape(-1, *[1] * (weight.ndim - 1)),
            "bias": (bias - mean) * factor + shift,
        }
        names = [f"{norm.output[0]}/{kind}" for kind in new]
        for name, value in zip(names, new.values(), strict=True):
            graph.initializer.append(numpy_helper.from_array(value.astype(weight.dtype), name))
        conv.input[1:] = names
        conv.output[0] = norm.output[0]
        graph.node.remove(norm)
