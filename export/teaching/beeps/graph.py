"""The detector of beeps as a streaming ONNX graph: ``scoring.py`` with its memory carried as state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.teaching.beeps import scoring
from export.teaching.beeps.template import SPEC, Span, Template
from stream.inference.card import StateSpec, pack_array

OPSET, IR = 17, 8
_END = np.iinfo(np.int64).max


def detector_graph(
    templates: Sequence[Template], thresholds: Sequence[float]
) -> tuple[onnx.ModelProto, tuple[StateSpec, ...]]:
    """(features (N, T, F), states...) -> (probs (N, T, C), states...) of C beeps, and its states."""
    write = _Writer()
    columns = [
        write.beep(f"beep{k}/", template, threshold)
        for k, (template, threshold) in enumerate(zip(templates, thresholds, strict=True))
    ]
    write.nodes.append(helper.make_node("Concat", columns, ["probs"], "probs", axis=2))

    def value(name: str, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    states: list[tuple[StateSpec, list[str | int]]] = [(s, ["N", *s.shape[1:]]) for s in write.states]
    graph = helper.make_graph(
        write.nodes,
        "beeps",
        [value("features", ["N", "T", SPEC.width]), *(value(s.input, shape) for s, shape in states)],
        [value("probs", ["N", "T", len(columns)]), *(value(s.output, shape) for s, shape in states)],
        write.constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="stream-classify"
    )
    model.ir_version = IR
    onnx.checker.check_model(model, full_check=True)
    return model, tuple(write.states)


class _Writer:
    """Nodes, constants and states."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.states: list[StateSpec] = []
        self.prefix = ""

    def beep(self, prefix: str, template: Template, threshold: float) -> str:
        """(N, T, 1) the probability of one beep."""
        self.prefix = prefix
        group = self.group(*self.frames(template), template)
        least, most = template.back
        joined = self.past(group, most, [scoring.NEVER])
        pooled = self.node("MaxPool", [joined], kernel_shape=[most - least + 1], strides=[1])
        then = self.cut(pooled, 0, -least, 2)
        both = self.node("Add", [group, then])
        lower = self.node("Min", [group, then])
        score = self.node("Add", [self.times(lower, 0.5), self.times(both, 0.25)])
        held = self.node(
            "MaxPool",
            [self.past(score, template.hold, [scoring.NEVER])],
            kernel_shape=[template.hold + 1],
            strides=[1],
        )
        logit = self.times(self.plus(held, -threshold), scoring.SLOPE)
        return self.node("Transpose", [self.node("Sigmoid", [logit])], perm=[0, 2, 1])

    def frames(self, template: Template) -> tuple[str, str]:
        """(N, T, 1) ``sounding``, and the level."""
        lines, heard = [], []
        for own, beside in template.bands:
            line = self.node("ReduceMax", [self.bands(own)], axes=[2], keepdims=1)
            around = self.times(self.total(self.bands(beside)), 1 / len(beside))
            lines.append(line)
            heard.append(self.node("Sub", [line, around]))
        weights = self.constant(template.weights)
        level = self.node("Mul", [self.node("Concat", lines, axis=2), weights])
        above = self.node("Concat", heard, axis=2)
        clear = self.on_grid(
            self.share(above, -scoring.QUIET_DB, scoring.LOUD_DB - scoring.QUIET_DB), scoring.FINE
        )
        return self.total(self.node("Mul", [clear, weights])), self.on_grid(self.total(level), scoring.FINE)

    def group(self, sounding: str, level: str, template: Template) -> str:
        """(N, 1, T) the score of a group."""
        spans = [s for part in (template.pulses, template.gaps) for row in part for s in row]
        memory = template.memory
        kernel = np.zeros((len(spans), 1, memory + 1), np.float32)
        for row, span in zip(kernel, spans, strict=True):
            row[0, memory - span.first : memory - span.last + 1] = 1
        rows = self.node("Transpose", [self.node("Concat", [sounding, level], axis=2)], perm=[0, 2, 1])
        joined = self.past(rows, memory, [0.0, scoring.BEFORE])
        sums = self.node("Conv", [joined, self.constant(np.concatenate([kernel, kernel]))], group=2)
        at = len(template.pulses) * len(template.pulses[0])
        heard = self.means(sums, 0, template.pulses, scoring.FINE)
        filled = self.means(sums, at, template.gaps, scoring.FINE)
        loud = self.means(sums, len(spans), template.pulses, scoring.COARSE)
        between = self.means(sums, len(spans) + at, template.gaps, scoring.COARSE)
        part = 1 / len(template.pulses[0])
        usual = self.times(self.total(loud), part)
        lacking = self.node("Sub", [usual, loud])
        missing = self.on_grid(
            self.share(lacking, -scoring.MISSING_DB, scoring.MISSING_RANGE_DB), scoring.FINE
        )
        lead = self.share(self.node("Sub", [between, usual]), scoring.FILLED_DB, scoring.FILLED_RANGE_DB)
        score = self.times(self.total(heard), part)
        for against, weight in (
            (self.node("ReduceMax", [missing], axes=[2], keepdims=1), scoring.WORST_MISSING),
            (self.total(missing), scoring.MEAN_MISSING * part),
            (
                self.node("ReduceMax", [self.node("Mul", [filled, lead])], axes=[2], keepdims=1),
                scoring.WORST_FILLED,
            ),
        ):
            score = self.node("Sub", [score, self.times(against, weight)])
        best = self.node("ReduceMax", [score], axes=[1], keepdims=1)
        return self.node("Squeeze", [best, self.constant(np.array([2], np.int64))])

    def means(self, sums: str, begin: int, spans: Sequence[Sequence[Span]], step: float) -> str:
        """(N, tempos, spans, T) of sums (N, all spans, T), from ``begin`` on."""
        tempos, count = len(spans), len(spans[0])
        shape = self.constant(np.array([0, tempos, count, -1], np.int64))
        part = self.node("Reshape", [self.cut(sums, begin, begin + tempos * count, 1), shape])
        lengths = np.array([[[1 / span.length] for span in row] for row in spans], np.float32)
        return self.on_grid(self.node("Mul", [part, self.constant(lengths)]), step)

    def bands(self, bands: Sequence[int]) -> str:
        """(N, T, bands) of the features."""
        taken = self.node("Gather", ["features", self.constant(np.array(bands, np.int64))], axis=2)
        return self.on_grid(taken, scoring.COARSE)

    def total(self, values: str) -> str:
        """The sum over axis 2, which stays."""
        return self.node("ReduceSum", [values, self.constant(np.array([2], np.int64))], keepdims=1)

    def on_grid(self, values: str, step: float) -> str:
        """``scoring.on_grid``."""
        return self.times(self.node("Round", [self.times(values, 1 / step)]), step)

    def past(self, values: str, frames: int, first: Sequence[float]) -> str:
        """(N, channels, T) behind the ``frames`` before it, which become state; ``first`` is what each channel was."""
        name = f"{self.prefix}past{len(self.states)}"
        rows = np.repeat(np.array(first, np.float32)[:, None], frames, axis=1)
        init = float(first[0]) if len(first) == 1 else pack_array(rows)
        self.states.append(
            StateSpec(
                input=name, output=f"{name}_out", shape=(-1, len(first), frames), batch_axis=0, init=init
            )
        )
        joined = self.node("Concat", [name, values], axis=2)
        self.nodes.append(self.cut_node(joined, f"{name}_out", -frames, _END, 2))
        return joined

    def cut(self, values: str, begin: int, end: int, axis: int) -> str:
        name = self.name("Slice")
        self.nodes.append(self.cut_node(values, name, begin, end, axis))
        return name

    def cut_node(self, values: str, output: str, begin: int, end: int, axis: int) -> onnx.NodeProto:
        limits = [self.constant(np.array([each], np.int64)) for each in (begin, end, axis)]
        return helper.make_node("Slice", [values, *limits], [output], output)

    def share(self, values: str, term: float, size: float) -> str:
        """(values + term) / size, clipped to 0 to 1."""
        whole = self.times(self.plus(values, term), 1 / size)
        return self.node("Clip", [whole, self.constant(np.float32(0)), self.constant(np.float32(1))])

    def times(self, values: str, factor: float) -> str:
        return self.node("Mul", [values, self.constant(np.float32(factor))])

    def plus(self, values: str, term: float) -> str:
        return self.node("Add", [values, self.constant(np.float32(term))])

    def constant(self, value: NDArray[Any] | np.float32) -> str:
        name = f"{self.prefix}constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def name(self, kind: str) -> str:
        return f"{self.prefix}{kind.lower()}{len(self.nodes)}"

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = self.name(kind)
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name
