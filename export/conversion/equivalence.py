"""Check that a streaming graph equals the network it came from. Nothing is exported unless every comparison passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.conversion.fault_localisation import first_different_layer
from export.conversion.operators import check_operators
from export.conversion.step_runner import StreamRunner
from export.streaming import Streaming
from export.streaming.synthetic_features import synthetic_features
from stream.errors import ParityError
from stream.inference.card import Activation

Array = NDArray[Any]
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Comparison:
    """One comparison.

    Attributes:
        name: what was compared.
        difference: largest absolute difference of a probability.
        internal: both sides are the streaming graph's own, so that not a bit should differ.
    """

    name: str
    difference: float
    internal: bool


@dataclass(frozen=True)
class EquivalenceReport:
    """All comparisons of an export.

    Attributes:
        comparisons: in the order they were made.
        frames: length of the sequences compared.
    """

    comparisons: tuple[Comparison, ...]
    frames: int

    @property
    def exact(self) -> bool:
        """Whether every chunking and batch gave the same bits."""
        return all(each.difference == 0 for each in self.comparisons if each.internal)

    @property
    def largest_difference(self) -> float:
        """Of all comparisons."""
        return max(each.difference for each in self.comparisons)


@dataclass(frozen=True)
class Reference:
    """The original network.

    Attributes:
        run: (N, T, F) float32 -> its output for whole sequences, before any appended activation.
        activation: appended to the streaming graph: "softmax", "sigmoid" or None.
        locate_fault: given (N, T, F), names a layer whose offline graph differs from the network; "" if none.
    """

    run: Callable[[Array], Array]
    activation: Activation | None = None
    locate_fault: Callable[[Array], str] | None = None


def check_equivalence(
    streaming: Streaming,
    reference: Reference,
    example: Array,
    *,
    frames: int = 6000,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> EquivalenceReport:
    """Compare the streaming graph with the network, for several chunkings, batch sizes and states.

    Args:
        streaming: the graph.
        reference: the network.
        example: (N, T, F) features; synthetic features of their level are made of them.
        frames: length of the sequences; 6000 is 60 s at 100 frames per second.
        tolerance: largest difference of a probability.
        seed: of the synthetic features.

    Raises:
        ParityError: names the comparison, the difference and the first layer that differs.
    """
    check_operators(streaming.model)
    runner = StreamRunner(streaming.model, streaming.states)
    rng = np.random.default_rng(seed)
    frames = max(frames // streaming.stride, 1) * streaming.stride
    done: list[Comparison] = []
    for each in _run(_comparisons(streaming, reference, runner, example, frames, rng)):
        if not each.difference <= tolerance:  # also catches NaN
            own = 0.0 if each.internal else _conditioning(streaming, reference, example, frames, rng)
            if own > max(
                tolerance / 2, each.difference / 50
            ):  # a fault changes scores by thousands of roundings
                raise ParityError(
                    f"the network turns a rounding of its input into {own:.2g} after a while, so {each.name} differs "
                    f"by {each.difference:.2g}, allowed {tolerance:g}; nothing was written; train it to be stable: "
                    "stronger weight decay, fewer units, or gru or lstm instead of a plain rnn"
                )
            x = synthetic_features(example, 2, 40 * streaming.stride, rng)
            layer = (reference.locate_fault and reference.locate_fault(x)) or first_different_layer(
                streaming, x
            )
            raise ParityError(
                f"{layer}: {each.name} differs by {each.difference:.2g} from the original, allowed {tolerance:g}; "
                "nothing was written; replace this layer, or report it with the network"
            )
        done.append(each)
    return EquivalenceReport(tuple(done), frames)


def _run(comparisons: Iterator[Comparison]) -> Iterator[Comparison]:
    """The comparisons one by one; ParityError if ONNX Runtime cannot run the graph."""
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
    """Every comparison."""
    step = streaming.stride
    for batch, name, sizes in (
        (1, "the whole sequence at once", [frames]),
        (2, "one step at a time", [step]),
        (5, "random chunks", (step * rng.integers(1, 30, 499)).tolist()),
    ):
        x = synthetic_features(example, batch, frames, rng)
        rows, _ = runner.run(x, sizes)
        difference = difference_from_whole(streaming, reference, x, rows)
        yield Comparison(f"{name}, {batch} stream(s)", difference, internal=False)
        if batch == 5:
            yield from _between(runner, x, rows, sizes, step)
    yield from _from_states(runner, example, step, rng)


def _between(
    runner: StreamRunner, x: Array, rows: Array, sizes: list[int], step: int
) -> Iterator[Comparison]:
    """Streams alone against in a batch, and chunkings against each other."""
    alone, _ = runner.run(x[2:3], sizes)
    yield _internal("a stream alone against among others", alone, rows[2:3])
    half = len(x[0]) // 2 // step * step
    others = np.concatenate([x[:2, :half][:, ::-1], x[2:3, :half], x[3:, :half][:, ::-1]])
    beside, _ = runner.run(others, sizes)
    yield _internal("a stream beside different ones", beside[2], rows[2, : half // step])
    whole, _ = runner.run(x, [x.shape[1]])
    yield _internal("chunks against the whole", whole, rows)


def _from_states(
    runner: StreamRunner, example: Array, step: int, rng: np.random.Generator
) -> Iterator[Comparison]:
    """Chunkings must agree from the state after some frames, and from a disturbed one."""
    x = synthetic_features(example, 3, 200 * step, rng)
    _, reached = runner.run(x, [step * 7])
    disturbed = tuple(
        (v + 0.1 * rng.standard_normal(v.shape)).astype(v.dtype) if v.dtype == np.float32 else v
        for v in reached
    )
    for name, state in (("a reached state", reached), ("a disturbed state", disturbed)):
        whole, _ = runner.run(x, [x.shape[1]], state)
        for what, sizes in (("steps", [step]), ("chunks", (step * rng.integers(1, 30, 99)).tolist())):
            rows, _ = runner.run(x, sizes, state)
            yield _internal(f"{what} against the whole from {name}", rows, whole)


def _internal(name: str, a: Array, b: Array) -> Comparison:
    return Comparison(name, _difference(a, b), internal=True)


def _conditioning(
    streaming: Streaming, reference: Reference, example: Array, frames: int, rng: np.random.Generator
) -> float:
    """How far the network's own scores change when every feature changes in its last bit."""
    x = synthetic_features(example, 5, frames, rng)
    scores = _offline(streaming, reference, x)
    nudged = [np.nextafter(x, np.float32(end), dtype=np.float32) for end in (np.inf, -np.inf)]
    return max(_difference(_offline(streaming, reference, each), scores) for each in nudged)


def difference_from_whole(streaming: Streaming, reference: Reference, x: Array, rows: Array) -> float:
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
    """Sequence lengths to compare at, of a network with one output per sequence: the first few, some, the last."""
    step = streaming.stride
    first = streaming.warmup * step + step
    picks = [first, first + step, first + 2 * step, *np.geomspace(first + 3 * step, frames, 7).astype(int)]
    return sorted({min(int(n) // step * step, frames) for n in picks})


def _offline(streaming: Streaming, reference: Reference, x: Array) -> Array:
    """The network's output as (N, rows, C) probabilities."""
    y = np.asarray(reference.run(np.ascontiguousarray(x)))
    alignment, classes = streaming.output, streaming.n_classes
    if streaming.summary:
        rows = np.moveaxis(y, alignment.batch, 0).reshape(len(x), 1, classes)
    elif alignment.time is None:
        rows = y.reshape(len(x), -1, classes)
    else:
        rows = np.moveaxis(y, (alignment.batch, alignment.time), (0, 1))
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
