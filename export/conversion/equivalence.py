"""Prove that a streaming graph equals the network it came from. Nothing is exported unless every check passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.conversion.fault_localisation import worst_layer
from export.conversion.step_runner import StreamRunner
from export.streaming import Streaming
from export.streaming.synthetic_features import draw_like
from stream.errors import ParityError

Array = NDArray[Any]
TOLERANCE = 1e-5
_FORBIDDEN = frozenset(["Loop", "Scan", "If"])


@dataclass(frozen=True)
class Check:
    """One comparison: what, and the largest absolute difference of a probability."""

    name: str
    difference: float


@dataclass(frozen=True)
class Proof:
    """All comparisons of an export.

    Attributes:
        checks: in the order made.
        exact: every chunking and batch gave the same bits.
        frames: length of the sequences compared.
    """

    checks: tuple[Check, ...]
    exact: bool
    frames: int

    @property
    def worst(self) -> float:
        return max(check.difference for check in self.checks)


@dataclass(frozen=True)
class Reference:
    """The network as it was.

    Attributes:
        whole: (N, T, F) float32 -> its output, whole sequence, before any appended activation.
        activation: appended to the streaming graph: "softmax", "sigmoid" or None.
        culprit: names a layer whose offline graph differs from the network, given (N, T, F).
    """

    whole: Callable[[Array], Array]
    activation: str | None = None
    culprit: Callable[[Array], str] | None = None


def prove(
    streaming: Streaming,
    reference: Reference,
    example: Array,
    *,
    frames: int = 6000,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> Proof:
    """Compare, with features of the example's level, for several chunkings, batch sizes and states.

    Args:
        example: (N, T, F) features; the proof runs on mixtures of its frames.
        frames: length of the sequences; 6000 is 60 s at 100 frames a second.

    Raises:
        ParityError: names the check, the difference and the worst layer.
    """
    check_inventory(streaming.model)
    runner = StreamRunner(streaming.model, streaming.states)
    rng = np.random.default_rng(seed)
    frames = max(frames // streaming.stride, 1) * streaming.stride
    checks: list[Check] = []
    same: list[bool] = []
    for name, difference, internal in _run(_comparisons(streaming, reference, runner, example, frames, rng)):
        if not difference <= tolerance:  # also catches NaN
            own = 0.0 if internal else _restlessness(streaming, reference, example, frames, rng)
            if own > max(tolerance / 2, difference / 50):  # faults move answers by thousands of roundings
                raise ParityError(
                    f"the network turns a rounding of its input into {own:.2g} after a while, so {name} differs by "
                    f"{difference:.2g}, allowed {tolerance:g}; nothing was written; train it to be stable: stronger "
                    "weight decay, fewer units, or gru or lstm instead of a plain rnn"
                )
            x = draw_like(example, 2, 40 * streaming.stride, rng)
            layer = (reference.culprit and reference.culprit(x)) or worst_layer(streaming, x)
            raise ParityError(
                f"{layer}: {name} differs by {difference:.2g} from the original, allowed {tolerance:g}; "
                "nothing was written; replace this layer, or report it with the network"
            )
        checks.append(Check(name, difference))
        same.append(not internal or difference == 0)
    return Proof(tuple(checks), all(same), frames)


Comparison = tuple[str, float, bool]  # name, difference, True if both sides are our own answers


def _run(comparisons: Iterator[Comparison]) -> Iterator[Comparison]:
    """The same; a graph that ONNX Runtime cannot run is reported as what it is, unproven."""
    while True:
        try:
            comparison = next(comparisons)
        except StopIteration:
            return
        except Exception as error:  # ORT's own exception classes derive from Exception only
            reason = str(error).strip().splitlines()[-1]
            raise ParityError(
                f"the streaming graph does not run ({reason[:300]}); nothing was written"
            ) from error
        yield comparison


def _comparisons(
    streaming: Streaming,
    reference: Reference,
    runner: StreamRunner,
    example: Array,
    frames: int,
    rng: np.random.Generator,
) -> Iterator[Comparison]:
    """Every check."""
    step = streaming.stride
    for batch, name, sizes in (
        (1, "the whole sequence at once", [frames]),
        (2, "one step at a time", [step]),
        (5, "random chunks", (step * rng.integers(1, 30, 499)).tolist()),
    ):
        x = draw_like(example, batch, frames, rng)
        rows, _ = runner.run(x, sizes)
        yield f"{name}, {batch} stream(s)", against_whole(streaming, reference, x, rows), False
        if batch == 5:
            yield from _between(runner, x, rows, sizes, step)
    yield from _from_states(runner, example, step, rng)


def _between(
    runner: StreamRunner, x: Array, rows: Array, sizes: list[int], step: int
) -> Iterator[Comparison]:
    """Streams alone against in a batch, and chunkings against each other."""
    alone, _ = runner.run(x[2:3], sizes)
    yield "a stream alone against among others", _difference(alone, rows[2:3]), True
    half = len(x[0]) // 2 // step * step
    others = np.concatenate([x[:2, :half][:, ::-1], x[2:3, :half], x[3:, :half][:, ::-1]])
    beside, _ = runner.run(others, sizes)
    yield "a stream beside different ones", _difference(beside[2], rows[2, : half // step]), True
    whole, _ = runner.run(x, [x.shape[1]])
    yield "chunks against the whole", _difference(whole, rows), True


def _from_states(
    runner: StreamRunner, example: Array, step: int, rng: np.random.Generator
) -> Iterator[Comparison]:
    """From a state reached and from a disturbed one, chunkings must agree."""
    x = draw_like(example, 3, 200 * step, rng)
    _, reached = runner.run(x, [step * 7])
    disturbed = tuple(
        (v + 0.1 * rng.standard_normal(v.shape)).astype(v.dtype) if v.dtype == np.float32 else v
        for v in reached
    )
    for name, state in (("a reached state", reached), ("a disturbed state", disturbed)):
        whole, _ = runner.run(x, [x.shape[1]], state)
        for what, sizes in (("steps", [step]), ("chunks", (step * rng.integers(1, 30, 99)).tolist())):
            rows, _ = runner.run(x, sizes, state)
            yield f"{what} against the whole from {name}", _difference(rows, whole), True


def _restlessness(
    streaming: Streaming, reference: Reference, example: Array, frames: int, rng: np.random.Generator
) -> float:
    """How far the network's own answers move when every feature changes in its last bit."""
    x = draw_like(example, 5, frames, rng)
    calm = _offline(streaming, reference, x)
    nudged = [np.nextafter(x, np.float32(end), dtype=np.float32) for end in (np.inf, -np.inf)]
    return max(_difference(_offline(streaming, reference, each), calm) for each in nudged)


