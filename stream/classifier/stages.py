"""Stages: conditioner, front end, engine and detector of one stream, and what gaps do to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.classifier.rows import Rows
from stream.decisions.detector import Detector
from stream.decisions.many_detectors import can_join
from stream.errors import SpecError
from stream.features.conditioner import Conditioner
from stream.features.frontend import make_front_end
from stream.features.repair import Run
from stream.inference.engine import Engine
from stream.messages import Chunk, Event, Gap, Result, Scores
from stream.session.description import ClassifierSettings
from stream.snapshot import Snapshot

SINGLE_HOPS = 4  # pushes of up to this many hops are quicker hop by hop than as a block

Frames = NDArray[np.float32]
Probs = NDArray[np.float32]
Steps = Generator[Frames, Probs, Result]  # see `StreamClassifier.steps`


class Stages:
    """The stages and the state of one stream.

    Args:
        engine: carries the state of the model.
        settings: of the classifier.
        make_detector: makes the detector.

    Attributes:
        conditioner, front_end, engine, rows, detector: the stages, in the order of the flow.
    """

    def __init__(
        self, engine: Engine, settings: ClassifierSettings, make_detector: Callable[..., Detector]
    ) -> None:
        model = engine.model
        spec = model.card.features
        self._sample_rate = spec.sample_rate
        for name in ("max_gap", "max_repair", "reset_after"):
            value = getattr(settings, name)
            if value is not None and not 0 <= value < math.inf:
                raise SpecError(f"{name} {value:g}: must be 0 or more seconds")
        repair = settings.max_repair
        self.conditioner = Conditioner(
            spec.sample_rate, settings.repair, None if repair is None else round(repair * spec.sample_rate)
        )
        self.front_end = make_front_end(spec)
        self.engine = engine
        self.rows = Rows(model, settings.derived, settings.reset_after)
        self.detector = make_detector(
            settings.detector, self.rows.labels, spec.sample_rate, self.rows.hop, self.rows.lag
        )
        self._max_gap = round(settings.max_gap * spec.sample_rate)
        self._frame_hop = spec.hop_length
        self._stream, self._model_id = settings.stream, model.id
        self._no_features: Frames = np.empty((0, spec.width), np.float32)
        self._no_features.setflags(write=False)  # shared by all results
        self.closed = False

    def reset(self) -> None:
        """As new."""
        for stage in (self.conditioner, self.front_end, self.engine, self.rows, self.detector):
            stage.reset()
        self._run_end: int | None = None  # one past the last sample the front end was given
        self._told: int | None = None  # start of the newest gap that was told before it was over
        self._captured_at: float | None = None  # of the newest sample; telemetry, so no snapshot holds it
        self.closed = False

    def take(self, samples: Frames, by_hop: bool) -> Steps:
        """(n,) samples that follow the last ones, at the model's rate."""
        conditioner = self.conditioner
        before = conditioner.repaired
        runs = conditioner.push(samples, conditioner.end, self._sample_rate)
        return self._process(runs, conditioner.repaired - before, None, by_hop)

    def take_chunk(self, chunk: Chunk, by_hop: bool) -> Steps:
        """A chunk of sound, or a heartbeat."""
        if chunk.missing and self._is_long_gone(chunk):
            return self._gone(chunk)
        conditioner = self.conditioner
        before = conditioner.repaired
        runs = conditioner.push(chunk.samples, chunk.start, chunk.sample_rate, chunk.clean)
        captured_at = chunk.captured_at
        if captured_at is not None:
            if len(chunk.samples):
                self._captured_at = captured_at
            captured_at -= conditioner.held_back / self._sample_rate
        return self._process(runs, conditioner.repaired - before, captured_at, by_hop)

    def can_join(self, chunk: Chunk) -> bool:
        """Whether a chunk is nothing but sound that follows the last, as `ManyStreams` takes it."""
        return (
            chunk.start == self._run_end
            and not self.closed
            and self.conditioner.idle(chunk)
            and self.rows.are_plain
            and can_join(self.detector, len(chunk.samples) // self._frame_hop + 1)
        )

    def move_on(self, rows: int, last: float, end: int, captured_at: float | None) -> None:
        """`ManyStreams` took such chunks in, with these many rows; front end and detector know it already.

        Args:
            rows: of scores.
            last: the newest sample.
            end: one past its index.
            captured_at: when it was, if that is known.
        """
        self.rows.move_on(rows)
        self._run_end = end
        self.conditioner.pass_on(last, end)
        if captured_at is not None:
            self._captured_at = captured_at

    def result(
        self, scores: Scores, features: Frames, events: tuple[Event, ...], end: int, captured_at: float | None
    ) -> Result:
        """What such a chunk brought."""
        return Result(scores, features, events, (), end, 0, self._stream, self._model_id, captured_at)

    def flush(self) -> Steps:
        """No more sound: what was held back, and the events that the end cuts."""
        before = self.conditioner.repaired
        runs = self.conditioner.flush()
        self.closed = True
        return self._process(runs, self.conditioner.repaired - before, None, True)

    def abandon(self) -> Result:
        """No more sound, and what was held back is given up."""
        self.closed = True
        events = self.detector.flush()
        end = self.conditioner.end
        return Result(self.rows.none, self._no_features, events, (), end, 0, self._stream, self._model_id)

    def snapshot(self) -> Snapshot:
        """The state, as values for the classifier's snapshot."""
        return {
            "conditioner": self.conditioner.snapshot(),
            "front_end": self.front_end.snapshot(),
            "engine": self.engine.snapshot(),
            "detector": self.detector.snapshot(),
            "run_end": self._run_end,
            "told": self._told,
            "closed": self.closed,
            **self.rows.snapshot(),
        }

    def restore(self, values: Snapshot) -> None:
        """Continue from the values of a classifier's snapshot."""
        self.conditioner.restore(snapshots.inner(values, "conditioner"))
        self.front_end.restore(snapshots.inner(values, "front_end"))
        self.engine.restore(snapshots.inner(values, "engine"))
        self.rows.restore(values)
        self.detector.restore(snapshots.inner(values, "detector"))
        self._run_end = snapshots.optional(values, "run_end")
        self._told = snapshots.optional(values, "told")
        self.closed = bool(values.get("closed"))

    def _process(self, runs: list[Run], repaired: int, captured_at: float | None, by_hop: bool) -> Steps:
        """Runs of clean samples through front end, engine and detector."""
        scores: list[Scores] = []
        frames: list[Frames] = []
        events: tuple[Event, ...] = ()
        hop, rows = self._frame_hop, self.rows
        stride = rows.stride
        for start, samples in runs:
            if start != self._run_end:
                events += self._jump(start)
            self._run_end = start + len(samples)
            if rows.derived is not None:
                rows.derived.hear(start, samples)
            single = by_hop and hop < len(samples) <= SINGLE_HOPS * hop
            for part in [samples[i : i + hop] for i in range(0, len(samples), hop)] if single else (samples,):
                new = self.front_end.push(part)
                if not len(new):
                    continue
                frames.append(new)
                ready = new if stride == 1 else rows.whole(new)
                if not len(ready):
                    continue
                if rows.planned:
                    probs = yield from self._run_with_resets(ready)
                else:
                    probs = yield ready
                scored = rows.score(probs)
                scores.append(scored)
                events += self.detector.push(scored)
        conditioner = self.conditioner
        if self.closed:
            events += self.detector.flush()
        elif (lost_until := conditioner.lost_until) is not None:
            events += self._lose_context(lost_until)
        open_gap = None if self.closed else conditioner.open_gap
        return Result(
            scores[0] if len(scores) == 1 else rows.join(scores),
            frames[0] if len(frames) == 1 else np.concatenate(frames) if frames else self._no_features,
            events,
            tuple(conditioner.gaps),
            conditioner.end,
            repaired,
            self._stream,
            self._model_id,
            captured_at,
            opened=() if open_gap is None else self._opened(open_gap),
        )

    def _run_with_resets(self, frames: Frames) -> Generator[Frames, Probs, Probs]:
        parts: list[Probs] = []
        for number, part in enumerate(self.rows.until_reset(frames)):
            if number:
                self.engine.reset()
            if len(part):
                parts.append((yield part))
        return np.concatenate(parts)

    def _jump(self, start: int) -> tuple[Event, ...]:
        """Begin the stream, or go over a gap, at sample ``start``."""
        before = self._run_end
        self.front_end.reset(start)
        self.rows.begin(start)
        if before is None:
            return ()
        if start - before > self._max_gap:
            return self._lose_context(start)
        return self.detector.gap(start - before, carried=True)

    def _is_long_gone(self, chunk: Chunk) -> bool:
        """Whether the source says that it is gone, and the gap is certain to be longer than ``max_gap``."""
        conditioner = self.conditioner
        if len(chunk.samples) or not conditioner.begun:
            return False
        return self._lost_until(chunk) - (conditioner.end + conditioner.held_back) > self._max_gap

    def _lost_until(self, heartbeat: Chunk) -> int:
        return (heartbeat.start + heartbeat.missing) * self._sample_rate // heartbeat.sample_rate

    def _gone(self, heartbeat: Chunk) -> Steps:
        """End what a long gap ends, before its own end is known."""
        result = yield from self._process(self.conditioner.interrupt(), 0, self._captured_at, True)
        until, end = self._lost_until(heartbeat), self.conditioner.end
        lost = self._lose_context(until)
        opened = self._opened(Gap(end, until - end, self._sample_rate))
        return msgspec.structs.replace(result, events=result.events + lost, opened=opened)

    def _opened(self, gap: Gap) -> tuple[Gap, ...]:
        """A gap that goes on, if it is long and was not told before."""
        if gap.length <= self._max_gap or gap.start == self._told:
            return ()
        self._told = gap.start
        return (gap,)

    def _lose_context(self, lost_until: int) -> tuple[Event, ...]:
        """Sound before ``lost_until`` will not come: forget the state if that is too long a gap. Again is as once."""
        if self._run_end is None or (length := lost_until - self._run_end) <= self._max_gap:
            return ()
        self.engine.reset()
        self.rows.forget()
        return self.detector.gap(length, carried=False)
