"""Context: what a rule sees and may do while the offline graph is walked from input to output."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from export.streaming.alignment import Alignment
from export.streaming.axes import MOVING, Axes, Axis, find
from export.streaming.node import Node
from export.streaming.probe import Probe
from export.streaming.writer import Writer
from stream.errors import NotStreamable

Array = NDArray[Any]
_MOVES = ("Cast", "Expand", "Identity", "Squeeze", "Tile", "Transpose", "Unsqueeze")
WHOLE = "it needs the whole sequence"


class Context:
    """The offline graph as measured, the streaming graph as written so far, and the alignments between them.

    Attributes:
        probe: values and axes of the offline tensors.
        write: the streaming graph.
        alignments: offline tensor name -> Alignment, for tensors that depend on the sound.
        features: name of the streaming graph's feature input (N, T, F).
        finest: the most frames that a block may have to hold: those of an output row; None = any number.
    """

    def __init__(self, nodes: list[Node], probe: Probe, write: Writer, features: str) -> None:
        self.probe = probe
        self.write = write
        self.features = features
        self.alignments: dict[str, Alignment] = {}
        self.finest: int | None = None
        self._nodes = nodes
        self._producers = {name: node for node in nodes for name in node.outputs if name}
        self._refusals: dict[str, NotStreamable] = {}

    # -- reading ---------------------------------------------------------------------------------------------------

    def producer(self, name: str) -> Node | None:
        return self._producers.get(name)

    def users(self, name: str) -> list[Node]:
        """The nodes that read the tensor."""
        return [node for node in self._nodes if name in node.inputs]

    def after(self, node: Node) -> list[Node]:
        """The nodes behind this one."""
        return self._nodes[self._nodes.index(node) + 1 :]

    def in_blocks(self, rate: Fraction) -> bool:
        """True if a stream may hand over as many frames at once as rows of this rate need."""
        return self.finest is None or self.finest % rate.denominator == 0

    def used(self, name: str) -> bool:
        """True if the output depends on the tensor."""
        return name == self.probe.output or any(name in node.inputs for node in self._nodes)

    def feeds(self, name: str, *ops: str) -> bool:
        """True if the tensor goes into one of these operators."""
        return any(node.op in ops and name in node.inputs for node in self._nodes)

    def varies(self, name: str) -> bool:
        """True if the tensor depends on the sound (not just on its length)."""
        return name in self.alignments or name in self._refusals

    def alignment(self, name: str) -> Alignment:
        if name in self._refusals:
            raise self._refusals[name]
        return self.alignments[name]

    def moving(self, node: Node) -> list[Alignment]:
        """The inputs of a node that depend on the sound and may be used."""
        return [self.alignments[name] for name in node.inputs if name in self.alignments]

    def axes(self, node: Node, name: str) -> Axes:
        axes = self.probe.axes(name)
        if axes is None:
            self.refuse(
                node,
                "it mixes time with another axis, or its size is no fixed multiple of the length",
                "keep time an axis of its own",
            )
        return axes

    def fixed(self, node: Node, name: str) -> Array:
        """Value of a parameter; refused if it depends on the length or the sound."""
        value = None if self.varies(name) else self.probe.fixed(name)
        if value is None:
            self.refuse(node, "a parameter of it is computed from the sequence", "use a constant")
        return value

    def refuse(self, node: Node, reason: str, advice: str) -> NoReturn:
        raise NotStreamable(f"{node.label}: {reason}; {advice}")

    def refuse_later(self, name: str, node: Node, reason: str, advice: str) -> None:
        """Refuse when, and only when, this output is used."""
        self._refusals[name] = NotStreamable(f"{node.label}: {reason}; {advice}")

    def refused(self, name: str) -> bool:
        """True if the tensor can be used by those alone who know what it is."""
        return name in self._refusals

    def passes_refusal(self, node: Node) -> bool:
        """True if the node only moves a tensor that is refused when used: so is its result."""
        if node.op not in _MOVES or node.inputs[0] not in self._refusals:
            return False
        self._refusals[node.output] = self._refusals[node.inputs[0]]
        return True

    # -- writing ---------------------------------------------------------------------------------------------------

    def set(self, alignment: Alignment) -> None:
        self.alignments[alignment.source] = alignment

    def derive(self, node: Node, like: Alignment, name: str, position: int = 0, **changes: Any) -> Alignment:
        """Register an output of a node that follows its input row by row."""
        source = node.outputs[position]
        alignment = replace(like, source=source, name=name, axes=self.axes(node, source), **changes)
        if alignment.outer > 1:
            mixed = [replace(a, kind="mixed") if a.kind == "time" else a for a in alignment.axes]
            alignment = replace(alignment, axes=tuple(mixed))
        if alignment.band:
            alignment = replace(alignment, **self._keys(node, alignment))
        if alignment.edge and alignment.lag >= 0:
            alignment = replace(alignment, edge=False)
        if not alignment.summary and find(alignment.axes, *MOVING) is None:
            self.refuse(node, "time disappears in it", "keep the time axis")
        self.set(alignment)
        return alignment

    def _keys(self, node: Node, alignment: Alignment) -> dict[str, Any]:
        """Mark the axis of what rows are compared with, if there still is one."""
        times = [place for place, axis in enumerate(alignment.axes) if axis.kind == "time"]
        if len(times) < 2:
            return {"band": 0}
        if times[-1] != len(alignment.axes) - 1:
            self.refuse(node, "it moves the axis of what frames are compared with", "keep it last")
        return {"axes": (*alignment.axes[:-1], Axis("keys", alignment.band))}

    def copy(self, node: Node, inputs: list[str], count: int | None = None, **attrs: Any) -> list[str]:
        """Emit the same operator on streaming tensors; ``attrs`` replace its own, None removes one."""
        merged = {k: v for k, v in {**node.attrs, **attrs}.items() if v is not None}
        hint = node.proto.name or node.output
        return self.write.emit(node.op, inputs, hint, count or len(node.outputs), **merged)

    def lookahead_layer(self, node: Node, alignment: Alignment, lag: int, rate: Fraction) -> str:
        """Who is to be named if this lag reaches the output: the layer that first made it positive."""
        if lag <= 0:
            return ""
        if alignment.lookahead_layer:
            return alignment.lookahead_layer
        return f"{node.label}: needs {ceil(lag / rate)} future frame(s)"

    def parameter(self, node: Node, name: str) -> str:
        """A fixed input of a node, stored in the streaming graph."""
        return self.write.constant(self.fixed(node, name), name) if name else ""

    def static_operand(self, node: Node, name: str, period: int = 1) -> Array:
        """A tensor that does not depend on the sound, with batch and time axes shrunk to 1 for broadcasting.

        An axis of streams may be shrunk to ``period`` rows, if it repeats those: features are folded into it.

        Refused if it differs from frame to frame (a positional encoding) or is a number made from the length.
        """
        values = self.probe.values(name)
        fixed = self.probe.fixed(name)
        if fixed is not None:
            return fixed
        axes = self.axes(node, name)
        if all(axis.kind == "fixed" for axis in axes):
            self.refuse(
                node,
                "the length of the sequence is used as a number, which a stream does not have",
                "use mean over time instead of sum divided by length",
            )
        candidates = [_shrunk(values[0], axes, rows) for rows in sorted({1, period})]
        fitting = [c for c in candidates if all(np.array_equal(_repeated(c, v.shape), v) for v in values)]
        if not fitting:
            self.refuse(
                node,
                "it adds values that depend on the position in the sequence (positional encoding), "
                "which has no end in a stream",
                "remove them; recurrent and convolutional layers know the order without; if they are the decay of a "
                "sum, write the step as forward(x, state)",
            )
        return fitting[0]


def _shrunk(value: Array, axes: Axes, rows: int) -> Array:
    """The first ``rows`` of the axis with the streams, the first of others that are not fixed."""
    for position, axis in enumerate(axes):
        if axis.kind != "fixed":
            value = value.take(range(rows if axis.kind in ("batch", "both") else 1), axis=position)
    return value


def _repeated(value: Array, shape: tuple[int, ...]) -> Array:
    """Repeated along every axis until it has that shape; as it is if it does not fit."""
    pairs = [(long, max(short, 1)) for long, short in zip(shape, value.shape, strict=True)]
    return value if any(long % short for long, short in pairs) else np.tile(value, [a // b for a, b in pairs])
