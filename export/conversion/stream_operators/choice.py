"""Whether a streaming graph is written with operators for streams: where these are quicker, by measured time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper
from onnx.inliner import inline_local_functions

from export.conversion.step_runner import StreamRunner
from export.conversion.stream_operators import causal_convolution, linear_attention
from export.conversion.stream_operators.plain_graph import PlainGraph
from export.conversion.stream_operators.replacement import DOMAIN, replaced
from export.streaming import Streaming

OPSET = 1
OPERATORS = {each.NAME: each for each in (linear_attention, causal_convolution)}
# An operator must take at most this share of the plain form's time: what is about even is written in plain ones.
WORTHWHILE = 0.95
TURNS = 200
LEAST_TURNS = 11
MOST_SECONDS = 1.0  # for a comparison


def with_stream_operators(
    model: onnx.ModelProto, names: Collection[str] = frozenset(OPERATORS)
) -> onnx.ModelProto | None:
    """The streaming graph with the operators of these names, wherever they compute the same; None if nowhere.

    Args:
        model: of plain operators.
        names: LinearAttention, CausalConvWithState.
    """
    graph = PlainGraph(model)
    found = {name: OPERATORS[name].find(graph) for name in OPERATORS if name in names}
    used = [name for name in found if found[name]]
    if not used:
        return None
    changed = replaced(model, [each for name in used for each in found[name]])
    standard = [each for each in model.opset_import if each.domain in ("", "ai.onnx")]
    changed.opset_import.append(helper.make_opsetid(DOMAIN, OPSET))
    changed.functions.extend(OPERATORS[name].meaning(standard) for name in used)
    return changed


def quickest(made: Streaming, streams: int) -> frozenset[str]:
    """The operators that make a step of so many streams quicker here, each for itself.

    Args:
        streams: that one session runs at once, N.
    """
    chosen = set()
    for name in OPERATORS:
        model = with_stream_operators(made.model, [name])
        if model is not None and share_of_time(replace(made, model=model), made, streams) <= WORTHWHILE:
            chosen.add(name)
    return frozenset(chosen)


def share_of_time(changed: Streaming, plain: Streaming, streams: int) -> float:
    """Time of a step of ``changed`` as a share of that of ``plain``: the median of pairs, one step of each in turn."""
    x = np.random.default_rng(0).normal(size=(streams, plain.stride, _width(plain.model)))
    x = x.astype(np.float32)
    runners = [StreamRunner(each.model, each.states) for each in (changed, plain)]
    states = [runner.initial(streams) for runner in runners]
    shares: list[float] = []
    end = time.perf_counter() + MOST_SECONDS
    while len(shares) < LEAST_TURNS or (len(shares) < TURNS and time.perf_counter() < end):
        took = []
        for index, runner in enumerate(runners):
            began = time.perf_counter()
            _, states[index], _ = runner.step(x, states[index])
            took.append(time.perf_counter() - began)
        shares.append(took[0] / took[1])
    return statistics.median(shares)


def forms_of(made: Streaming, names: Collection[str]) -> Iterator[Streaming]:
    """What a runtime may make of the graph with these operators: the graph with their meaning put in their place, then
    with the operators. Without any, the graph as it is."""
    model = with_stream_operators(made.model, names)
    if model is None:
        yield made
        return
    plain = inline_local_functions(model)
    standard = [each for each in plain.opset_import if each.domain != DOMAIN]
    del plain.opset_import[:]
    plain.opset_import.extend(standard)
    yield replace(made, model=plain)
    yield replace(made, model=model)


def _width(model: onnx.ModelProto) -> int:
    return int(model.graph.input[0].type.tensor_type.shape.dim[2].dim_value)
