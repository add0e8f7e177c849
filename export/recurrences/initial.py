"""Start values of a loop: fixed ones, and those made of the first frame."""

from __future__ import annotations

from typing import Literal

import onnx

from export.recurrences.body import Body
from export.recurrences.iterations import Loop, Mismatch
from export.recurrences.unrolled import Unrolled


class FirstFrame:
    """What a loop makes of its first frame before it repeats.

    Args:
        graph: with the loop in it.
        loop: the repetitions.
        before: tensors that stand before the outputs of the repetitions, in a stack of them.

    Attributes:
        treatment: "none"; "start": the state that the first repetition starts from is made of the frame that it
            reads; "step": the first frame has a step of its own, and the repetitions begin with the second.

    Raises:
        Mismatch: a start value is made of more than the first frame.
    """

    def __init__(self, graph: Unrolled, loop: Loop, before: list[str]) -> None:
        self.graph = graph
        self.treatment: Literal["none", "start", "step"] = "none"
        self._nodes: list[onnx.NodeProto] = []
        self._made: dict[str, str] = {}
        names = [name for name in loop.starts.values() if name in graph.varying]
        if not names:
            return
        first = min(loop.offsets)
        indices = self._collect(loop, names)
        if indices == {first}:
            self.treatment = "start"
        elif indices == {first - 1}:
            self.treatment = "step"
            if not self._collect(loop, names + before) <= {first - 1}:
                raise Mismatch("what it puts before its outputs is made of other frames than the first")
        else:
            raise Mismatch("its start value is made of several frames")

    @property
    def shift(self) -> int:
        """Steps before the first repetition."""
        return int(self.treatment == "step")

    def _collect(self, loop: Loop, names: list[str]) -> set[int]:
        """Find the operators that make these tensors; the frames they are made of."""
        graph = self.graph
        made = {name: node for node in graph.nodes for name in node.output}
        inside = loop.inside
        indices: set[int] = set()
        needed: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in needed or name not in graph.varying:
                continue
            needed.add(name)
            if name in graph.frames:
                indices.add(graph.frames[name].index)
                continue
            node = made.get(name)
            if node is None or id(node) in inside:
                raise Mismatch("its start value is made of the whole sequence")
            waiting.extend(node.input)
        self._nodes = [node for node in graph.nodes if needed.intersection(node.output)]
        return indices

    def reserve(self, body: Body) -> None:
        """Name the frames it reads, before anything is emitted."""
        for node in self._nodes:
            for name in node.input:
                if name in self.graph.frames:
                    self.tensor(body, name)

    def emit(self, body: Body) -> None:
        """Its operators, in the body of the loop."""
        for node in self._nodes:
            inputs = [self.tensor(body, name) if name else "" for name in node.input]
            self._made.update(zip(node.output, body.emit(node, inputs), strict=True))

    def tensor(self, body: Body, name: str) -> str:
        """The tensor of the body that stands for one of the unrolled graph."""
        if name in self._made:
            return self._made[name]
        frame = self.graph.frames.get(name)
        if frame is not None:
            return body.frame(frame.source, frame.axis, frame.index, frame.width)
        return body.fixed(name)
