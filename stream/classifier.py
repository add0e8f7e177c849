"""StreamClassifier: conditioner, front end, engine, detector and all the state of one stream."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream import snapshot as snapshots
from stream.decisions.derived import DerivedClasses, DerivedSpec
from stream.decisions.detector import Detector
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, ModelError, SpecError, UsageError
from stream.features.conditioner import MAX_GAP_SECONDS, Conditioner
from stream.features.framing import frame_centre
from stream.features.frontend import make_front_end
from stream.features.repair import Method, Run, as_samples
from stream.inference.engine import Engine, make_engine
from stream.inference.session import Model, State
from stream.messages import Chunk, Event, Gap, Result, Scores
from stream.session.description import ClassifierSettings
from stream.snapshot import Snapshot

if TYPE_CHECKING:
    from stream.capture.source import AudioSource

_KIND = "classifier"


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)  # shared by all results
    return array


_WARM = _frozen(np.ones(1, np.bool_))
SINGLE_HOPS = 4  # pushes of up to this many hops are quicker hop by hop than as a block
MAX_PROBABILITY = 1 + 1e-6  # a softmax may round to just above 1


def _are_probabilities(probs: NDArray[np.float32]) -> bool:
    """Whether all of (T, C) lie in 0 to 1: False for NaN."""
    if len(probs) == 1:  # plain numbers are quicker than two reductions
        return all(0 <= p <= MAX_PROBABILITY for p in probs[0].tolist())
    return bool(probs.min() >= 0 and probs.max() <= MAX_PROBABILITY)


class StreamClassifier:
    """Classifies one stream. Push sound, get what is ready.

    Gaps (a chunk that starts later than the last one ended, or a long run of invalid samples): the front end starts
    anew behind the gap, so no frame spans it. Up to ``max_gap`` seconds the model's state and running events are
    carried over it. After a longer gap the state is reset, the model warms up again, and events end where the sound
    ended. They end as soon as it is certain that the gap is that long: while the source is gone, if it says what is
    missing by now, and during a run of invalid samples. When the sound is back, everything is as if the gap had been
    known at once.

    Args:
        model: shared between streams.
        detector: rules; default those of the model's card.
        derived: groups of labels and the class "loud", which follow the model's labels.
        repair: how short runs of invalid samples (NaN, infinite) are filled in: "interpolate", "hold" or "mean".
        max_repair: longest run to fill in, seconds; None = 0.02.
        max_gap: longest gap over which state is carried, seconds.
        reset_after: start from the initial state every so many seconds of sound; None = never.
        stream: name of this stream, repeated in its results.
        engine: what runs the model and carries its state; None = an engine of its own.
        make_detector: makes what finds events, with the arguments of `Detector`: that, or a subclass that watches it.

    Attributes:
        settings: these arguments, for one that is to do the same.
        labels: of the columns of its scores: the model's, then derived ones.
        groups: those that are groups.
        detector_spec: the rules in force.

    Example:
        >>> classifier = StreamClassifier(Model.bundled())           # doctest: +SKIP
        >>> for result in classifier.stream(Microphone(device=2)):   # doctest: +SKIP
        ...     print(result.top)
    """

    def __init__(
        self,
        model: Model,
        detector: DetectorSpec | None = None,
        *,
        derived: DerivedSpec | None = None,
        repair: Method = "interpolate",
        max_repair: float | None = None,
        max_gap: float = MAX_GAP_SECONDS,
        reset_after: float | None = None,
        stream: str = "",
        engine: Engine | None = None,
        make_detector: Callable[..., Detector] = Detector,
    ) -> None:
        card = model.card
        spec = card.features
        self.model = model
        self.name = stream
        self.sample_rate = spec.sample_rate
        self.hop = spec.hop_length * card.stride
        self.detector_spec = card.detector if detector is None else detector
        for name, value in (("max_gap", max_gap), ("max_repair", max_repair), ("reset_after", reset_after)):
            if value is not None and not 0 <= value < math.inf:
                raise SpecError(f"{name} {value:g}: must be 0 or more seconds")
        self._conditioner = Conditioner(
            spec.sample_rate, repair, None if max_repair is None else round(max_repair * spec.sample_rate)
        )
        self._front_end = make_front_end(spec)
        self._engine = make_engine(model) if engine is None else engine
        # A row is about the middle of its stride's frames, `delay` rows ago, and comes with the last of them.
        behind = (card.stride - 1) * spec.hop_length
        self._reference = frame_centre(0, spec) + behind // 2 - card.delay * self.hop
        lag = behind + spec.span - self._reference
        self._derived: DerivedClasses | None = None
        self.labels = card.labels
        self.groups: tuple[str, ...] = () if derived is None else tuple(derived.groups)
        if derived is not None and (derived.groups or derived.loud is not None):
            self._derived = DerivedClasses(derived, card.labels, self.hop, self._reference, lag)
            self.labels = self._derived.labels
            self.detector_spec = derived.detector(self.detector_spec)
        self._detector = make_detector(self.detector_spec, self.labels, spec.sample_rate, self.hop, lag)
        self.settings = ClassifierSettings(
            detector=self.detector_spec,
            derived=derived,
            repair=repair,
            max_repair=max_repair,
            max_gap=max_gap,
            reset_after=reset_after,
            stream=stream,
        )
        self._new_rules: DetectorSpec | None = None  # from the next push on
        self._max_gap = round(max_gap * spec.sample_rate)
        self._stride = card.stride
        self._frame_hop = spec.hop_length
        self._model_id = model.id
        # Rows before the model has heard enough; its first ``delay`` rows are about time before the stream.
        self._cold_rows = max(card.warmup // card.stride, card.delay)
        self._no_scores = Scores(
            _frozen(np.empty((0, len(self.labels)), np.float32)),
            _frozen(np.empty(0, np.int64)),
            _frozen(np.empty(0, np.bool_)),
            self.labels,
            spec.sample_rate,
            self.hop,
        )
        self._no_features: NDArray[np.float32] = _frozen(np.empty((0, spec.width), np.float32))
        self._reset_rows: int | None = None
        if reset_after is not None:
            self._reset_rows = round(reset_after * spec.sample_rate / self.hop)
            if self._reset_rows < 1:
                raise SpecError(
                    f"reset_after {reset_after:g}: must be at least {self.hop / self.sample_rate:g} seconds"
                )
        self.reset()

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"StreamClassifier({name}{self._model_id}, {self.sample_rate} Hz, at sample {self.end})"

    @property
    def smoothed(self) -> NDArray[np.float32]:
        """(C,) float32, the detector's newest averages."""
        return self._detector.smoothed

    @property
    def state(self) -> State:
        """A copy of the model's carried arrays."""
        return self._engine.state

    @property
    def reference(self) -> int:
        """Samples from the first sample of a stream (or behind a gap) to the reference sample of its first row."""
        return self._reference

    @property
    def end(self) -> int:
        """Absolute index one past the last sample taken in, at the model's rate."""
        return self._conditioner.end

    def reset(self) -> None:
        """As new."""
        self._conditioner.reset()
        self._front_end.reset()
        self._engine.reset()
        if self._derived is not None:
            self._derived.reset()
        self._apply_rules()
        self._detector.reset()
        self._run_end: int | None = None  # one past the last sample the front end was given
        self._held = np.empty((0, self.model.card.features.width), np.float32)  # frames short of a stride
        self._rows = 0  # since the last planned reset
        self._told: int | None = None  # start of the newest gap that was told before it was over
        self._heard = 0  # rows since the start or the last gap that reset the state
        self._row_start = 0  # first sample of the next row's first frame
        self._captured_at: float | None = None  # of the newest sample; telemetry, so no snapshot holds it
        self._closed = False

    def push(self, sound: Chunk | ArrayLike) -> Result:
        """Take sound, return every row and event that is now ready.

        Args:
            sound: a Chunk at any rate, or (n,) samples that follow the last ones, at the model's rate.

        Raises:
            ClosedError: after flush.
            UsageError: a chunk that starts before the last one ended, or samples of another shape.
            ModelError: the model gives something that is no probability.
        """
        if self._closed:
            raise ClosedError("push after flush: call reset() to start a new stream")
        if self._new_rules is not None:
            ended = self._apply_rules()
            result = self.push(sound)
            return msgspec.structs.replace(result, events=ended + result.events, rules=self.detector_spec)
        conditioner = self._conditioner
        before = conditioner.repaired
        if isinstance(sound, Chunk):
            if self._is_long_gone(sound):
                return self._gone(sound)
            runs = conditioner.push(sound.samples, sound.start, sound.sample_rate)
            captured_at = sound.captured_at
            if captured_at is not None:
                if len(sound.samples):
                    self._captured_at = captured_at
                captured_at -= conditioner.held_back / self.sample_rate
        else:
            samples = as_samples(sound)
            if samples.ndim != 1:
                raise UsageError(f"samples of shape {samples.shape}: want (n,), one channel")
            runs = conditioner.push(samples, self.end, self.sample_rate)
            captured_at = None
        return self._process(runs, conditioner.repaired - before, captured_at)

    def flush(self) -> Result:
        """No more sound: what was held back, and the events that the end cuts."""
        before = self._conditioner.repaired
        runs = self._conditioner.flush()
        self._closed = True
        return self._process(runs, self._conditioner.repaired - before, None)

    def abandon(self) -> Result:
        """End at once, where ``flush`` cannot: what was held back is given up, and events that are on are cut."""
        self._closed = True
        events = self._detector.flush()
        return Result(self._no_scores, self._no_features, events, (), self.end, 0, self.name, self._model_id)

    def stream(self, source: Iterable[Chunk]) -> Generator[Result]:
        """Results of a whole source, one for each chunk that brought anything; at the end what flush gives.

        Each call starts a new stream: everything that was carried is reset.

        Args:
            source: any source of sound, at any rate.
        """
        self.reset()
        for chunk in source:
            result = self.push(chunk)
            if len(result.scores) or result.events or result.gaps:
                yield result
        last = self.flush()
        if len(last.scores) or last.events or last.gaps:
            yield last

    def astream(self, source: AudioSource) -> AsyncGenerator[Result, None]:
        """As ``stream``, for ``async for``: the source is waited for in a thread, so the event loop goes on.

        Leaving the loop closes the source.

        Args:
            source: any source of sound, at any rate.
        """
        from stream.asynchronous import (
            in_thread,  # here, because only this method needs it, and it takes a while
        )

        return in_thread(self.stream(source), source.close)

    def change_rules(self, detector: DetectorSpec) -> None:
        """Other rules of the detector from the next push (or reset) on, whose result says so. From any thread.

        What is on stays on and goes by them. A stream that is restored must have the rules of its snapshot.

        Raises:
            SpecError: a rule for a class that there is not.
        """
        derived = self.settings.derived
        spec = detector if derived is None else derived.detector(detector)
        spec.check_labels(self.labels)
        self._new_rules = spec

    def _apply_rules(self) -> tuple[Event, ...]:
        spec, self._new_rules = self._new_rules, None
        if spec is None:
            return ()
        self.detector_spec = spec
        return self._detector.change_rules(spec)

    def snapshot(self) -> Snapshot:
        """The whole stream as plain values, at any sample: see ``stream.snapshot``.

        Raises:
            SnapshotInvalid: the resampler in use cannot be saved (see ``StreamingResampler.snapshot``).
        """
        return snapshots.begin(
            _KIND,
            model=self.model.sha256,
            stream=self.name,
            conditioner=self._conditioner.snapshot(),
            front_end=self._front_end.snapshot(),
            engine=self._engine.snapshot(),
            derived=None if self._derived is None else self._derived.snapshot(),
            detector=self._detector.snapshot(),
            run_end=self._run_end,
            held=self._held.copy(),
            rows=self._rows,
            heard=self._heard,
            row_start=self._row_start,
            told=self._told,
            closed=self._closed,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue, to the bit, from a snapshot of a stream of the same model and settings, saved in any process.

        Raises:
            SnapshotInvalid: it is damaged, or of another model or other settings; this stream is then reset.
        """
        try:
            values = snapshots.check(snapshot, _KIND)
            snapshots.same(values, "model", self.model.sha256)
            self._conditioner.restore(snapshots.inner(values, "conditioner"))
            self._front_end.restore(snapshots.inner(values, "front_end"))
            self._engine.restore(snapshots.inner(values, "engine"))
            if self._derived is not None:
                self._derived.restore(snapshots.inner(values, "derived"))
            self._detector.restore(snapshots.inner(values, "detector"))
            self._run_end = snapshots.optional(values, "run_end")
            self._held = snapshots.array(values, "held", "float32", (-1, self.model.card.features.width))
            self._rows = snapshots.number(values, "rows")
            self._heard = snapshots.number(values, "heard")
            self._row_start = snapshots.number(values, "row_start")
            self._told = snapshots.optional(values, "told")
            self._closed = bool(values.get("closed"))
        except BaseException:
            self.reset()
            raise

    def _is_long_gone(self, chunk: Chunk) -> bool:
        """Whether the source says that it is gone, and the gap is certain to be longer than ``max_gap``."""
        if not chunk.missing or len(chunk.samples) or not self._conditioner.begun:
            return False
        heard_until = self._conditioner.end + self._conditioner.held_back
        return self._lost_until(chunk) - heard_until > self._max_gap

    def _lost_until(self, heartbeat: Chunk) -> int:
        return (heartbeat.start + heartbeat.missing) * self.sample_rate // heartbeat.sample_rate

    def _gone(self, heartbeat: Chunk) -> Result:
        """End what a long gap ends, before its own end is known."""
        result = self._process(self._conditioner.interrupt(), 0, self._captured_at)
        until, end = self._lost_until(heartbeat), self._conditioner.end
        lost = self._lose_context(until)
        opened = self._opened(Gap(end, until - end, self.sample_rate))
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
        self._engine.reset()
        self._rows = self._heard = 0
        return self._detector.gap(length, carried=False)

    def _process(self, runs: list[Run], repaired: int, captured_at: float | None) -> Result:
        """Runs of clean samples through front end, engine and detector."""
        scores: list[Scores] = []
        frames: list[NDArray[np.float32]] = []
        events: tuple[Event, ...] = ()
        hop = self._frame_hop
        for start, samples in runs:
            if start != self._run_end:
                events += self._jump(start)
            self._run_end = start + len(samples)
            if self._derived is not None:
                self._derived.hear(start, samples)
            by_hop = hop < len(samples) <= SINGLE_HOPS * hop
            for part in [samples[i : i + hop] for i in range(0, len(samples), hop)] if by_hop else (samples,):
                new = self._front_end.push(part)
                if len(new):
                    frames.append(new)
                    rows = self._advance(new)
                    if rows is not None:
                        scores.append(rows)
                        events += self._detector.push(rows)
        if self._closed:
            events += self._detector.flush()
        elif (lost_until := self._conditioner.lost_until) is not None:
            events += self._lose_context(lost_until)
        open_gap = None if self._closed else self._conditioner.open_gap
        return Result(
            scores[0] if len(scores) == 1 else self.join(scores),
            frames[0] if len(frames) == 1 else np.concatenate(frames) if frames else self._no_features,
            events,
            tuple(self._conditioner.gaps),
            self.end,
            repaired,
            self.name,
            self._model_id,
            captured_at,
            opened=() if open_gap is None else self._opened(open_gap),
        )

    def _jump(self, start: int) -> tuple[Event, ...]:
        """Begin the stream, or go over a gap, at sample ``start``."""
        before = self._run_end
        self._front_end.reset(start)
        self._held = self._held[:0]
        self._row_start = start
        if before is None:
            return ()
        if start - before > self._max_gap:
            return self._lose_context(start)
        return self._detector.gap(start - before, carried=True)

    def _advance(self, new: NDArray[np.float32]) -> Scores | None:
        """Feature frames to rows of scores; None where there are fewer than a stride."""
        if self._stride > 1:
            self._held = np.concatenate([self._held, new])
            ready = len(self._held) // self._stride * self._stride
            new, self._held = self._held[:ready], self._held[ready:]
        rows = len(new) // self._stride
        if not rows:
            return None
        if self._reset_rows is None:
            probs = self._engine.run(new)
        else:
            probs = self._run_with_resets(new, rows, self._reset_rows)
        if not _are_probabilities(probs):
            raise self._no_probability(probs)
        # A planned reset is part of how the model is used; only a start or a lost context makes it cold.
        cold = max(0, self._cold_rows - self._heard)
        warm = _WARM if rows == 1 and not cold else np.arange(rows) >= cold
        self._heard += rows
        first = self._row_start + self._reference
        self._row_start += rows * self.hop
        sample = np.arange(first, first + rows * self.hop, self.hop, dtype=np.int64)
        if self._derived is not None:
            probs = self._derived.push(probs, sample)
        return Scores(probs, sample, warm, self.labels, self.sample_rate, self.hop)

    def _no_probability(self, probs: NDArray[np.float32]) -> ModelError:
        wrong = ~((probs >= 0) & (probs <= MAX_PROBABILITY))
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        label = int(np.flatnonzero(wrong[row])[0])
        seconds = (self._row_start + row * self.hop) / self.sample_rate
        return ModelError(
            f"model {self.model.path}: gives {float(probs[row, label]):g} for {self.labels[label]} at {seconds:.2f} s, "
            "not a probability in 0 to 1; export it again from weights that are finite"
        )

    def _run_with_resets(self, new: NDArray[np.float32], rows: int, every: int) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        done = 0
        while done < rows:
            if self._rows >= every:
                self._engine.reset()
                self._rows = 0
            count = min(rows - done, every - self._rows)
            parts.append(self._engine.run(new[done * self._stride : (done + count) * self._stride]))
            self._rows += count
            done += count
        return np.concatenate(parts)

    def join(self, parts: list[Scores]) -> Scores:
        """Consecutive scores of this stream as one; no rows for an empty list."""
        if len(parts) < 2:
            return parts[0] if parts else self._no_scores
        return Scores(
            np.concatenate([p.probs for p in parts]),
            np.concatenate([p.sample for p in parts]),
            np.concatenate([p.warm for p in parts]),
            self.labels,
            self.sample_rate,
            self.hop,
        )
