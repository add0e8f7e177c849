"""Put loops in place of their repetitions: the unrolled graph of a short sound becomes one for any length."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from export.recurrences.iterations import Mismatch, Reader
from export.recurrences.period import runs
from export.recurrences.rewriting import Rewriting
from export.recurrences.stacks import join_stacks
from export.recurrences.unrolled import Unrolled

_MOST_LOOPS = 32
NOTHING_REPEATS = "no operators repeat from frame to frame"
_TRIED = 24  # runs of operators that are looked at for each loop


def roll(model: onnx.ModelProto, example: NDArray[np.float32]) -> tuple[onnx.ModelProto, str]:
    """Find all loops over frames.

    Args:
        model: an offline graph whose loops were traced, with one input (N, T, F).
        example: (N, L, F) float32 features of realistic level, with the length L it was traced at.

    Returns:
        The graph with a Scan for each loop, whose body refers to nothing outside, and "" or, if frames are still read
        one by one, the reason why.
    """
    problem = NOTHING_REPEATS
    for number in range(_MOST_LOOPS):
        graph = Unrolled(join_stacks(Unrolled(model, example)), example)
        model = graph.model
        if not graph.frames:
            return model, problem if number == 0 else ""
        rolled, problem = _one(graph, number)
        if rolled is None:
            break
        model = rolled
    return model, problem


def _one(graph: Unrolled, number: int) -> tuple[onnx.ModelProto | None, str]:
    """The graph with one loop more; or why there is none."""
    reader = Reader(graph)
    problem = NOTHING_REPEATS
    for tried, run in enumerate(runs(graph)):
        if tried == _TRIED:
            break
        try:
            return Rewriting(graph, reader.loop(run), number).model(), ""
        except Mismatch as mismatch:
            problem = str(mismatch) if tried == 0 else problem
    return None, problem
