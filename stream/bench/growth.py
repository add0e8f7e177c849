"""Whether a stream that goes on for ever asks for ever more memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from stream.classifier import StreamClassifier
from stream.inference.session import Model

PUSHES = 50_000
SETTLE = 2_000  # pushes after which everything that is made once has been made


def growth(model: Model, hops: Sequence[NDArray[np.float32]], pushes: int = PUSHES) -> int:
    """Bytes of Python and NumPy memory that a stream holds more after ``pushes`` further hops.

    Args:
        model: what to run.
        hops: (hop,) float32 each, pushed over and over.
        pushes: how many.
    """
    classifier, turn = StreamClassifier(model), cycle(hops)
    tracemalloc.start()
    try:
        for hop in islice(turn, SETTLE):
            classifier.push(hop)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for hop in islice(turn, pushes):
            classifier.push(hop)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
