"""StreamClassifier: repair, features, model, detector and all the state of one stream."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.decisions.detector import Detector
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, SpecError, UsageError
from stream.features.framing import frame_centre
from stream.features.mfcc import StreamingMfcc
from stream.features.repair import Method, Repair, as_samples
from stream.inference.session import Model, State
from stream.inference.stepper import Stepper
from stream.messages import Chunk, Event, Gap, Result, Scores


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)  # shared by all results
    return array


_WARM = _frozen(np.ones(1, np.bool_))
BLOCK = 160_000  # samples a push of a whole recording: few calls, and scratch that stays small
FEW = 4  # hops in one push up to which they are quicker one by one than as a block
MAX_GAP = 1.0  # seconds of lost sound over which the model's state is still worth keeping


class StreamClassifier:
    """Classifies one stream. Push sound, get what is ready.

    Policy for gaps (a chunk that starts later than the last one ended, or a long run of missing samples): the
    features start anew behind the gap, so no frame spans it. Up to ``max_gap`` seconds the model's state and
    running events are carried over it; after a longer one the state is reset, the model warms up again, and
    events end where the sound ended.

    Args:
        model: shared between streams.
        detector: rules; default those of the model's card.
        repair: how short holes (NaN, infinite) are mended: "interpolate", "hold" or "mean".
        max_hole: longest hole to mend, seconds; None = 0.02.
        max_gap: longest gap over which state is carried, seconds.
        reset_after: start from the initial state every so many seconds of sound; None = never.

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
        repair: Method = "interpolate",
        max_hole: float | None = None,
        max_gap: float = MAX_GAP,
        reset_after: float | None = None,
    ) -> None:
        card = model.card
        spec = card.features
        self.model = model
        self.sample_rate = spec.sample_rate
        self.hop = spec.hop_length * card.stride
        self.detector_spec = card.detector if detector is None else detector
        for name, value in (("max_gap", max_gap), ("max_hole", max_hole), ("reset_after", reset_after)):
            if value is not None and not 0 <= value < math.inf:
                raise SpecError(f"{name} {value:g}: must be 0 or more seconds")
        self._repair = Repair(
            spec.sample_rate, repair, None if max_hole is None else round(max_hole * spec.sample_rate)
        )
        self._features = StreamingMfcc(spec)
        self._stepper = Stepper(model)
        # A row is about the middle of its stride's frames, `delay` rows ago, and comes with the last of them.
        behind = (card.stride - 1) * spec.hop_length
        self._reference = frame_centre(0, spec) + behind // 2 - card.delay * self.hop
        lag = behind + spec.n_fft - self._reference
        self._detector = Detector(self.detector_spec, card.labels, spec.sample_rate, self.hop, lag)
        self._max_gap = round(max_gap * spec.sample_rate)
        self._stride = card.stride
        # Rows before the model has heard enough; its first ``delay`` answers are about time before the stream.
        self._cold_rows = max(card.warmup // card.stride, card.delay)
        self._nothing = Scores(
            _frozen(np.empty((0, len(card.labels)), np.float32)),
            _frozen(np.empty(0, np.int64)),
            _frozen(np.empty(0, np.bool_)),
            card.labels,
            spec.sample_rate,
            self.hop,
        )
        self._no_features: NDArray[np.float32] = _frozen(np.empty((0, spec.n_features), np.float32))
        self._reset_rows: int | None = None
        if reset_after is not None:
            self._reset_rows = round(reset_after * spec.sample_rate / self.hop)
            if self._reset_rows < 1:
                raise SpecError(
                    f"reset_after {reset_after:g}: must be at least {self.hop / self.sample_rate:g} seconds"
                )
        self.reset()

    @property
    def labels(self) -> tuple[str, ...]:
        return self.model.card.labels

    @property
    def smoothed(self) -> NDArray[np.float32]:
        """(C,) float32, the detector's newest averages."""
        return self._detector.smoothed

    @property
    def state(self) -> State:
        """A copy of the model's carried arrays."""
        return self._stepper.state

    @property
    def reference(self) -> int:
        """Samples from the first sample of a stream (or behind a gap) to the reference sample of its first row."""
        return self._reference

    @property
    def end(self) -> int:
        """Absolute index one past the last sample taken in."""
        return self._next or 0

    def reset(self) -> None:
        """As new."""
        self._repair.reset()
        self._features.reset()
        self._stepper.reset()
        self._detector.reset()
        self._next: int | None = None  # index the next sample should have
        self._clean_end: int | None = None  # one past the last sample the features saw
        self._held = np.empty(
            (0, self.model.card.features.n_features), np.float32
        )  # frames short of a stride
        self._rows = 0  # since the last planned reset
        self._heard = 0  # since the start or the last gap that reset it
        self._row_start = 0  # first sample of the next row's first frame
        self._closed = False

    def push(self, sound: Chunk | ArrayLike) -> Result:
        """Take sound, give every row and event that is now ready.

        Args:
            sound: a Chunk, or (n,) samples that follow the last ones, at the model's rate.

        Raises:
            ClosedError: after flush.
            UsageError: a chunk at another rate (``stream()`` and ``run()`` resample), or out of order.
        """
        if self._closed:
            raise ClosedError("push after flush: call reset() to start a new stream")
        if isinstance(sound, Chunk):
            if sound.sample_rate != self.sample_rate:
                raise UsageError(
                    f"chunk at {sound.sample_rate} Hz: the model wants {self.sample_rate}; "
                    "wrap the source in resampled(source, rate), or use stream() or run()"
                )
            samples, start = sound.samples, sound.start
        else:
            samples, start = as_samples(sound), self.end
            if samples.ndim != 1:
                raise UsageError(f"samples of shape {samples.shape}: want (n,), one channel")
        gaps: list[Gap] = []
        if self._next is None:
            self._next = start
        elif start < self._next:
            raise UsageError(
                f"chunk starts at sample {start}, the last one ended at {self._next}: want them in order"
            )
        elif start > self._next:
            gaps.append(Gap(self._next, start - self._next, self.sample_rate))
        repair, self._next = self._repair, start + len(samples)
        before = repair.repaired
        runs = repair.push(samples, start)
        if len(runs) == 1 and runs[0][0] == self._clean_end and not gaps and not repair.gaps:
            return self._go_on(*runs[0], repair.repaired - before)
        if not runs and not gaps and not repair.gaps:  # a heartbeat, or sound that is held back
            return Result(self._nothing, self._no_features, (), (), self.end, repair.repaired - before)
        if repair.gaps:
            gaps = sorted([*repair.gaps, *gaps], key=lambda gap: gap.start)
        return self._result(runs, gaps, repair.repaired - before, False)

    def flush(self) -> Result:
        """No more sound: what was held back, and the events that the end cuts."""
        before = self._repair.repaired
        runs = [] if self._closed else self._repair.flush()
        gaps = [] if self._closed else list(self._repair.gaps)
        self._closed = True
        return self._result(runs, gaps, self._repair.repaired - before, True)

    def stream(self, source: Iterable[Chunk]) -> Iterator[Result]:
        """Results of a whole source, one for each chunk that brought anything; at the end what flush gives.

        Args:
            source: any source of sound, at any rate; resampled here to the model's.
        """
        from stream.capture.resample import resampled

        for chunk in resampled(source, self.sample_rate):  # type: ignore[arg-type]
            result = self.push(chunk)
            if len(result.scores) or result.events or result.gaps:
                yield result
        last = self.flush()
        if len(last.scores) or last.events or last.gaps:
            yield last

    def _go_on(self, start: int, samples: NDArray[np.float32], repaired: int) -> Result:
        """``_result`` of sound that follows the last without a seam: nearly every push of a live stream."""
        self._clean_end = start + len(samples)
        hop = self._features.spec.hop_length
        if not hop < len(samples) <= FEW * hop:
            return Result(*self._hear(samples), (), self.end, repaired)
        heard = [self._hear(samples[at : at + hop]) for at in range(0, len(samples), hop)]
        scores = self._join([part[0] for part in heard if len(part[0].probs)])
        features = np.concatenate([part[1] for part in heard])
        return Result(scores, features, sum([part[2] for part in heard], ()), (), self.end, repaired)

    def _hear(self, samples: NDArray[np.float32]) -> tuple[Scores, NDArray[np.float32], tuple[Event, ...]]:
        features = self._features.push(samples)
        scores = self._advance(features) if len(features) else self._nothing
        return scores, features, self._detector.push(scores) if len(scores.probs) else ()

    def _result(
        self, runs: list[tuple[int, NDArray[np.float32]]], gaps: list[Gap], repaired: int, last: bool
    ) -> Result:
        events: list[Event] = []
        parts: list[Scores] = []
        frames: list[NDArray[np.float32]] = []
        for start, samples in runs:
            if self._clean_end is None:
                self._begin(start)
            elif start != self._clean_end:
                events += self._cross(start - self._clean_end, start)
            self._clean_end = start + len(samples)
            new = self._features.push(samples)
            if len(new):
                scores = self._advance(new)
                if len(scores):
                    parts.append(scores)
                    events += self._detector.push(scores)
                frames.append(new)
        if last:
            events += self._detector.flush()
        scores = self._join(parts)
        features = frames[0] if len(frames) == 1 else np.concatenate([self._held[:0], *frames])
        return Result(scores, features, tuple(events), tuple(gaps), self.end, repaired)

    def _begin(self, start: int) -> None:
        self._features.reset(start)
        self._held = self._held[:0]
        self._row_start = start

    def _cross(self, length: int, start: int) -> tuple[Event, ...]:
        """Go over a gap of ``length`` samples that ends at ``start``."""
        carried = length <= self._max_gap
        self._begin(start)
        if not carried:
            self._stepper.reset()
            self._rows = self._heard = 0
        return self._detector.gap(length, carried=carried)

    def _advance(self, new: NDArray[np.float32]) -> Scores:
        """Feature frames to rows of scores."""
        if self._stride > 1:
            self._held = np.concatenate([self._held, new])
            ready = len(self._held) // self._stride * self._stride
            new, self._held = self._held[:ready], self._held[ready:]
        rows = len(new) // self._stride
        if not rows:
            return self._nothing
        if self._reset_rows is None:
            probs = self._stepper.run_one(new) if rows == 1 else self._stepper.run(new[None])[0]
        else:
            probs = self._run_with_resets(new, rows, self._reset_rows)
        # A planned reset is part of how the model is used; only a start or a lost context makes it cold.
        cold = max(0, self._cold_rows - self._heard)
        warm = _WARM if rows == 1 and not cold else np.arange(rows) >= cold
        self._heard += rows
        first = self._row_start + self._reference
        self._row_start += rows * self.hop
        sample = np.arange(first, first + rows * self.hop, self.hop, dtype=np.int64)
        return Scores(probs, sample, warm, self.labels, self.sample_rate, self.hop)

    def _run_with_resets(self, new: NDArray[np.float32], rows: int, every: int) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        done = 0
        while done < rows:
            if self._rows >= every:
                self._stepper.reset()
                self._rows = 0
            count = min(rows - done, every - self._rows)
            parts.append(self._stepper.run(new[None, done * self._stride : (done + count) * self._stride])[0])
            self._rows += count
            done += count
        return np.concatenate(parts)

    def _join(self, parts: list[Scores]) -> Scores:
        if len(parts) < 2:
            return parts[0] if parts else self._nothing
        return Scores(
            np.concatenate([p.probs for p in parts]),
            np.concatenate([p.sample for p in parts]),
            np.concatenate([p.warm for p in parts]),
            self.labels,
            self.sample_rate,
            self.hop,
        )


def classify(
    sound: str | Path | ArrayLike,
    model: Model,
    detector: DetectorSpec | None = None,
    *,
    sample_rate: int | None = None,
) -> Result:
    """Scores and events of a whole recording: the live path, pushed in one go.

    Args:
        sound: a file, or (n,) mono samples.
        model: what to run.
        detector: rules; default those of the model's card.
        sample_rate: of the samples, Hz; default the model's. Ignored for a file.

    Returns:
        One Result with every row, event and gap. Equal to what a live stream of the same samples gives.
    """
    from stream.capture.files import FileSource
    from stream.capture.source import ArraySource

    classifier = StreamClassifier(model, detector)
    if isinstance(sound, (str, Path)):
        source: Iterable[Chunk] = FileSource(sound, block_samples=BLOCK)
    else:
        rate = classifier.sample_rate if sample_rate is None else sample_rate
        source = ArraySource(np.asarray(sound), rate, block_samples=BLOCK)
    return merge(list(classifier.stream(source)), classifier)


def merge(results: list[Result], classifier: StreamClassifier) -> Result:
    """Consecutive results of one stream as one; empty lists give an empty result."""
    scores = [r.scores for r in results if len(r.scores)]
    width = classifier.model.card.features.n_features
    return Result(
        classifier._join(scores),
        np.concatenate([np.empty((0, width), np.float32), *(r.features for r in results)]),
        tuple(e for r in results for e in r.events),
        tuple(g for r in results for g in r.gaps),
        classifier.end,
        sum(r.repaired for r in results),
    )
