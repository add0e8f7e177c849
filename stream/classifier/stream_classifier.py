"""StreamClassifier: conditioner, front end, engine, detector and all the state of one stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream import snapshot as snapshots
from stream.classifier.stages import Stages, Steps
from stream.decisions.derived import DerivedSpec
from stream.decisions.detector import Detector
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, UsageError
from stream.features.conditioner import MAX_GAP_SECONDS
from stream.features.repair import Method, as_samples
from stream.inference.engine import Engine, make_engine
from stream.inference.session import Model, State
from stream.messages import Chunk, Event, Result, Scores
from stream.session.description import ClassifierSettings
from stream.snapshot import Snapshot

if TYPE_CHECKING:
    from stream.capture.source import AudioSource

_KIND = "classifier"


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
        self.model = model
        self.name = stream
        self.sample_rate = model.card.features.sample_rate
        self.detector_spec = model.card.detector if detector is None else detector
        if derived is not None:
            self.detector_spec = derived.detector(self.detector_spec)
        self.settings = ClassifierSettings(
            detector=self.detector_spec,
            derived=derived,
            repair=repair,
            max_repair=max_repair,
            max_gap=max_gap,
            reset_after=reset_after,
            stream=stream,
        )
        self._engine = make_engine(model) if engine is None else engine
        self._stages = Stages(self._engine, self.settings, make_detector)
        self.hop, self.labels = self._stages.rows.hop, self._stages.rows.labels
        self.groups: tuple[str, ...] = () if derived is None else tuple(derived.groups)
        self._new_rules: DetectorSpec | None = None  # from the next push on
        self.reset()

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"StreamClassifier({name}{self.model.id}, {self.sample_rate} Hz, at sample {self.end})"

    @property
    def smoothed(self) -> NDArray[np.float32]:
        """(C,) float32, the detector's newest averages."""
        return self._stages.detector.smoothed

    @property
    def state(self) -> State:
        """A copy of the model's carried arrays."""
        return self._engine.state

    @property
    def reference(self) -> int:
        """Samples from the first sample of a stream (or behind a gap) to the reference sample of its first row."""
        return self._stages.rows.reference

    @property
    def end(self) -> int:
        """Absolute index one past the last sample taken in, at the model's rate."""
        return self._stages.conditioner.end

    def reset(self) -> None:
        """As new."""
        self._apply_rules()
        self._stages.reset()

    def push(self, sound: Chunk | ArrayLike) -> Result:
        """Take sound, return every row and event that is now ready.

        Args:
            sound: a Chunk at any rate, or (n,) samples that follow the last ones, at the model's rate.

        Raises:
            ClosedError: after flush.
            UsageError: a chunk that starts before the last one ended, or samples of another shape.
            ModelError: the model gives something that is no probability.
        """
        return self._carry_out(self.steps(sound))

    def steps(self, sound: Chunk | ArrayLike, *, by_hop: bool = True) -> Steps:
        """``push`` for one who runs the model himself, for many streams at once.

        A generator: it gives feature frames, (T, F) float32 with T a multiple of the card's stride, as often as the
        model is to be run, wants to be sent the (T / stride, C) float32 that ``engine.run`` would return, and returns
        the Result. What runs the model must carry the state of this classifier's engine, which is also reset by it.

        Args:
            sound: as for ``push``.
            by_hop: whether a few hops may be run one by one, which is quicker for one stream alone.

        Raises:
            As ``push``.
        """
        stages = self._stages
        if stages.closed:
            raise ClosedError("push after flush: call reset() to start a new stream")
        if self._new_rules is not None:
            return self._with_new_rules(sound, by_hop)
        if isinstance(sound, Chunk):
            return stages.take_chunk(sound, by_hop)
        samples = as_samples(sound)
        if samples.ndim != 1:
            raise UsageError(f"samples of shape {samples.shape}: want (n,), one channel")
        return stages.take(samples, by_hop)

    def joining(self, chunk: Chunk) -> Stages | None:
        """The stages, where ``push`` of a chunk may be left to `ManyStreams`; else None."""
        stages = self._stages
        return stages if self._new_rules is None and stages.can_join(chunk) else None

    def flush(self) -> Result:
        """No more sound: what was held back, and the events that the end cuts."""
        return self._carry_out(self._stages.flush())

    def abandon(self) -> Result:
        """End at once, where ``flush`` cannot: what was held back is given up, and events that are on are cut."""
        return self._stages.abandon()

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
        self._new_rules = self.rules_of(detector)

    def rules_of(self, detector: DetectorSpec) -> DetectorSpec:
        """``detector`` as ``change_rules`` would put it in force.

        Raises:
            SpecError: a rule for a class that there is not.
        """
        derived = self.settings.derived
        spec = detector if derived is None else derived.detector(detector)
        spec.check_labels(self.labels)
        return spec

    def _apply_rules(self) -> tuple[Event, ...]:
        spec, self._new_rules = self._new_rules, None
        if spec is None:
            return ()
        self.detector_spec = spec
        return self._stages.detector.change_rules(spec)

    def _with_new_rules(self, sound: Chunk | ArrayLike, by_hop: bool) -> Steps:
        ended = self._apply_rules()
        result = yield from self.steps(sound, by_hop=by_hop)
        return msgspec.structs.replace(result, events=ended + result.events, rules=self.detector_spec)

    def snapshot(self) -> Snapshot:
        """The whole stream as plain values, at any sample: see ``stream.snapshot``.

        Raises:
            SnapshotInvalid: the resampler in use cannot be saved (see ``StreamingResampler.snapshot``).
        """
        values = self._stages.snapshot()
        return snapshots.begin(_KIND, model=self.model.sha256, stream=self.name, **values)

    def restore(self, snapshot: Snapshot) -> None:
        """Continue, to the bit, from a snapshot of a stream of the same model and settings, saved in any process.

        Raises:
            SnapshotInvalid: it is damaged, or of another model or other settings; this stream is then reset.
        """
        try:
            values = snapshots.check(snapshot, _KIND)
            snapshots.same(values, "model", self.model.sha256)
            self._stages.restore(values)
        except BaseException:
            self.reset()
            raise

    def join(self, parts: list[Scores]) -> Scores:
        """Consecutive scores of this stream as one; no rows for an empty list."""
        return self._stages.rows.join(parts)

    def _carry_out(self, steps: Steps) -> Result:
        """Do steps with the engine of this stream."""
        run = self._engine.run
        try:
            frames = next(steps)
            while True:
                frames = steps.send(run(frames))
        except StopIteration as end:
            result: Result = end.value
            return result
