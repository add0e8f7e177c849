"""The original network, and how its output compares with the rows of a streaming graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.streaming import Streaming
from stream.errors import ExportError, NotStreamable
from stream.inference.card import Activation

Array = NDArray[Any]
_ROUNDING = 1e-6  # of a probability, in one frame


@dataclass(frozen=True)
class Reference:
    """The original network.

    Attributes:
        run: (N, T, F) float32 -> its output for whole sequences, before any appended activation.
        activation: appended to the streaming graph: "softmax", "sigmoid" or None.
        locate_fault: given (N, T, F), names a layer whose offline graph differs from the network; "" if none.
        run_double: as ``run``, computed in float64; None if there is no such thing. It decides where roundings of
            float32 add up in minutes of sound: a gate that lets 1 - 4e-8 through a frame is 1 in some kernels.
        overflows: powers of the frame number were found in it, which leave the range of numbers in long sounds; it is
            compared as far as they go.
    """

    run: Callable[[Array], Array]
    activation: Activation | None = None
    locate_fault: Callable[[Array], str] | None = None
    run_double: Callable[[Array], Array] | None = None
    overflows: bool = False


def offline_rows(streaming: Streaming, reference: Reference, x: Array) -> Array:
    """The network's output for (N, T, F) as (N, rows, C) probabilities.

    Raises:
        NotStreamable: it does not run on that length.
    """
    try:
        y = np.asarray(reference.run(np.ascontiguousarray(x)))
    except ExportError:
        raise
    except Exception as error:  # networks raise whatever they like
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotStreamable(
            f"the network itself fails on {x.shape[1]} frames ({reason[:200]}); a stream has no end: "
            "remove what limits the length, such as a table of positions"
        ) from error
    alignment, classes = streaming.output, streaming.n_classes
    if streaming.summary:
        rows = np.moveaxis(y, alignment.batch, 0).reshape(len(x), 1, classes)
    elif alignment.time is None:
        rows = y.reshape(len(x), -1, classes)
    else:
        rows = np.moveaxis(y, (alignment.batch, alignment.time), (0, 1))
        rows = rows.reshape(len(x), rows.shape[1], classes)
    with np.errstate(over="ignore", invalid="ignore"):
        if reference.activation == "softmax":
            odds = np.exp(rows - rows.max(axis=-1, keepdims=True))
            return np.asarray(odds / odds.sum(axis=-1, keepdims=True))
        if reference.activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-rows)))
    return rows


def in_double(reference: Reference) -> Reference | None:
    """The network in float64, if it can be computed so."""
    return None if reference.run_double is None else replace(reference, run=reference.run_double)


@dataclass(frozen=True)
class Expected:
    """The rows that a network gives for some features, once computed and compared with often.

    Attributes:
        streaming: the graph to compare with.
        rows: (N, rows, C) probabilities; of a summary those at ``places``.
        places: of a summary: rows of the streaming output that ``rows`` stand for; else empty.
    """

    streaming: Streaming
    rows: Array
    places: tuple[int, ...] = ()

    @classmethod
    def of(cls, streaming: Streaming, reference: Reference, x: Array) -> Expected:
        """Run the network on (N, T, F).

        Raises:
            NotStreamable: it does not run on that length, or gives fewer rows than its frames ask for.
        """
        step = streaming.stride
        if streaming.summary:
            lengths = _lengths(streaming, x.shape[1])
            parts = [offline_rows(streaming, reference, x[:, :n])[:, -1:] for n in lengths]
            return cls(streaming, np.concatenate(parts, axis=1), tuple(n // step - 1 for n in lengths))
        rows = offline_rows(streaming, reference, x)
        wanted = x.shape[1] // step + streaming.output.clock.offset
        if rows.shape[1] != wanted:
            raise NotStreamable(
                f"the network gives {rows.shape[1]} rows for {x.shape[1]} frames, {wanted} were to be expected from "
                "shorter sequences; a stream has no end: do not cut or fill the sequence to a fixed length"
            )
        return cls(streaming, rows)

    def difference(self, rows: Array) -> Array:
        """Largest difference of each stream from streaming rows (N, rows, C) of the same features, (N,) float64.

        The rows may belong to the beginning of the features only, and to the first streams only.
        """
        mine, other = self._side_by_side(rows)
        if mine.shape != other.shape or not mine.size:
            return np.full(len(rows), np.inf)
        return np.array([largest_difference(a, b) for a, b in zip(mine, other, strict=True)])

    def creeps(self, rows: Array) -> bool:
        """Whether the difference from streaming rows comes about in steps no larger than a rounding of a row."""
        mine, other = self._side_by_side(rows)
        if mine.shape != other.shape or not np.isfinite(mine).all() or not np.isfinite(other).all():
            return False
        steps = np.diff(mine.astype(np.float64) - other, axis=1, prepend=0.0)
        return not self.places and bool(np.abs(steps).max(initial=0.0) <= _ROUNDING)

    def _side_by_side(self, rows: Array) -> tuple[Array, Array]:
        """Those rows of the network and of the stream that stand for the same."""
        if self.places:
            kept = [i for i, place in enumerate(self.places) if place < rows.shape[1]]
            return self.rows[: len(rows), kept], rows[:, [self.places[i] for i in kept]]
        late = self.streaming.delay
        count = rows.shape[1] - late + min(self.streaming.output.surplus, 0)
        return self.rows[: len(rows), :count], rows[:, late : late + count]


def difference_from_whole(streaming: Streaming, reference: Reference, x: Array, rows: Array) -> float:
    """Largest difference between streaming rows (N, rows, C) and the offline network on the same features."""
    return float(Expected.of(streaming, reference, x).difference(rows).max())


def largest_difference(a: Array, b: Array) -> float:
    """Largest absolute difference where ``a`` is a number; infinite where ``b`` is none there, or the shapes differ.

    Where ``a`` is no number nothing is asked of ``b``: ONNX Runtime's recurrent layers turn NaN into numbers.
    """
    if a.shape != b.shape:
        return float("inf")
    finite = np.isfinite(a)
    if not np.isfinite(b[finite]).all():
        return float("inf")
    return float(np.abs(a[finite].astype(np.float64) - b[finite]).max(initial=0.0))


def _lengths(streaming: Streaming, frames: int) -> list[int]:
    """Sequence lengths to compare at, of a network with one output per sequence: the first few, some, the last."""
    step = streaming.stride
    first = streaming.warmup * step + step
    picks = [first, first + step, first + 2 * step, *np.geomspace(first + 3 * step, frames, 7).astype(int)]
    return sorted({min(int(n) // step * step, frames) for n in picks})
