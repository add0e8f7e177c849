"""Find the loops of a graph that are recurrent layers, put operators in their place, and compare both graphs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.streaming.loops.cells import FRAME, Cell, read_cell
from export.streaming.loops.forms import Body, NoForm, evaluate
from export.streaming.loops.rows import Row, read_row
from export.streaming.probe import open_session

Array = NDArray[Any]
TOLERANCE = 1e-5
_LENGTHS = (2, 7, 200)  # of a free sequence, in the comparison


@dataclass(frozen=True)
class _Step:
    """A loop as a recurrent layer.

    Attributes:
        sequence: tensor (T, N, F) outside.
        cell: the operator.
        initial: tensors (N, H) outside: h, and c.
        rows: outputs of the loop that are made of all values of h.
        final: outputs of the loop that are the last values -> position among the operator's outputs.
        passed: outputs of the loop that are tensors from outside -> which.
        length: number of steps where it is a constant.
    """

    sequence: str
    cell: Cell
    initial: list[str]
    rows: list[Row]
    final: dict[str, int]
    passed: dict[str, str]
    length: int | None
    time_axis: int = 0


class _Outside:
    """The graph around the loops: which tensors are constant, and which are used."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 17)
        self._values: dict[str, Array | None] = {
            t.name: numpy_helper.to_array(t) for t in model.graph.initializer
        }
        self._makers = {name: node for node in model.graph.node for name in node.output if name}
        uses: Counter[str] = Counter(o.name for o in model.graph.output)
        for node in model.graph.node:
            uses.update(node.input)
            for attribute in node.attribute:
                uses.update(name for inner in attribute.g.node for name in inner.input)
        self.used = {name for name, count in uses.items() if count}

    def value(self, name: str, depth: int = 0) -> Array | None:
        """A constant; None for what depends on the input, or is far from constants."""
        if name not in self._values:
            self._values[name] = None
            node = self._makers.get(name)
            graphs = node is not None and any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute)
            if node is not None and not graphs and depth < 20:
                inputs = [self.value(each, depth + 1) if each else None for each in node.input]
                if all(v is not None for v, each in zip(inputs, node.input, strict=True) if each):
                    try:
                        self._values.update(zip(node.output, evaluate(node, inputs, self.opset), strict=True))
                    except NoForm:
                        return None
        return self._values[name]


def fuse_loops(model: onnx.ModelProto, some: bool = False) -> onnx.ModelProto:
    """The graph with every loop that is a step of SimpleRNN, GRU or LSTM as that operator.

    A graph without such loops is returned as it is, and so is one that would give other results with the operators:
    whoever needs it without loops refuses it then. Where the number of steps was a constant, the input's length is
    freed.

    Args:
        model: an offline graph.
        some: other loops may stay, and those do whose operator would cost bit-equality of chunks.
    """
    loops = [node for node in model.graph.node if node.op_type in ("Loop", "Scan")]
    if not loops:
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    lengths: set[int] = set()
    for node in model.graph.node:
        try:
            step = _read(node, _Outside(model)) if node.op_type in ("Loop", "Scan") else None
        except (NoForm, ValueError, LookupError):  # a body of another shape than any step
            step = None
        if some and step is not None and step.cell.op == "RNN":
            step = None  # the operator's last bits depend on the length of a chunk; a loop's do not
        if step is None:
            nodes.append(node)
            continue
        nodes.extend(_written(node, step, changed.graph))
        lengths.update([step.length] if step.length is not None else [])
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    _drop_unused(changed.graph)
    left = sum(node.op_type in ("Loop", "Scan") for node in changed.graph.node)
    if left == len(loops) or (left and not some) or not _equal(model, changed):
        return model
    if lengths:
        _free(changed.graph, lengths)
    return changed


