"""Check that a streaming graph equals the network it came from. Nothing is exported unless every comparison passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.conversion.effort import Extent, extent
from export.conversion.fault_localisation import first_different_layer, first_not_finite
from export.conversion.live_features import edges
from export.conversion.operators import check_operators
from export.conversion.references import (
    Expected,
    Reference,
    difference_from_whole,
    in_double,
    largest_difference,
)
from export.conversion.step_runner import StreamRunner
from export.streaming import Streaming
from export.streaming.synthetic_features import synthetic_features
from stream.errors import ExportError, NotStreamable, ParityError
from stream.features.spec import FeatureSpec

__all__ = [
    "Comparison",
    "EquivalenceReport",
    "Reference",
    "check_equivalence",
    "difference_from_whole",
]

Array = NDArray[Any]
TOLERANCE = 1e-5
_COMPARED_AT_LEAST = 500  # rows of a network that overflows in long sounds
_LOOKED_AT = 6000  # frames at most that a fault is looked for in


@dataclass(frozen=True)
class Comparison:
    """One comparison.

    Attributes:
        name: what was compared.
        difference: largest absolute difference of a probability.
        internal: both sides are the streaming graph's own, so that not a bit should differ.
        features: (N, T, F) of the stream that differs most, to look for a fault with.
        rows: (N, rows, C), what the streaming graph gave for it.
        edge: of sound at the edges of what a front end gives, where a network may be unsure of its own scores.
        finite: the network itself gives numbers there.
        own: how far the network's own scores change with the last bits of these features, where that is more than
            the difference allowed; else 0.
    """

    name: str
    difference: float
    internal: bool
    features: Array
    rows: Array
    edge: bool = False
    finite: bool = True
    own: float = 0.0


@dataclass(frozen=True)
class EquivalenceReport:
    """All comparisons of an export.

    Attributes:
        comparisons: in the order they were made.
        frames: length of the sequences compared.
        edge_frames: length of silence, full scale and the like.
    """

    comparisons: tuple[Comparison, ...]
    frames: int
    edge_frames: int

    @property
    def exact(self) -> bool:
        """Whether every chunking and batch gave the same bits."""
        return all(each.difference == 0 for each in self.comparisons if each.internal)

    @property
    def largest_difference(self) -> float:
        """Of all comparisons where the network itself is sure of its scores."""
        return max(each.difference for each in self.comparisons if not each.own)

    @property
    def not_finite(self) -> tuple[str, ...]:
        """Sounds for which the network itself gives something that is no number."""
        return tuple(each.name for each in self.comparisons if not each.finite)

    @property
    def deaf(self) -> tuple[str, ...]:
        """Those of them for which the streaming graph too gives something that is no number."""
        return tuple(c.name for c in self.comparisons if not c.finite and not np.isfinite(c.rows).all())

    @property
    def unsure(self) -> tuple[str, ...]:
        """Sounds in which the network turns a rounding of its input into more than the tolerance."""
        return tuple(each.name for each in self.comparisons if each.own)


def check_equivalence(
    streaming: Streaming,
    reference: Reference,
    example: Array,
    *,
    frames: int = 6000,
    spec: FeatureSpec | None = None,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> EquivalenceReport:
    """Compare the streaming graph with the network, for several chunkings, batch sizes, states and kinds of sound.

    Args:
        streaming: the graph.
        reference: the network.
        example: (N, T, F) features; synthetic features of their level are made of them.
        frames: length of the sequences; 6000 is 60 s at 100 frames per second.
        spec: front end whose extremes are compared too; None = those of the example stand for them.
        tolerance: largest difference of a probability.
        seed: of the synthetic features.
        progress: told what is being compared.

    Raises:
        ParityError: names the comparison, the difference and the first layer that differs.
        NotStreamable: the network does not give a row for every step of a long sequence.
    """
    check_operators(streaming.model)
    runner = StreamRunner(streaming.model, streaming.states)
    rng = np.random.default_rng(seed)
    with _running():
        lengths = extent(streaming, example, frames)
    done: list[Comparison] = []
    comparisons = _comparisons(streaming, reference, runner, example, lengths, spec, rng)
    while True:
        with _running():
            each = next(comparisons, None)
        if each is None:
            break
        if progress is not None:
            progress(f"compared {each.name}")
        if not each.difference <= tolerance:
            with _running():
                each = _judged(streaming, reference, each, tolerance)
        done.append(each)
    step = streaming.stride
    return EquivalenceReport(tuple(done), lengths.whole * step, lengths.edges * step)


def _judged(streaming: Streaming, reference: Reference, found: Comparison, tolerance: float) -> Comparison:
    """A comparison that differs: ParityError, unless float64 or, at the edges of sound, the network itself excuses it.

    Minutes of a constant add up what is rounded in a frame. The graph is right if it is as near as ever to what the
    network gives in float64, whichever side float32 erred to.
    """
    own = 0.0
    if not found.internal:
        precise = _in_double(streaming, reference, found.features)
        difference = np.inf if precise is None else float(precise.difference(found.rows).max())
        # float64 excuses no NaN that float32 lacks
        if difference <= tolerance and np.isfinite(found.difference):
            return replace(found, difference=difference)
        scores = Expected.of(streaming, reference, found.features)
        if precise is not None:
            own = largest_difference(precise.rows, scores.rows)
        elif found.edge and scores.creeps(found.rows):
            return replace(found, own=found.difference)
        own = max(own, _conditioning(streaming, reference, found.features, scores.rows))
    # a fault changes scores by thousands of roundings
    amplified = own > max(tolerance / 2, found.difference / 50)
    if found.edge and (amplified or found.difference < min(50 * own, 100 * tolerance)):
        return replace(found, own=own)
    if amplified and reference.overflows:
        raise NotStreamable(
            "the network scales sums by powers of the frame number, which leave the range of float32 in long sounds: "
            f"{found.name} differs by {found.difference:.2g}; write the step as forward(x, state) -> (scores, state)"
        )
    if amplified:
        raise ParityError(
            f"the network turns a rounding of its input into {own:.2g} after a while, so {found.name} differs by "
            f"{found.difference:.2g}, allowed {tolerance:g}; nothing was written; train it to be stable: stronger "
            "weight decay, fewer units, or gru or lstm instead of a plain rnn"
        )
    x = found.features[:, : _LOOKED_AT // streaming.stride * streaming.stride]
    what = f"differs by {found.difference:.2g} from the original, allowed {tolerance:g}"
    layer = ""
    if not np.isfinite(found.difference):
        what = "is not a number where the original is one"
        if own > tolerance:
            what += f", and the original changes by {own:.2g} with the last bit of its input there (put a floor under "
            what += "what it divides by)"
        layer = first_not_finite(streaming, x)
    if not layer and reference.locate_fault is not None:
        layer = reference.locate_fault(x)
    layer = layer or first_different_layer(streaming, x)
    raise ParityError(
        f"{layer}: {found.name} {what}; nothing was written; replace this layer, or report it with the network"
    )


def _in_double(streaming: Streaming, reference: Reference, x: Array) -> Expected | None:
    """The network in float64; None where it cannot be computed so."""
    double = in_double(reference)
    if double is None:
        return None
    try:
        return Expected.of(streaming, double, x)
    except NotStreamable:  # code of the network insists on float32
        return None


@contextmanager
def _running() -> Iterator[None]:
    """ParityError if ONNX Runtime cannot run the graph."""
    try:
        yield
    except ExportError:
        raise
    except Exception as error:  # ORT's own exception classes derive from Exception only
        reason = str(error).strip().splitlines()[-1]
        raise ParityError(
            f"the streaming graph does not run ({reason[:300]}); nothing was written"
        ) from error


def _comparisons(
    streaming: Streaming,
    reference: Reference,
    runner: StreamRunner,
    example: Array,
    lengths: Extent,
    spec: FeatureSpec | None,
    rng: np.random.Generator,
) -> Iterator[Comparison]:
    """Every comparison."""
    step = streaming.stride
    x = synthetic_features(example, 3, lengths.whole * step, rng)
    expected = _as_far_as_it_goes(streaming, reference, x)
    sizes = (step * rng.integers(1, 30, 499)).tolist()
    rows, _ = runner.run(x, sizes)
    yield _external("random chunks, 3 stream(s)", expected, x, rows, reference.overflows)
    part = x[:, : lengths.among * step]
    for name, given, chunks in (
        ("the whole sequence at once, 1 stream(s)", x[:1], [x.shape[1]]),
        ("one step at a time, 2 stream(s)", part[:2], [step]),
    ):
        yield _external(name, expected, given, runner.run(given, chunks)[0], reference.overflows)
    yield from _between(runner, part, rows[:, : lengths.among], sizes, step)
    yield from _from_states(runner, example, step, rng)
    yield from _at_the_edges(streaming, reference, runner, edges(example, spec, lengths.edges * step), rng)


def _between(
    runner: StreamRunner, x: Array, rows: Array, sizes: list[int], step: int
) -> Iterator[Comparison]:
    """Streams alone against in a batch, and chunkings against each other."""
    alone, _ = runner.run(x[1:2], sizes)
    yield _internal("a stream alone against among others", alone, rows[1:2], x)
    half = max(len(x[0]) // 2 // step, 1) * step
    others = np.concatenate([x[:1, :half][:, ::-1], x[1:2, :half], x[2:, :half][:, ::-1]])
    beside, _ = runner.run(others, sizes)
    yield _internal("a stream beside different ones", beside[1], rows[1, : half // step], x)
    whole, _ = runner.run(x, [x.shape[1]])
    yield _internal("chunks against the whole", whole, rows, x)


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
            yield _internal(f"{what} against the whole from {name}", rows, whole, x)


def _at_the_edges(
    streaming: Streaming,
    reference: Reference,
    runner: StreamRunner,
    material: dict[str, Array],
    rng: np.random.Generator,
) -> Iterator[Comparison]:
    """Silence, full scale and the like, side by side in a batch, against the network."""
    step = streaming.stride
    x = np.stack(list(material.values()))
    expected = Expected.of(streaming, reference, x)
    rows, _ = runner.run(x, (step * rng.integers(1, 100, 499)).tolist())
    for i, (name, difference) in enumerate(zip(material, expected.difference(rows), strict=True)):
        finite = bool(np.isfinite(expected.rows[i]).all())
        yield Comparison(name, float(difference), False, x[i : i + 1], rows[i : i + 1], True, finite)


def _as_far_as_it_goes(streaming: Streaming, reference: Reference, x: Array) -> Expected:
    """What the network gives; in float64 where it overflows in float32, if it is known to overflow in long sounds."""
    expected = Expected.of(streaming, reference, x)
    if not reference.overflows or np.isfinite(expected.rows).all():
        return expected
    precise = _in_double(streaming, reference, x)
    if precise is not None:
        finite = np.isfinite(expected.rows)
        expected = replace(expected, rows=np.where(finite, expected.rows, precise.rows))
    goes_on = np.asarray(np.isfinite(expected.rows).all(axis=(0, 2)))
    if not goes_on[:_COMPARED_AT_LEAST].all():
        raise NotStreamable(
            f"the network itself gives no numbers after {int(goes_on.argmin())} frames: powers of the frame "
            "number that it scales by overflow; write the step as forward(x, state) -> (scores, state)"
        )
    return expected


def _external(name: str, expected: Expected, x: Array, rows: Array, overflows: bool) -> Comparison:
    finite = np.isfinite(expected.rows)
    if not finite[:, :_COMPARED_AT_LEAST].all() or not (finite.all() or overflows):
        raise ExportError(
            "the network itself gives NaN or infinity for features like those of the example; look for weights that "
            "are none, and for a logarithm or a division without a floor"
        )
    differences = expected.difference(rows)
    worst = int(differences.argmax())
    mine = slice(worst, worst + 1)
    return Comparison(name, float(differences[worst]), False, x[mine], rows[mine], finite=bool(finite.all()))


def _internal(name: str, a: Array, b: Array, x: Array) -> Comparison:
    return Comparison(name, largest_difference(a, b), True, x, a)


def _conditioning(streaming: Streaming, reference: Reference, x: Array, scores: Array) -> float:
    """How far the network's own scores change when every feature changes in its last bit, up, down or at random."""
    ends = np.random.default_rng(0).choice(np.array([-np.inf, np.inf], np.float32), x.shape)
    return max(
        largest_difference(
            Expected.of(streaming, reference, np.nextafter(x, end, dtype=np.float32)).rows, scores
        )
        for end in (np.float32(np.inf), np.float32(-np.inf), ends)
    )
