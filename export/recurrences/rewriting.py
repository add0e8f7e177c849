"""One loop in place of its repetitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.recurrences.body import Body, element_type
from export.recurrences.initial import FirstFrame
from export.recurrences.iterations import Fixed, FrameOf, Loop, Made, Mismatch, Read
from export.recurrences.stacks import pruned
from export.recurrences.unrolled import Array, Unrolled

Key = tuple[int, int]  # operator of the loop, output of it
END = np.iinfo(np.int64).max


class Rewriting:
    """Writes the graph with a Scan.

    Args:
        graph: the unrolled graph.
        loop: in it.
        number: of the loop, for names.
    """

    def __init__(self, graph: Unrolled, loop: Loop, number: int) -> None:
        self.graph, self.loop = graph, loop
        self.prefix = f"loop{number}"
        self.body = Body(graph, self.prefix)
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []
        self.used = self._used_outside()
        self.before = {key: self._stands_before(key) for key in self.used}
        self.first = FirstFrame(graph, loop, [b[1] for b in self.before.values() if b is not None])
        self.types: dict[str, int] = {}

    def model(self) -> onnx.ModelProto:
        """The graph with the loop.

        Raises:
            Mismatch: the repetitions are no loop that can be carried.
        """
        states, starts = self._write_body()
        outputs = [self._outputs[key] for key in self.used]
        body = self.body.make(states, outputs, self.types)
        cuts = [self._cut(*cut) for cut in self.body.cuts]
        axes = [self._stack_axis(key) for key in self.used]
        stacks = [f"{self.prefix}.stack.{k}" for k in range(len(self.used))]
        self.nodes.append(
            helper.make_node(
                "Scan",
                [*starts, *cuts],
                [*(f"{self.prefix}.final.{k}" for k in range(len(states))), *stacks],
                name=self._name(),
                body=body,
                num_scan_inputs=len(cuts),
                scan_input_axes=[axis for _, axis, _ in self.body.cuts],
                scan_output_axes=axes,
            )
        )
        inside = self.loop.inside
        graph = self.graph.model.graph
        last = max(k for k, node in enumerate(graph.node) if id(node) in inside)
        parts = [
            [self._with_first(node, stacks, axes) for node in nodes if id(node) not in inside]
            for nodes in (graph.node[: last + 1], graph.node[last + 1 :])
        ]
        for key, stack, axis in zip(self.used, stacks, axes, strict=True):
            for t in sorted(self.used[key]):
                newest = t == self.loop.count - 1
                self._gather(stack, -1 if newest else t + self.first.shift, axis, self.loop.result(*key, t))
        return pruned(self.graph.model, [*parts[0], *self.nodes, *parts[1]], self.arrays)

    # -- what is around --------------------------------------------------------------------------------------------

    def _used_outside(self) -> dict[Key, set[int]]:
        """Results of repetitions that something outside needs, by operator, with the repetitions they are of."""
        inside = self.loop.inside
        rest = [node for node in self.graph.model.graph.node if id(node) not in inside]
        needed = {output.name for output in self.graph.model.graph.output}
        for node in reversed(rest):
            if needed.intersection(node.output):
                needed.update(node.input)
        used: dict[Key, set[int]] = {}
        for j, node in enumerate(self.loop.nodes):
            for o in range(len(node.output)):
                found = {t for t in range(self.loop.count) if self.loop.result(j, o, t) in needed - {""}}
                if found:
                    used[j, o] = found
        if not used:
            raise Mismatch("nothing of it is used")
        return used

    def _stack_axis(self, key: Key) -> int:
        """Where the frames are wanted: the axis of the stack that the results go into, or the first."""
        name = self.loop.result(*key, max(self.used[key]))
        rank = self.graph.values(name)[0].ndim
        for node in self.graph.model.graph.node:
            if name in node.input and node.op_type == "Unsqueeze":
                return int(self.graph.values(node.input[1])[0].reshape(-1)[0]) % (rank + 1)
            if name in node.input and node.op_type == "Concat":
                return int(next(a.i for a in node.attribute if a.name == "axis")) % rank
        return 0

    def _stands_before(self, key: Key) -> tuple[str, str] | None:
        """(input of a Concat, tensor it holds) right before the results of the repetitions."""
        graph = self.graph.model.graph
        made = {name: node for node in graph.node for name in node.output}
        holders = {
            name: node.output[0]
            for node in graph.node
            if node.op_type == "Unsqueeze"
            for name in node.input[:1]
        }
        first = self.loop.result(*key, 0)
        place = holders.get(first, first)
        for node in graph.node:
            if node.op_type == "Concat" and place in node.input:
                at = list(node.input).index(place)
                if at == 0:
                    return None
                name = node.input[at - 1]
                holder = made.get(name)
                held = holder.input[0] if holder is not None and holder.op_type == "Unsqueeze" else name
                return name, held
        return None

    def _with_first(self, node: onnx.NodeProto, stacks: list[str], axes: list[int]) -> onnx.NodeProto:
        """A Concat with the first of the loop's results in place of what the first frame gave on its own."""
        if self.first.treatment != "step" or node.op_type != "Concat":
            return node
        for key, stack, axis in zip(self.used, stacks, axes, strict=True):
            before = self.before[key]
            place = [self.loop.result(*key, 0)]
            place += [
                other.output[0]
                for other in self.graph.model.graph.node
                if other.op_type == "Unsqueeze" and other.input[0] == place[0]
            ]
            if before is None or before[0] not in node.input or not set(place) & set(node.input):
                continue
            changed = onnx.NodeProto()
            changed.CopyFrom(node)
            at = list(node.input).index(before[0])
            name = f"{self.prefix}.first.{stack}"
            self._gather(stack, 0, axis, name)
            if before[0] != before[1]:
                at_axis = next(a.i for a in node.attribute if a.name == "axis")
                self.nodes.append(
                    helper.make_node(
                        "Unsqueeze", [name, self._ints(at_axis)], [f"{name}.kept"], name=f"{name}.kept"
                    )
                )
                name = f"{name}.kept"
            changed.input[at] = name
            return changed
        return node

    def _name(self) -> str:
        """A name for messages: the module that all operators belong to."""
        paths = {tuple(node.name.split("/")[1:-1]) for node in self.loop.nodes if node.name.startswith("/")}
        common = next(iter(paths)) if len(paths) == 1 else ()
        what = f"loop over frames {self.prefix.removeprefix('loop')}"
        return "/".join(["", *common, what]) if common else what

    # -- the body --------------------------------------------------------------------------------------------------

    def _write_body(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Fill the body; returns (state, next state) within it, and the tensors outside to start from."""
        loop, body, first = self.loop, self.body, self.first
        for reads in loop.reads:
            for read in reads:
                if isinstance(read, FrameOf):
                    self._frame(read)
        first.reserve(body)
        first.emit(body)
        keys = self._state_keys()
        held = {key: body.fresh("state") for key in keys}
        before = dict(held)
        flag = body.fresh("first") if first.treatment != "none" else ""
        if first.treatment == "start":
            for key in keys:
                start = self.loop.starts.get(key)
                if start is not None and start in self.graph.varying:
                    like = self.loop.result(*key[:2], 1)
                    before[key] = self._choose(flag, first.tensor(body, start), held[key], like)
        made: dict[Key, str] = {}
        for j, (node, reads) in enumerate(zip(loop.nodes, loop.reads, strict=True)):
            inputs = [self._read(read, made, before) for read in reads]
            for o, name in enumerate(body.emit(node, inputs)):
                made[j, o] = name
        after = {key: made[key[:2]] if key[2] == 1 else before[*key[:2], key[2] - 1] for key in keys}
        self._outputs = {key: made[key] for key in self.used}
        if first.treatment == "step":
            self._first_step(flag, keys, after)
        for key in keys:
            kind = element_type(self.graph.values(self.loop.result(*key[:2], 1))[0])
            self.types[held[key]] = self.types[after[key]] = kind
        for out, name in self._outputs.items():
            self.types[name] = element_type(self.graph.values(self.loop.result(*out, 1))[0])
        for (source, _, _), name in body.cuts.items():
            self.types[name] = element_type(self.graph.values(source)[0])
        states = [(held[key], after[key]) for key in keys]
        starts = [self._start(key) for key in keys]
        if flag:
            self.types[flag] = TensorProto.FLOAT
            none = body.constant(np.zeros((1, 1), np.float32))
            cleared = body.one("Mul", [flag, none])
            self.types[cleared] = TensorProto.FLOAT
            states.append((flag, cleared))
            starts.append(self._for_every_stream(np.ones((1, 1), np.float32), 0, 1))
        return states, starts

    def _state_keys(self) -> list[tuple[int, int, int]]:
        keys = {
            (r.node, r.output, ago)
            for reads in self.loop.reads
            for r in reads
            if isinstance(r, Made) and r.ago
            for ago in range(1, r.ago + 1)
        }
        return sorted(keys)

    def _frame(self, read: FrameOf) -> str:
        return self.body.frame(read.source, read.axis, read.offset - self.first.shift, read.width)

    def _read(self, read: Read | None, made: dict[Key, str], before: dict[tuple[int, int, int], str]) -> str:
        if read is None:
            return ""
        if isinstance(read, FrameOf):
            return self._frame(read)
        if isinstance(read, Fixed):
            return self.body.fixed(read.name)
        if isinstance(read, Made):
            key = (read.node, read.output)
            return before[*key, read.ago] if read.ago else made[key]
        raise Mismatch("every step reads something that is made of the whole sequence")

    def _first_step(
        self, flag: str, keys: list[tuple[int, int, int]], after: dict[tuple[int, int, int], str]
    ) -> None:
        """In the first frame, the next states and the outputs are what its own step makes."""
        body, first = self.body, self.first
        for key in keys:
            start = self.loop.starts.get(key)
            if start is None:
                raise Mismatch("it looks back over several frames, and treats the first in its own way")
            like = self.loop.result(*key[:2], 1)
            after[key] = self._choose(flag, first.tensor(body, start), after[key], like)
        for out, later in self._outputs.items():
            before = self.before[out]
            name = before[1] if before is not None else self.loop.starts.get((*out, 1))
            if name is None:
                raise Mismatch("it gives nothing for the first frame")
            self._outputs[out] = self._choose(
                flag, first.tensor(body, name), later, self.loop.result(*out, 1)
            )

    def _choose(self, flag: str, first: str, later: str, like: str) -> str:
        """``first`` in the first frame, then ``later``; both shaped as a tensor of the unrolled graph."""
        axis = self.graph.batch_axis(like)
        if axis is None:
            raise Mismatch("its state has no row for each stream")
        rank = self.graph.values(like)[0].ndim
        shape = np.array([-1 if i == axis else 1 for i in range(rank)], np.int64)
        body = self.body
        yes = body.one("Greater", [flag, body.constant(np.float32(0.5))])
        yes = body.one("Reshape", [yes, body.constant(shape)])
        return body.one("Where", [yes, first, later])

    # -- start values and sequences --------------------------------------------------------------------------------

    def _start(self, key: tuple[int, int, int]) -> str:
        """A tensor outside the loop to start from, the same for every stream."""
        like = self.graph.values(self.loop.result(*key[:2], 1))
        name = self.loop.starts.get(key)
        if name is None:
            raise Mismatch("it looks back further than it has start values for")
        if name in self.graph.varying:  # replaced in the first frame
            values: tuple[Array, ...] = tuple(np.zeros(v.shape, v.dtype) for v in like)
        else:
            values = self.graph.values(name)
        try:
            two, three = (
                np.broadcast_to(v, to.shape).astype(to.dtype) for v, to in zip(values, like, strict=True)
            )
        except ValueError:
            raise Mismatch("its state changes its shape") from None
        axes = [i for i, (a, b) in enumerate(zip(two.shape, three.shape, strict=True)) if a != b]
        if not axes:
            return self._stored(two)
        axis = axes[0]
        per_stream = two.shape[axis] // 2
        row = two.take(range(per_stream), axis=axis)
        for value, streams in ((two, 2), (three, 3)):
            if not np.array_equal(np.concatenate([row] * streams, axis=axis), value):
                raise Mismatch("its start values differ between streams")
        return self._for_every_stream(row, axis, per_stream)

    def _for_every_stream(self, row: Array, axis: int, per_stream: int) -> str:
        """A tensor with ``row`` once for each stream."""
        streams = self._made("Shape", [self.graph.feature], "streams", start=0, end=1)
        if per_stream == 1:
            ones = [self._ints(1)] * row.ndim
            ones[axis] = streams
            shape = self._made("Concat", ones, "shape", axis=0)
            return self._made("Expand", [self._stored(row), shape], "start")
        ones = [self._ints(1)] * row.ndim
        ones[axis] = streams
        repeats = self._made("Concat", ones, "repeats", axis=0)
        return self._made("Tile", [self._stored(row), repeats], "start")

    def _cut(self, source: str, axis: int, offset: int) -> str:
        """The sequence whose row t is frame t + offset of the source."""
        size = self.graph.values(source)[0].shape[axis]
        stop = offset + self.loop.count + self.first.shift - size
        if offset < 0 or stop > 0:
            raise Mismatch("it reads before the beginning or behind the end")
        if offset == 0 and stop == 0:
            return source
        ends = self._ints(stop if stop else END)
        return self._made("Slice", [source, self._ints(offset), ends, self._ints(axis)], "frames")

    def _gather(self, source: str, index: int, axis: int, output: str) -> None:
        at = self._stored(np.array(index, np.int64))
        self.nodes.append(
            helper.make_node("Gather", [source, at], [output], name=f"{output}.frame", axis=axis)
        )

    def _made(self, op: str, inputs: list[str], hint: str, **attrs: Any) -> str:
        name = f"{self.prefix}.{hint}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attrs))
        return name

    def _ints(self, value: int) -> str:
        return self._stored(np.array([value], np.int64))

    def _stored(self, value: Array) -> str:
        name = f"{self.prefix}.k.{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name