def _read(node: onnx.NodeProto, outside: _Outside) -> _Step:
    """A Loop as a recurrent layer.

    Raises:
        NoForm: it is none.
    """
    if node.op_type != "Loop":
        return _read_scan(node, outside)
    body = next(a.g for a in node.attribute if a.name == "body")
    count = len(node.input) - 2
    carried = list(
        zip([i.name for i in body.input][2:], node.input[2:], [o.name for o in body.output][1:], strict=False)
    )
    inner = {name: maker for maker in body.node for name in maker.output if name}
    stored = {t.name: numpy_helper.to_array(t) for t in body.initializer}
    same = {name: first for name, first, last in carried if _through(inner, last) == name}

    def known(name: str) -> Array | None:
        if name in stored:
            return stored[name]
        return None if name in inner else outside.value(same.get(name, name))

    counters = {body.input[0].name}
    for name, first, last in carried:
        start, maker = outside.value(first), inner.get(_through(inner, last))
        if name not in same and start is not None and start.size == 1 and start.dtype.kind == "i":
            if not start.any() and maker is not None and _counts(maker, name, known):
                counters.add(name)
            else:
                raise NoForm
    frames = [n for n in body.node if n.op_type == "Gather" and _through(inner, n.input[1]) in counters]
    sequences = {same.get(n.input[0], n.input[0]) for n in frames}
    if len(sequences) != 1 or any(n.input[0] in inner or _axis(n) for n in frames):
        raise NoForm
    states = {
        name: f"h{i}" for i, (name, *_) in enumerate(carried) if name not in same and name not in counters
    }
    atoms = {**{n.output[0]: FRAME for n in frames}, **states}
    reader = Body(list(body.node), known, atoms, outside.opset)
    after = {states[name]: last for name, _, last in carried if name in states}
    cell = read_cell(reader, after)
    begins = {states[name]: first for name, first, _ in carried if name in states}
    ends = {
        states[name]: out for (name, *_), out in zip(carried, node.output, strict=False) if name in states
    }
    others = {out: first for (name, first, _), out in zip(carried, node.output, strict=False) if name in same}
    counted = [out for (name, *_), out in zip(carried, node.output, strict=False) if name in counters]
    if any(out in outside.used for out in counted):
        raise NoForm
    rows = []
    for result, out in zip([o.name for o in body.output][1 + count :], node.output[count:], strict=True):
        if _through(inner, result) != _through(inner, after[cell.states[0]]):
            raise NoForm
        rows.append(Row(out))
    trips = outside.value(node.input[0]) if node.input[0] else None
    return _Step(
        sequences.pop(),
        cell,
        [begins[state] for state in cell.states],
        rows,
        {ends[state]: i for i, state in enumerate(cell.states, start=1)},
        others,
        None if trips is None else int(trips.reshape(-1)[0]),
    )


def _read_scan(node: onnx.NodeProto, outside: _Outside) -> _Step:
    """A Scan over one sequence, forwards, as a recurrent layer."""
    body = next(a.g for a in node.attribute if a.name == "body")
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute if a.name != "body"}
    time_axis, *_ = settings.pop("scan_input_axes", [0])
    axes = settings.pop("scan_output_axes", None)
    if (
        settings.pop("num_scan_inputs") != 1
        or time_axis not in (0, 1)
        or any(any(v) for v in settings.values())
    ):
        raise NoForm
    count = len(node.input) - 1
    inner = {name: maker for maker in body.node for name in maker.output if name}
    stored = {t.name: numpy_helper.to_array(t) for t in body.initializer}
    names = [i.name for i in body.input]
    atoms = {name: f"h{i}" for i, name in enumerate(names[:-1])}

    def known(name: str) -> Array | None:
        if name in stored:
            return stored[name]
        return None if name in inner else outside.value(name)

    reader = Body(list(body.node), known, {**atoms, names[-1]: FRAME}, outside.opset)
    results = [o.name for o in body.output]
    after = {f"h{i}": result for i, result in enumerate(results[:count])}
    cell = read_cell(reader, after)
    last = after[cell.states[0]]
    rows = [
        read_row(body, result, last, out, axis)
        for result, out, axis in zip(
            results[count:], node.output[count:], axes or [0] * len(results[count:]), strict=True
        )
    ]
    place = {state: int(state[1:]) for state in cell.states}
    return _Step(
        node.input[count],
        cell,
        [node.input[place[state]] for state in cell.states],
        rows,
        {node.output[place[state]]: i for i, state in enumerate(cell.states, start=1)},
        {},
        None,
        time_axis,
    )


