"""Run the offline graph at several sizes, read every tensor, and conclude what each axis and constant is.

Measuring is more reliable than shape algebra: exporters compute shapes in dozens of ways, and a hard-coded length
shows up as a run that fails.
"""

from __future__ import annotations

import logging
import re
from math import lcm, prod
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper

from export.streaming.axes import Axes, classify
from export.streaming.node import Node
from export.streaming.synthetic_features import synthetic_features
from stream.errors import ExportError, NotStreamable
from stream.inference.options import CPU, create_session, session_options

logger = logging.getLogger(__name__)
Array = NDArray[Any]
STREAMS = (2, 2, 3, 2)  # of the runs


class Probe:
    """Values and axes of every tensor of an offline graph.

    Args:
        model: normalised graph with one input (N, T, F).
        example: (N, T, F) float32 features of realistic level; the probe runs on synthetic features made of them.

    Raises:
        ExportError: ONNX Runtime cannot load the graph.
        NotStreamable: the graph runs only at the length or batch size it was exported with.
    """

    def __init__(self, model: onnx.ModelProto, example: Array) -> None:
        self.initializers = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        exposed = onnx.ModelProto()
        exposed.CopyFrom(model)
        names = [name for node in model.graph.node for name in node.output if name]
        del exposed.graph.output[:]
        exposed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
        try:
            self._session = open_session(exposed)
        except Exception as error:  # ORT's own exception classes derive from Exception only
            raise ExportError(f"ONNX Runtime cannot load the offline graph: {str(error)[:300]}") from error
        self._names = names
        self._model = model
        self._nodes = list(model.graph.node)
        self.input = model.graph.input[0].name
        self.output = model.graph.output[0].name
        self._noise = np.random.default_rng(20240131)
        self._example = example
        self._runs = self._explore(self._stride_bound())

    def _explore(self, stride: int) -> list[dict[str, Array]]:
        problem = ""
        for base in (stride, 8 * stride, 35 * stride):
            lengths = (2 * base, 3 * base)
            try:
                sizes = (lengths[0], lengths[1], lengths[0], lengths[0])
                runs = [self._run(streams, size) for streams, size in zip(STREAMS, sizes, strict=True)]
            except Exception as error:  # ORT's own exception classes derive from Exception only
                problem = problem or str(error).strip().splitlines()[-1]
                continue
            self.lengths = lengths
            return runs
        raise NotStreamable(
            f"{self._layer_named_in(problem)}: does not run at other lengths or batch sizes than it was exported with; "
            "export it with dynamic batch and time axes, and keep sizes out of its code"
        )

    def _stride_bound(self) -> int:
        """A multiple of the network's total stride: the steps of all windows over time, and 48 for frame stacking."""
        stepping = {
            node.output[0]: steps[0]
            for node in self._nodes
            for steps in [[list(a.ints) for a in node.attribute if a.name == "strides"]]
            if steps and max(steps[0], default=1) > 1
        }
        moving = [max(steps) for steps in stepping.values()]
        for length in (48, 480, 4800) if stepping else ():
            try:
                feeds = [synthetic_features(self._example, 2, n * length, self._noise) for n in (1, 2)]
                shapes = [
                    [v.shape for v in self._session.run(list(stepping), {self.input: feed})] for feed in feeds
                ]
            except Exception as error:  # ORT's own exception classes derive from Exception only
                logger.debug("at %d frames: %s", length, error)
                continue
            moving = [
                step
                for steps, before, after in zip(stepping.values(), *shapes, strict=True)
                for step, a, b in zip(steps, before[2:], after[2:], strict=True)
                if a != b
            ]
            break
        total = prod(moving)
        return lcm(48, total) if total <= 20_000 else lcm(48, *moving)

    def _layer_named_in(self, problem: str) -> str:
        """The layer that a message of ONNX Runtime names."""
        named = re.search(r"Name:'([^']*)'", problem)
        node = next((n for n in self._nodes if named and n.name == named[1]), None)
        return Node(node).label if node is not None else f"the offline graph ({problem[:200]})"

    def _run(self, batch: int, length: int) -> dict[str, Array]:
        feed = synthetic_features(self._example, batch, length, self._noise)
        values = self._session.run(None, {self.input: feed})
        return {self.input: feed, **dict(zip(self._names, values, strict=True))}

    def value(self, name: str, run: int = 0) -> Array:
        """A tensor as it came out in one run, or a stored constant."""
        return self.initializers[name] if name in self.initializers else self._runs[run][name]

    def values(self, name: str) -> list[Array]:
        """The tensor in all runs: (2, short), (2, long), (3, short), (2, short) with other data."""
        return [self.value(name, run) for run in range(4)]

    def longer(self, name: str, length: int) -> Array | None:
        """A tensor that depends on the length alone, at another one; None if it does not run there."""
        wanted, nodes = {name}, []
        for node in reversed(self._nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                nodes.append(node)
        graph = onnx.helper.make_graph(
            nodes[::-1],
            "part",
            list(self._model.graph.input),
            [onnx.helper.make_empty_tensor_value_info(name)],
            [t for t in self._model.graph.initializer if t.name in wanted],
        )
        part = onnx.helper.make_model(
            graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version
        )
        feed = synthetic_features(self._example, 1, length, self._noise)
        try:
            return np.asarray(open_session(part).run(None, {self.input: feed})[0])
        except Exception as error:  # ORT's own exception classes derive from Exception only
            logger.debug("%s at %d frames: %s", name, length, error)
            return None

    def axes(self, name: str) -> Axes | None:
        """Meaning of each axis; None if sizes follow no rule the streaming graph can keep."""
        small, longer, wider = (self.value(name, run).shape for run in range(3))
        if not len(small) == len(longer) == len(wider):
            return None
        axes = tuple(classify(a, b, c, self.lengths) for a, b, c in zip(small, longer, wider, strict=True))
        return None if any(axis is None for axis in axes) else axes  # type: ignore[return-value]

    def fixed(self, name: str) -> Array | None:
        """The value if it depends on neither sound, length nor batch; else None."""
        first, *others = self.values(name)
        return first if all(np.array_equal(first, other) for other in others) else None


def open_session(model: onnx.ModelProto, optimise: bool = False) -> ort.InferenceSession:
    """A CPU session as the runtime makes it; graph optimisations are off, so that every tensor keeps its name."""
    options = session_options()
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session: ort.InferenceSession = create_session(model.SerializeToString(), [CPU], options)
    return session
