"""Where in a list of operators the same ones come again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from export.recurrences.unrolled import Unrolled

LEAST_REPEATS = 6
_WEIGHT = 16  # values; a fixed input with more is one of the things that make an operator the same


@dataclass(frozen=True)
class Run:
    """Operators that repeat.

    Attributes:
        start: position of the first of them.
        period: how many make a repetition.
        end: position behind the last of them.
    """

    start: int
    period: int
    end: int


def runs(graph: Unrolled) -> Iterator[Run]:
    """All repetitions of at least six, those that cover most first, and of these the shortest period."""
    kinds: dict[tuple[object, ...], int] = {}
    tokens = np.array([kinds.setdefault(token(graph, node), len(kinds)) for node in graph.nodes], np.int64)
    found = []
    for period in range(1, len(tokens) // LEAST_REPEATS + 1):
        same = np.concatenate([[False], tokens[:-period] == tokens[period:], [False]])
        edges = np.flatnonzero(same[1:] != same[:-1])
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first >= (LEAST_REPEATS - 1) * period:
                found.append(Run(int(first), period, int(last) + period))
    covered: list[Run] = []
    for run in sorted(found, key=lambda r: (r.start - r.end + r.period, r.period)):
        if not any(
            run.period % other.period == 0 and other.start <= run.start and run.end <= other.end
            for other in covered
        ):
            covered.append(run)
            yield run


def token(graph: Unrolled, node: onnx.NodeProto) -> tuple[object, ...]:
    """The same for operators that do the same, whatever they read."""
    attributes = sorted((a.name, a.SerializeToString()) for a in node.attribute)
    weights = []
    for name in node.input:
        weight = 0
        if name and name not in graph.varying:
            two, three = graph.values(name)
            if two.size > _WEIGHT and two.shape == three.shape:
                weight = hash((two.shape, two.tobytes()))
        weights.append(weight)
    return (node.op_type, tuple(attributes), len(node.input), len(node.output), tuple(weights))