def _through(inner: dict[str, onnx.NodeProto], name: str) -> str:
    """The tensor behind operators that change nothing."""
    while name in inner and inner[name].op_type in ("Identity", "Cast"):
        name = inner[name].input[0]
    return name


def _counts(maker: onnx.NodeProto, name: str, known: Any) -> bool:
    """True for name + 1."""
    others = [known(each) for each in maker.input if each != name]
    one = others[0] if len(others) == 1 else None
    return maker.op_type == "Add" and one is not None and bool((one == 1).all())


def _axis(node: onnx.NodeProto) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "axis"), 0)


def _written(node: onnx.NodeProto, step: _Step, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The operator and what brings its tensors to the shapes that the loop had."""
    base = node.name or node.output[0]
    cell = step.cell
    arrays = {"W": cell.weight[None], "R": cell.recurrence[None], "B": cell.bias[None]}
    arrays |= {"zero": np.array([0], np.int64), "one": np.array([1], np.int64)}
    graph.initializer.extend(
        numpy_helper.from_array(array, f"{base}.{name}") for name, array in arrays.items()
    )
    made = [
        helper.make_node(
            "Unsqueeze", [first, f"{base}.zero"], [f"{base}.initial{i}"], name=f"{base}.initial{i}"
        )
        for i, first in enumerate(step.initial)
    ]
    begins = [f"{base}.initial{i}" for i in range(len(step.initial))]
    outputs = [f"{base}.rows", *(f"{base}.final{i}" for i in range(1, len(begins) + 1))]
    sequence = step.sequence
    if step.time_axis:
        sequence = f"{base}.frames"
        made.append(helper.make_node("Transpose", [step.sequence], [sequence], name=sequence, perm=[1, 0, 2]))
    inputs = [sequence, *(f"{base}.{name}" for name in "WRB"), "", *begins]
    made.append(
        helper.make_node(
            cell.op, inputs, outputs, name=f"{base}.{cell.op}", hidden_size=cell.hidden, **cell.attributes
        )
    )
    for row in step.rows:
        made += row.written(outputs[0], f"{base}.one", graph)
    made += [
        helper.make_node("Squeeze", [outputs[i], f"{base}.zero"], [out], name=out)
        for out, i in step.final.items()
        if out
    ]
    made += [
        helper.make_node("Identity", [first], [out], name=out) for out, first in step.passed.items() if out
    ]
    return made


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Leave out what no output needs: the loops' conditions and counts."""
    wanted, kept = {o.name for o in graph.output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
            for attribute in node.attribute:
                wanted.update(name for inner in attribute.g.node for name in inner.input)
    del graph.node[:]
    graph.node.extend(kept[::-1])
    stored = [t for t in graph.initializer if t.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(stored)


def _equal(first: onnx.ModelProto, second: onnx.ModelProto) -> bool:
    """Both give the same for random input, at several lengths where these are free."""
    try:
        sessions = [open_session(model) for model in (first, second)]
        names = {t.name for t in first.graph.initializer}
        inputs = [i for i in first.graph.input if i.name not in names]
        rng = np.random.default_rng(0)
        for length in _LENGTHS:
            feed = {i.name: rng.standard_normal(_shape(i, length)).astype(np.float32) for i in inputs}
            one, other = ([np.asarray(v) for v in session.run(None, feed)] for session in sessions)
            for a, b in zip(one, other, strict=True):
                if a.shape != b.shape or not np.abs(a - b).max(initial=0.0) <= TOLERANCE * max(
                    1.0, np.abs(a).max(initial=0.0)
                ):
                    return False
    except (
        Exception
    ):  # ORT's own exception classes derive from Exception only: then it is not known to be equal
        return False
    return True


def _shape(value: onnx.ValueInfoProto, length: int) -> list[int]:
    """Two streams, ``length`` where else an axis is free."""
    free = iter([2, length, length, length])
    return [d.dim_value or next(free) for d in value.type.tensor_type.shape.dim]


def _free(graph: onnx.GraphProto, lengths: set[int]) -> None:
    """Forget the length that the loops had as a constant."""
    del graph.value_info[:]
    for value in [*graph.input, *graph.output]:
        for place, dim in enumerate(list(value.type.tensor_type.shape.dim)[:-1]):
            if dim.dim_value in lengths and place:
                dim.dim_param = "time"
