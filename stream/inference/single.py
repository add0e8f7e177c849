"""The same graph for one stream and one frame, without the nodes that then do nothing.

A recurrent operator wants (time, batch, features), everything else here is (batch, time, features). Where both are 1
such a transposition moves nothing, and the last row of a recurrent operator (Y_h) is all it gave (Y). Each such node
costs a step of a small network as much as a tenth of its arithmetic, so they are taken out: no number changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stream.inference.wire import Field, Malformed, fields, text, view, write_bytes, write_field, write_text

Shapes = Mapping[str, tuple[int, ...]]
_RECURRENT = {"GRU", "LSTM", "RNN"}
_ADDED = "one_step."  # begins the names that are made here


@dataclass
class _Node:
    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, list[int] | str]
    rest: list[Field]  # all but the names of inputs and outputs

    @classmethod
    def read(cls, data: memoryview) -> _Node:
        node = cls("", [], [], {}, [])
        for part in fields(data):
            number, _, value = part
            if number == 1:
                node.inputs.append(text(value))
            elif number == 2:
                node.outputs.append(text(value))
            else:
                node.rest.append(part)
                if number == 4:
                    node.kind = text(value)
                elif number == 5:
                    name, content = _attribute(view(value))
                    node.attributes[name] = content
        return node

    def write(self) -> bytes:
        names = [write_text(1, name) for name in self.inputs] + [write_text(2, name) for name in self.outputs]
        return b"".join([*names, *(write_field(part) for part in self.rest)])


def for_one_step(model: bytes, shapes_of: Callable[[bytes, Sequence[str]], Shapes]) -> bytes | None:
    """The model as it may be run on one frame of one stream.

    Args:
        model: an ONNX file that ONNX Runtime loads, with free axes N and T.
        shapes_of: given a model and names of some of its outputs, the shapes they have where N = T = 1.

    Returns:
        Another model of the same inputs and outputs that gives the same for N = T = 1, and is wrong for any other;
        None if nothing can be left out.
    """
    try:
        parts = list(fields(memoryview(model)))
        at = next(i for i, (number, wire, _) in enumerate(parts) if number == 7 and wire == 2)
        graph = list(fields(view(parts[at][2])))
        nodes = [_Node.read(view(value)) for number, _, value in graph if number == 1]
        outputs = [_name(view(value)) for number, _, value in graph if number == 12]
    except (Malformed, StopIteration):  # then it is ONNX Runtime's to say what is wrong with it
        return None

    def rebuilt(nodes: Sequence[_Node], more: Sequence[str] = ()) -> bytes:
        others = [write_field(part) for part in graph if part[0] != 1]
        others += [write_bytes(12, write_text(1, name)) for name in more]
        new = b"".join([*(write_bytes(1, node.write()) for node in nodes), *others])
        return b"".join(write_bytes(7, new) if i == at else write_field(p) for i, p in enumerate(parts))

    asked = _asked(nodes)
    if not asked:
        return None
    unseen = [name for name in asked if name not in outputs]
    left = _without(nodes, outputs, shapes_of(rebuilt(nodes, unseen), asked))
    return rebuilt(left) if len(left) < len(nodes) else None


def _asked(nodes: Sequence[_Node]) -> list[str]:
    """Names whose shapes tell which nodes do nothing."""
    rows = {node.outputs[0] for node in nodes if _plain(node)}
    names: dict[str, None] = {}
    for node in nodes:
        if node.kind == "Transpose" or (node.kind == "Squeeze" and node.inputs[0] in rows):
            names |= dict.fromkeys((node.inputs[0], node.outputs[0]))
    made = {
        name for node in nodes for name in node.outputs
    }  # an input of the graph cannot be an output of it
    return [name for name in names if name in made]


def _without(nodes: Sequence[_Node], outputs: Sequence[str], shapes: Shapes) -> list[_Node]:
    same: dict[str, str] = {}  # a name whose node goes: the one that has its value
    last = {node.outputs[0]: node for node in nodes if _plain(node)}
    left: list[_Node] = []
    for node in nodes:
        node.inputs = [same.get(name, name) for name in node.inputs]
        first, out = node.inputs[0] if node.inputs else "", node.outputs[0]
        if out in outputs:  # its name is wanted
            pass
        elif node.kind == "Transpose" and _moves_nothing(node, shapes.get(out)):
            same[out] = first
            continue
        elif node.kind == "Squeeze" and first in last:
            size = shapes.get(first, ())
            if size[:3] == (1, 1, 1) and shapes.get(out) == size[1:]:
                same[out] = _last_row(last[first])
                continue
        left.append(node)
    used = {*outputs, *(name for node in left for name in node.inputs)}
    for name, node in last.items():
        if name not in used:
            node.outputs[0] = ""
    return left


def _plain(node: _Node) -> bool:
    """A recurrent operator that reads forward, time first, all of every sequence."""
    lengths = node.inputs[4] if len(node.inputs) > 4 else ""
    return (
        node.kind in _RECURRENT
        and lengths == ""
        and node.attributes.get("layout", [0]) == [0]
        and node.attributes.get("direction", "forward") == "forward"
        and node.outputs[0] != ""
    )


def _last_row(node: _Node) -> str:
    """The name of a recurrent operator's Y_h, given to it if it has none."""
    node.outputs += [""] * (2 - len(node.outputs))
    node.outputs[1] = node.outputs[1] or _ADDED + node.outputs[0]
    return node.outputs[1]


def _moves_nothing(node: _Node, after: tuple[int, ...] | None) -> bool:
    """Whether a Transpose whose output has the shape ``after`` only changes places of axes of size one."""
    axes = node.attributes.get("perm")
    if after is None or not isinstance(axes, list) or sorted(axes) != list(range(len(after))):
        return False
    before = [after[axes.index(axis)] for axis in range(len(after))]
    long = [axis for axis in axes if before[axis] != 1]
    return tuple(before) == after and long == sorted(long)


def _name(port: memoryview) -> str:
    """Name of a ValueInfoProto."""
    return next((text(value) for number, _, value in fields(port) if number == 1), "")


def _attribute(data: memoryview) -> tuple[str, list[int] | str]:
    """Name and value of an AttributeProto: whole numbers as a list, text as text, anything else as []."""
    name, numbers, words = "", list[int](), None
    for number, wire, value in fields(data):
        if number == 1:
            name = text(value)
        elif number == 4:
            words = text(value)
        elif number in (3, 8) and wire == 0 and isinstance(value, int):
            numbers.append(value)
        elif number == 8:
            raise Malformed("packed")  # allowed, but nobody writes it
    return name, numbers if words is None else words
