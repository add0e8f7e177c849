"""ManyStreams: sound of many streams through all stages at once, where it is nothing but sound.

What each stream is given, and keeps, is to the bit what `StreamClassifier.push` would give and keep. Whatever is more
than that (the first sound, a gap, an invalid sample, another rate, new rules) is for that method.

While a stream is *inside*, what it carries lies here, beside that of the others, and its classifier must not be used.
``leave`` gives it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import INTEGER_SCALE
from stream.classifier.rows import MAX_PROBABILITY, are_warm
from stream.classifier.stages import Stages
from stream.classifier.stream_classifier import StreamClassifier
from stream.decisions.many_detectors import MOST_ROWS, ManyDetectors
from stream.features.many_mfcc import ManyMfcc
from stream.features.mfcc import StreamingMfcc
from stream.features.repair import are_valid
from stream.features.spec import MfccSpec
from stream.inference.state_table import StateTable, run_blocks
from stream.messages import Chunk, Event, Result

_INT16 = np.dtype(np.int16)
# What becomes float32, by which factor.
_SOUND = {np.dtype(np.float32): None, _INT16: np.float32(INTEGER_SCALE[_INT16])}
_NOWHERE = -1  # where a stream goes on that is not inside


class Brought(NamedTuple):
    """What the sound of N streams brought.

    Attributes:
        probs: (N, T, C) float32.
        sample: (N, T) int64, reference samples of those rows.
        warm: (T,) bool, of each of them.
        features: (N, T, F) float32.
        events: by place among the N, of those that have some.
    """

    probs: NDArray[np.float32]
    sample: NDArray[np.int64]
    warm: NDArray[np.bool_]
    features: NDArray[np.float32]
    events: dict[int, tuple[Event, ...]]


class ManyStreams:
    """Runs streams whose engines are rows of one table. One thread at a time uses it, but for ``forget``.

    Args:
        table: of the states of their model.

    Attributes:
        ends: (rows,) int64, one past the newest sample of each stream that is inside; negative of all others.
    """

    def __init__(self, table: StateTable) -> None:
        card = table.model.card
        spec, rows = card.features, table.streams
        self._table = table
        self._mfcc = ManyMfcc(spec, rows) if isinstance(spec, MfccSpec) and ManyMfcc.can(spec) else None
        self._detectors = ManyDetectors(rows, len(card.labels))
        self._hop, self._sample_rate = spec.hop_length * card.stride, spec.sample_rate
        self._rows = np.arange(MOST_ROWS + 1, dtype=np.int64) * self._hop
        self._inside: list[Stages | None] = [None] * rows
        self.ends = np.full(rows, _NOWHERE, np.int64)
        self._next = np.zeros(rows, np.int64)  # reference sample of the next row
        self._cold = np.zeros(rows, np.int64)  # how many of the next rows are
        self._count = np.zeros(rows, np.int64)  # rows since it entered
        self._last = np.zeros(rows, np.float32)  # the newest sample
        self._captured_at = np.full(rows, np.nan)  # of that; NaN where it is not known

    def takes(self, samples: int, sample_rate: int) -> bool:
        """Whether so many samples may be pushed at once: they complete a frame, and not too many."""
        return (
            self._mfcc is not None
            and sample_rate == self._sample_rate
            and self._hop <= samples <= self._hop * (MOST_ROWS - 1)
        )

    def enter(self, row: int, classifier: StreamClassifier, chunk: Chunk) -> bool:
        """Take in a stream whose next chunk is nothing but sound; False where it is more than that.

        Args:
            row: its engine's.
            classifier: of the stream.
            chunk: its next; its samples may also be int16.
        """
        if not self._is_sound(chunk) or (stages := classifier.joining(chunk)) is None:
            return False
        front_end, mfcc = stages.front_end, self._mfcc
        if mfcc is None or not isinstance(front_end, StreamingMfcc):
            return False
        if not mfcc.frames(front_end.held, self._hop):  # any chunk must complete one
            return False
        if not self._detectors.enter(row, stages.detector):
            return False
        mfcc.enter(row, front_end)
        self.ends[row] = chunk.start
        self._next[row] = stages.rows.next_sample
        self._cold[row] = stages.rows.cold
        self._count[row] = 0
        self._inside[row] = stages
        return True

    def goes_on(self, row: int, chunk: Chunk) -> bool:
        """Whether a chunk is nothing but sound that a stream inside goes on with."""
        going_on = self._inside[row] is not None and self.ends[row] == chunk.start
        return bool(going_on and self._is_sound(chunk)) and (
            chunk.clean or chunk.samples.dtype.kind == "i" or are_valid(chunk.samples)
        )

    def leave(self, row: int) -> None:
        """Let a stream go on by its classifier, from where it is. Nothing happens to one that is not inside."""
        stages = self._inside[row]
        self._inside[row] = None
        end = int(self.ends[row])
        self.ends[row] = _NOWHERE
        count = int(self._count[row])
        if stages is None or not count or end < 0:
            return
        assert self._mfcc is not None
        assert isinstance(stages.front_end, StreamingMfcc)
        self._mfcc.leave(row, stages.front_end, count)
        self._detectors.leave(row, int(self._next[row]) - self._hop)
        captured_at = float(self._captured_at[row])
        stages.move_on(count, float(self._last[row]), end, None if np.isnan(captured_at) else captured_at)

    def forget(self, row: int) -> None:
        """A stream has ended, wherever it is: nobody will use its classifier again. From any thread."""
        self._inside[row] = None
        self.ends[row] = _NOWHERE

    def kinds(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """(N,) numbers; streams of one kind can be pushed together."""
        if self._mfcc is None:
            return np.zeros(len(rows), np.int64)
        kinds: NDArray[np.int64] = (self._detectors.kind[rows] << 20) + self._mfcc.held[rows]
        return (self._cold[rows] << 40) + kinds

    def push(
        self, rows: NDArray[np.intp], sound: NDArray[Any], captured_at: NDArray[np.float64]
    ) -> Brought | None:
        """Take sound of different streams of one kind that are inside.

        Args:
            rows: (N,) of the streams.
            sound: (N, n) what each goes on with; float32, or int16. See ``takes``.
            captured_at: (N,) when the newest sample of each was recorded; NaN where that is not known.

        Returns:
            What it brought. None, and nothing is changed, where the model cannot answer, or answers something
            that is no probability: each stream alone shows whose that is.
        """
        assert self._mfcc is not None
        scale = _SOUND[sound.dtype]
        frames = self._mfcc.compute(rows, sound, scale)
        try:
            probs, state = run_blocks(self._table.model, frames, self._table.rows_state(rows))
        except Exception:  # of whichever, as ONNX Runtime's own share no base class
            return None
        if not (probs.min() >= 0 and probs.max() <= MAX_PROBABILITY):  # not: NaN is neither
            return None
        count = probs.shape[1]
        self._table.set_rows_state(rows, state)
        self._mfcc.commit(rows)
        first = self._next[rows]
        self._next[rows] = first + count * self._hop
        cold = int(self._cold[rows[0]])
        self._cold[rows] = max(0, cold - count)
        self._count[rows] += count
        self.ends[rows] += sound.shape[1]
        last = sound[:, -1]
        self._last[rows] = last if scale is None else last * scale
        known = ~np.isnan(captured_at)
        self._captured_at[rows[known]] = captured_at[known]
        events: dict[int, tuple[Event, ...]] = {}
        if cold < count:
            events = self._detectors.push(rows, probs[:, cold:], first + cold * self._hop)
        sample = first[:, None] + self._rows[:count]
        return Brought(probs, sample, are_warm(count, cold), frames, events)

    def results(
        self, rows: NDArray[np.intp], brought: Brought, captured_at: Sequence[float | None]
    ) -> list[Result | None]:
        """What ``push`` brought, as of each stream's own; None of those that were forgotten meanwhile."""
        probs, sample, warm, features, events = brought
        found: list[Result | None] = []
        for place, (row, end) in enumerate(zip(rows.tolist(), self.ends[rows].tolist(), strict=True)):
            if (stages := self._inside[row]) is None:
                found.append(None)
                continue
            scores = stages.rows.scores(probs[place], sample[place], warm)
            found.append(
                stages.result(scores, features[place], events.get(place, ()), end, captured_at[place])
            )
        return found

    def _is_sound(self, chunk: Chunk) -> bool:
        samples = chunk.samples
        return (
            self.takes(len(samples), chunk.sample_rate)
            and samples.dtype in _SOUND
            and samples.flags.c_contiguous
        )
