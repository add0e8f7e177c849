"""Rows: feature frames to whole strides for the model, and its answers to scores that know their place."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.decisions.derived import DerivedClasses, DerivedSpec
from stream.errors import ModelError, SpecError
from stream.features.framing import frame_centre
from stream.inference.session import Model
from stream.messages import Scores
from stream.snapshot import Snapshot

MAX_PROBABILITY = 1 + 1e-6  # a softmax may round to just above 1
_FEW = 64  # numbers that are quicker to look at one by one than by two reductions


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)  # shared by all results
    return array


_ALL_WARM = _frozen(np.ones(1024, np.bool_))


def are_warm(rows: int, cold: int) -> NDArray[np.bool_]:
    """(T,) bool, False for the first ``cold``; perhaps shared."""
    return _ALL_WARM[:rows] if cold <= 0 and rows <= len(_ALL_WARM) else np.arange(rows) >= cold


def _are_probabilities(probs: NDArray[np.float32]) -> bool:
    """Whether all of (T, C) lie in 0 to 1: False for NaN."""
    if len(probs) == 1:
        return all([0 <= p <= MAX_PROBABILITY for p in probs[0].tolist()])  # noqa: C419 (a list is quicker)
    if probs.size <= _FEW:
        return all([0 <= p <= MAX_PROBABILITY for p in probs.ravel().tolist()])  # noqa: C419
    return bool(probs.min() >= 0 and probs.max() <= MAX_PROBABILITY)


class Rows:
    """What one stream's model is given, and where and what its answers are.

    Args:
        model: whose rows.
        derived: classes beside the model's.
        reset_after: as for `StreamClassifier`.

    Attributes:
        labels: of the columns: the model's, then derived ones.
        hop: samples between rows.
        reference: samples from the first sample of a stream, or behind a gap, to the reference sample of its first row.
        lag: samples from a row's reference sample to the newest sample that the model had seen for it.
        none: scores without a row.
        planned: whether the state is reset now and then: see ``until_reset``.
        stride: frames a row.
        derived: classes beside the model's; None = there are none.

    Raises:
        SpecError: a group that does not fit the model, or a ``reset_after`` shorter than a row.
    """

    def __init__(self, model: Model, derived: DerivedSpec | None, reset_after: float | None) -> None:
        card = model.card
        spec = card.features
        self._model = model
        self._width = spec.width
        self.stride = card.stride
        self._sample_rate = spec.sample_rate
        self.hop = spec.hop_length * card.stride
        # A row is about the middle of its stride's frames, `delay` rows ago, and comes with the last of them.
        behind = (card.stride - 1) * spec.hop_length
        self.reference = frame_centre(0, spec) + behind // 2 - card.delay * self.hop
        self.lag = behind + spec.span - self.reference
        self.derived: DerivedClasses | None = None
        self.labels = card.labels
        if derived is not None and (derived.groups or derived.loud is not None):
            self.derived = DerivedClasses(derived, card.labels, self.hop, self.reference, self.lag)
            self.labels = self.derived.labels
        # Rows before the model has heard enough; its first ``delay`` rows are about time before the stream.
        self._cold_rows = max(card.warmup // card.stride, card.delay)
        self.planned = reset_after is not None
        self._every = 0
        if reset_after is not None:
            self._every = round(reset_after * spec.sample_rate / self.hop)
            if self._every < 1:
                raise SpecError(
                    f"reset_after {reset_after:g}: must be at least {self.hop / spec.sample_rate:g} seconds"
                )
        self.none = Scores(
            _frozen(np.empty((0, len(self.labels)), np.float32)),
            _frozen(np.empty(0, np.int64)),
            _frozen(np.empty(0, np.bool_)),
            self.labels,
            spec.sample_rate,
            self.hop,
        )
        self.reset()

    def reset(self) -> None:
        """As new."""
        if self.derived is not None:
            self.derived.reset()
        self.begin(0)
        self.forget()

    def begin(self, start: int) -> None:
        """The next frame begins at sample ``start``: frames short of a stride are given up."""
        self._held = np.empty((0, self._width), np.float32)
        self._start = start  # first sample of the next row's first frame

    def forget(self) -> None:
        """The model's state was reset, because its context is lost."""
        self._since_reset = 0  # rows since the last planned reset
        self._heard = 0  # rows since the start or the last gap that reset the state

    def whole(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """New frames (T, F) to the whole strides that are there, (T', F); the rest is held."""
        if self.stride > 1:
            self._held = np.concatenate([self._held, frames])
            ready = len(self._held) // self.stride * self.stride
            frames, self._held = self._held[:ready], self._held[ready:]
        return frames

    def until_reset(self, frames: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Whole strides (T, F), cut where a planned reset lies: the engine is reset before every part but the first.

        The first part is empty where a reset comes before all of them.
        """
        first = (self._every - self._since_reset) * self.stride
        every = self._every * self.stride
        cuts = [0, *range(first, len(frames), every), len(frames)]
        parts = [frames[low:high] for low, high in pairwise(cuts)]
        self._since_reset = len(parts[-1]) // self.stride + (self._since_reset if len(parts) == 1 else 0)
        return parts

    def score(self, probs: NDArray[np.float32]) -> Scores:
        """The model's answer to whole strides, (T, C) with T of at least 1, as the next rows.

        Raises:
            ModelError: something in it is no probability.
        """
        rows = len(probs)
        if not _are_probabilities(probs):
            raise self._no_probability(probs)
        # A planned reset is part of how the model is used; only a start or a lost context makes it cold.
        warm = are_warm(rows, self.cold)
        self._heard += rows
        first = self._start + self.reference
        self._start += rows * self.hop
        sample = np.arange(first, first + rows * self.hop, self.hop, dtype=np.int64)
        if self.derived is not None:
            probs = self.derived.push(probs, sample)
        return Scores(probs, sample, warm, self.labels, self._sample_rate, self.hop)

    @property
    def are_plain(self) -> bool:
        """Whether nothing happens to rows but ``score``."""
        return self.stride == 1 and self.derived is None and not self.planned

    @property
    def cold(self) -> int:
        """How many of the next rows are not warm."""
        return max(0, self._cold_rows - self._heard)

    @property
    def next_sample(self) -> int:
        """Reference sample of the next row."""
        return self._start + self.reference

    def move_on(self, rows: int) -> None:
        """Somebody else scored so many rows, while they ``are_plain``."""
        self._start += rows * self.hop
        self._heard += rows

    def scores(
        self, probs: NDArray[np.float32], sample: NDArray[np.int64], warm: NDArray[np.bool_]
    ) -> Scores:
        """Of such rows: (T, C) float32, (T,) their reference samples, and whether they are warm."""
        return Scores(probs, sample, warm, self.labels, self._sample_rate, self.hop)

    def join(self, parts: list[Scores]) -> Scores:
        """Consecutive scores as one; no rows for an empty list."""
        if len(parts) < 2:
            return parts[0] if parts else self.none
        return Scores(
            np.concatenate([p.probs for p in parts]),
            np.concatenate([p.sample for p in parts]),
            np.concatenate([p.warm for p in parts]),
            self.labels,
            self._sample_rate,
            self.hop,
        )

    def snapshot(self) -> Snapshot:
        """The state, as values for the classifier's snapshot."""
        return {
            "derived": None if self.derived is None else self.derived.snapshot(),
            "held": self._held.copy(),
            "rows": self._since_reset,
            "heard": self._heard,
            "row_start": self._start,
        }

    def restore(self, values: Snapshot) -> None:
        """Continue from the values of a classifier's snapshot."""
        if self.derived is not None:
            self.derived.restore(snapshots.inner(values, "derived"))
        self._held = snapshots.array(values, "held", "float32", (-1, self._width))
        self._since_reset = snapshots.number(values, "rows")
        self._heard = snapshots.number(values, "heard")
        self._start = snapshots.number(values, "row_start")

    def _no_probability(self, probs: NDArray[np.float32]) -> ModelError:
        wrong = ~((probs >= 0) & (probs <= MAX_PROBABILITY))
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        label = int(np.flatnonzero(wrong[row])[0])
        seconds = (self._start + row * self.hop) / self._sample_rate
        return ModelError(
            f"model {self._model.path}: gives {float(probs[row, label]):g} for {self.labels[label]} "
            f"at {seconds:.2f} s, not a probability in 0 to 1; export it again from weights that are finite"
        )
