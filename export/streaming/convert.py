"""Walk the offline graph from input to output and write the streaming graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.ending import ends_in
from export.streaming.memory import delay
from export.streaming.node import Node
from export.streaming.normalise import normalise
from export.streaming.probe import Probe
from export.streaming.rules import RULES
from export.streaming.rules.sparse import SPARSE, refuse_sparse
from export.streaming.writer import Writer
from stream.errors import NotStreamable
from stream.inference.card import Activation, StateSpec

Array = NDArray[Any]
Lookahead = Literal["refuse", "delay"]


@dataclass(frozen=True)
class Streaming:
    """A streaming graph and what is known about it.

    Attributes:
        model: (features (N, T, F), states...) -> (output (N, T / stride, C), states...).
        offline: the normalised offline graph it was made from, (N, T, F) -> whatever it gives.
        states: carried tensors.
        n_classes: C.
        stride: feature frames an output row; T must be a multiple of it.
        delay: output rows by which scores are late (0 unless lookahead was allowed).
        warmup: output rows at the start without meaning.
        receptive_field: feature frames that can influence an output row; None = unbounded.
        summary: the offline graph has one output for the whole sequence.
        output: alignment of the output.
        alignments: of every tensor, for fault localisation.
        labels: offline tensor -> layer that makes it, in topological order.
        window: frames that attention over time looks at, at most; 0 if there is none.
        activated: the offline graph ends in the activation; else it was appended.
    """

    model: onnx.ModelProto
    offline: onnx.ModelProto
    states: tuple[StateSpec, ...]
    n_classes: int
    stride: int
    delay: int
    warmup: int
    receptive_field: int | None
    summary: bool
    output: Alignment
    alignments: dict[str, Alignment]
    labels: dict[str, str]
    window: int = 0
    activated: bool = field(default=False)


def streamify(
    offline: onnx.ModelProto,
    example: Array,
    *,
    lookahead: Lookahead = "refuse",
    activation: Activation | None = None,
    features: str = "features",
    output: str = "probs",
    opset: int = 17,
) -> Streaming:
    """Turn an offline graph into one that carries its left context as state.

    Args:
        offline: one input (N, T, F) float32 with free N and T; first output is used.
        example: (N, T, F) float32, features of realistic level.
        lookahead: "refuse" layers that need frames to come, or "delay" the answer until they have come.
        activation: appended along the classes unless the graph already ends in it; None = as it is. A graph that ends
            in another one is refused.
        features, output: names in the new graph.
        opset: 17 to 21.

    Raises:
        NotStreamable: names the layer, the reason and what to use instead.
    """
    model = normalise(offline, opset)
    nodes = [Node(proto) for proto in model.graph.node]
    probe = Probe(model, example)
    target = model.graph.output[0].name
    needed = _needed(nodes, target)
    ctx, labels = _walk(needed, probe, target, opset, features)
    finest = ctx.alignment(target).rate.denominator
    if any(finest % t.rate.denominator for t in ctx.alignments.values()):  # subsampled, and repeated later
        ctx, labels = _walk(needed, probe, target, opset, features, finest)
    write, axes = ctx.write, ctx.alignments[model.graph.input[0].name].axes
    alignment = _causal(ctx, ctx.alignment(target), lookahead)
    name = _as_rows(ctx, alignment)
    n_classes = int(np.prod([a.size for a in alignment.axes if a.kind == "fixed"], dtype=np.int64))
    activated = ends_in(ctx, target, activation)
    if activation and not activated:
        name = _activate(ctx, name, activation)
    return Streaming(
        model=write.model(ctx.features, axes[2].size, name, write.fresh(output), n_classes),
        offline=model,
        states=tuple(write.states),
        n_classes=n_classes,
        stride=_stride(alignment),
        delay=alignment.lag,
        warmup=alignment.lag if not alignment.summary else max(alignment.warmup, 0),
        receptive_field=_receptive_field(alignment),
        summary=alignment.summary,
        output=alignment,
        alignments=dict(ctx.alignments),
        labels=labels,
        window=max(t.band for t in ctx.alignments.values()),
        activated=activated,
    )


def _needed(nodes: list[Node], target: str) -> list[Node]:
    """Nodes whose values the output depends on, in order; a tensor of which only the shape is asked is none."""
    wanted, kept = {target}, []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            if node.op not in ("Shape", "Size"):
                wanted.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _walk(
    nodes: list[Node], probe: Probe, target: str, opset: int, features: str, finest: int | None = None
) -> tuple[Context, dict[str, str]]:
    """Write the streaming graph up to the target; returns it and the labels of layers.

    Args:
        finest: see Context.
    """
    write = Writer(opset)
    ctx = Context(nodes, probe, write, write.fresh(features))
    ctx.finest = finest
    source = probe.input
    axes = probe.axes(source)
    assert axes is not None
    ctx.set(Alignment(source=source, name=ctx.features, axes=axes))
    labels = {}
    for node in nodes:
        if node.op in ("Shape", "Size") or not any(ctx.varies(name) for name in node.inputs):
            continue  # depends on the length only: the probe knows its value
        if ctx.passes_refusal(node):
            continue
        rule = RULES.get(node.op)
        if rule is None:
            ctx.refuse(node, f"there is no rule to stream {node.op}", "use standard layers")
        if node.op not in SPARSE and any(t.every > 1 for t in ctx.moving(node)):
            refuse_sparse(ctx, node)
        try:
            rule(ctx, node)
        except (LookupError, ValueError, TypeError, AssertionError) as error:  # a shape nobody thought of
            raise NotStreamable(
                f"{node.label}: in this form there is no rule to stream it ({type(error).__name__}: "
                f"{str(error).splitlines()[0] if str(error) else 'unexpected axes'}); write it with standard layers"
            ) from error
        labels.update({name: node.label for name in node.outputs if name})
    if not ctx.varies(target):
        raise NotStreamable("the output does not depend on the input; check the model")
    if ctx.alignment(target).every > 1:
        producer = ctx.producer(target)
        assert producer is not None
        refuse_sparse(ctx, producer)
    return ctx, labels


def _causal(ctx: Context, alignment: Alignment, lookahead: Lookahead) -> Alignment:
    """Give the output the lag it may have: none, or a stated delay."""
    if alignment.lag > 0 and lookahead == "refuse":
        more = ceil(alignment.lag / alignment.rate)
        raise NotStreamable(
            f"{alignment.lookahead_layer}, the output {more}; pad on the left only (kernel_size - 1 frames), "
            f"or export with lookahead='delay' and scores {more} frame(s) late"
        )
    if alignment.lag < 0:
        producer = ctx.producer(alignment.source)
        assert producer is not None
        return delay(ctx, producer, alignment, -alignment.lag)
    return alignment


def _as_rows(ctx: Context, alignment: Alignment) -> str:
    """Bring the output to (N, rows, C)."""
    write, axes = ctx.write, alignment.axes
    wide = [i for i, a in enumerate(axes) if a.kind == "fixed" and a.size != 1]
    producer = ctx.producer(alignment.source)
    label = producer.label if producer else alignment.source
    if len(wide) > 1 or any(isinstance(f, int) for f in alignment.fold) or alignment.outer > 1:
        sizes = " x ".join(str(axes[i].size) for i in wide) or "several rows"
        raise NotStreamable(
            f"{label}: the output has {sizes} values a frame; give one vector of class scores"
        )
    n_classes = axes[wide[0]].size if wide else 1
    if not alignment.open and alignment.time is None:
        streams = write.one("Shape", [ctx.features], "streams", start=0, end=1)
        if alignment.fold != ("N", "T"):
            raise NotStreamable(f"{label}: time is folded before the batch; fold as (batch * time)")
        shape = write.one("Concat", [streams, write.ints(-1, n_classes)], "shape", axis=0)
        return write.one("Reshape", [alignment.name, shape], "rows")
    rank = len(axes) + (1 if alignment.open else 0)
    batch, time = alignment.real(alignment.batch), alignment.real_time
    order = [batch, time] + [i for i in range(rank) if i not in (batch, time)]
    name = alignment.name
    if order != list(range(rank)):
        name = write.transpose(name, order, "rows")
    if rank != 3:
        name = write.one("Reshape", [name, write.ints(0, 0, n_classes)], "rows")
    return name


def _activate(ctx: Context, name: str, activation: Activation) -> str:
    if activation == "softmax":
        return ctx.write.one("Softmax", [name], "softmax", axis=-1)
    return ctx.write.one("Sigmoid", [name], "sigmoid")


def _stride(alignment: Alignment) -> int:
    if alignment.rate.numerator != 1:
        raise NotStreamable(f"the output has {alignment.rate} rows a frame; remove the upsampling")
    return alignment.rate.denominator


def _receptive_field(alignment: Alignment) -> int | None:
    if alignment.first is None:
        return None
    return ceil(alignment.last - alignment.first) + 1
