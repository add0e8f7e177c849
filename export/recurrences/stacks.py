"""Frames that are put together again, in order and all of them, are the tensor they were cut from."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.recurrences.unrolled import Frame, Unrolled


def join_stacks(graph: Unrolled) -> onnx.ModelProto:
    """The graph with tensors in place of the Concat of all their frames, and without what is then unused."""
    made = {name: node for node in graph.model.graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    arrays: list[onnx.TensorProto] = []
    for node in graph.model.graph.node:
        if node.op_type != "Concat" or not graph.varying.intersection(node.output):
            nodes.append(node)
            continue
        axis = next(a.i for a in node.attribute if a.name == "axis")
        axis %= graph.values(node.output[0])[0].ndim
        inputs = _joined(graph, made, node, axis, nodes, arrays)
        if inputs == list(node.input):
            nodes.append(node)
        elif len(inputs) == 1:
            nodes.append(helper.make_node("Identity", inputs, list(node.output), name=node.name))
        else:
            nodes.append(helper.make_node("Concat", inputs, list(node.output), name=node.name, axis=axis))
    return pruned(graph.model, nodes, arrays)


def _joined(
    graph: Unrolled,
    made: dict[str, onnx.NodeProto],
    node: onnx.NodeProto,
    axis: int,
    nodes: list[onnx.NodeProto],
    arrays: list[onnx.TensorProto],
) -> list[str]:
    """Inputs of a Concat, with whole tensors in place of their frames."""
    inputs, k = [], 0
    given = list(node.input)
    while k < len(given):
        found = _element(graph, made, given[k], axis)
        if found is not None and found[0].index == 0:
            frame, kept = found
            size = graph.values(frame.source)[0].shape[frame.axis]
            part = [_element(graph, made, name, axis) for name in given[k : k + size]]
            if part == [(Frame(frame.source, frame.axis, i, frame.width), kept) for i in range(size)]:
                inputs.append(_moved(graph, frame, kept, axis, f"{node.output[0]}.{k}", nodes, arrays))
                k += size
                continue
        inputs.append(given[k])
        k += 1
    return inputs


def _element(
    graph: Unrolled, made: dict[str, onnx.NodeProto], name: str, axis: int
) -> tuple[Frame, bool] | None:
    """The frame that an input of a Concat is, and whether the axis of the Concat is one the frame has itself."""
    node = made.get(name)
    if node is not None and node.op_type == "Unsqueeze" and node.input[0] in graph.frames:
        frame = graph.frames[node.input[0]]
        rank = graph.values(name)[0].ndim
        if frame.width == 0 and [int(a) % rank for a in graph.values(node.input[1])[0].reshape(-1)] == [axis]:
            return frame, False
    frame_of = graph.frames.get(name)
    if frame_of is not None and frame_of.width == 0 and graph.values(name)[0].shape[axis] == 1:
        return frame_of, True
    if frame_of is not None and frame_of.width == 1 and frame_of.axis == axis:
        return frame_of, False
    return None


def _moved(
    graph: Unrolled,
    frame: Frame,
    kept: bool,
    axis: int,
    hint: str,
    nodes: list[onnx.NodeProto],
    arrays: list[onnx.TensorProto],
) -> str:
    """The source of frames with its axis of frames where the Concat has it."""
    name = frame.source
    rank = graph.values(name)[0].ndim
    order = [i for i in range(rank) if i != frame.axis]
    order.insert(axis, frame.axis)
    if order != list(range(rank)):
        nodes.append(
            helper.make_node("Transpose", [name], [f"{hint}.moved"], name=f"{hint}.moved", perm=order)
        )
        name = f"{hint}.moved"
    if kept:
        arrays.append(numpy_helper.from_array(np.array([axis + 1], np.int64), f"{hint}.axis"))
        nodes.append(
            helper.make_node("Squeeze", [name, f"{hint}.axis"], [f"{hint}.joined"], name=f"{hint}.joined")
        )
        name = f"{hint}.joined"
    return name


def pruned(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], arrays: list[onnx.TensorProto]
) -> onnx.ModelProto:
    """The model with these nodes and further constants: in this order as far as possible, nothing unused."""
    made = {name: node for node in nodes for name in node.output if name}
    order: list[onnx.NodeProto] = []
    done: set[int] = set()
    waiting = [(node, False) for node in reversed(nodes)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            order.append(node)
        elif id(node) not in done:
            done.add(id(node))
            waiting.append((node, True))
            waiting.extend((made[name], False) for name in node.input if name in made)
    needed = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(order):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    order = kept[::-1]
    used = {name for node in order for name in node.input}
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:], changed.graph.initializer[:]
    changed.graph.node.extend(order)
    changed.graph.initializer.extend(t for t in [*model.graph.initializer, *arrays] if t.name in used)
    return changed