def against_whole(streaming: Streaming, reference: Reference, x: Array, rows: Array) -> float:
    """Largest difference between streaming rows (N, rows, C) and the offline network on the same features."""
    if streaming.summary:
        return max(
            _difference(_offline(streaming, reference, x[:, :n])[:, -1], rows[:, n // streaming.stride - 1])
            for n in _lengths(streaming, x.shape[1])
        )
    whole = _offline(streaming, reference, x)
    late = streaming.delay
    count = min(whole.shape[1] - max(streaming.output.surplus, 0), rows.shape[1] - late)
    if count < 1:
        return float("inf")
    return _difference(rows[:, late : late + count], whole[:, :count])


def _lengths(streaming: Streaming, frames: int) -> list[int]:
    """Lengths at which a network with one answer a sequence is asked: the first ones, some, the last."""
    step = streaming.stride
    first = streaming.warmup * step + step
    picks = [first, first + step, first + 2 * step, *np.geomspace(first + 3 * step, frames, 7).astype(int)]
    return sorted({min(int(n) // step * step, frames) for n in picks})


def _offline(streaming: Streaming, reference: Reference, x: Array) -> Array:
    """The network's answer as (N, rows, C) probabilities."""
    y = np.asarray(reference.whole(np.ascontiguousarray(x)))
    track, classes = streaming.output, streaming.n_classes
    if streaming.summary:
        rows = np.moveaxis(y, track.batch, 0).reshape(len(x), 1, classes)
    elif track.time is None:
        rows = y.reshape(len(x), -1, classes)
    else:
        rows = np.moveaxis(y, (track.batch, track.time), (0, 1))
        rows = rows.reshape(len(x), rows.shape[1], classes)
    if reference.activation == "softmax":
        odds = np.exp(rows - rows.max(axis=-1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=-1, keepdims=True))
    if reference.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-rows)))
    return rows


def _difference(a: Array, b: Array) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float(np.abs(a.astype(np.float64) - b).max(initial=0.0))


def check_inventory(model: onnx.ModelProto, from_torch: bool = False) -> None:
    """What a streaming graph must never hold, whatever it computes.

    Raises:
        ParityError: a loop or branch, an operator of another domain, a literal batch or length, or a GRU from torch
            without linear_before_reset (how an exporter once went silently wrong).
    """
    for node in model.graph.node:
        if node.op_type in _FORBIDDEN:
            raise ParityError(
                f"operator '{node.name}' ({node.op_type}): loops and branches have no place in a step"
            )
        if node.domain not in ("", "ai.onnx"):
            raise ParityError(
                f"operator '{node.name}' ({node.domain}): only standard operators run everywhere"
            )
        if node.op_type == "GRU" and from_torch:
            flags = [a.i for a in node.attribute if a.name == "linear_before_reset"]
            if flags != [1]:
                raise ParityError(
                    f"operator '{node.name}' (GRU): torch's GRU needs linear_before_reset=1; upgrade onnxscript"
                )
    if any(entry.domain not in ("", "ai.onnx") for entry in model.opset_import):
        raise ParityError("the graph imports operators of another domain; only standard ones run everywhere")
    for axis in (0, 1):
        if not model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param:
            raise ParityError("the graph fixes its batch or length; both must stay free")
