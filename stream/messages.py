"""What travels between the stages: immutable messages, each with absolute sample indices.

A sample index counts from the start of the stream at ``sample_rate`` and never restarts, so a jump says
exactly how much was lost. Seconds appear only as properties, for people. Python integers do not overflow;
arrays of indices are int64.

They are msgspec structs because one is made in a quarter of the time of a frozen dataclass, three times a hop.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

SourceState = Literal["listening", "silent", "recovering", "failed"]


class Chunk(msgspec.Struct, frozen=True, eq=False):
    """A run of consecutive samples from one source.

    Attributes:
        samples: (n,) float32, mono, nominal range [-1, 1]; NaN marks a missing sample. n may be 0: an empty
            chunk is a heartbeat (it carries ``state`` while no sound arrives).
        start: absolute index of ``samples[0]`` at ``sample_rate``. A start beyond the end of the previous
            chunk is a gap of exactly that many samples.
        sample_rate: samples per second, Hz.
        captured_at: seconds of the source's monotonic clock when the last sample arrived; None for files.
            Telemetry only: no decision reads it.
        state: what the source is doing. Files are always "listening".
        detail: why it is in that state, for people; "" where there is nothing to say.
        missing: of an empty chunk: how many samples from ``start`` on are certainly lost by now, in a gap that has not
            ended. The next sample comes behind them. So what a long gap ends, ends while the source is gone.
        clean: every sample is certainly a number of ordinary size, as those are that were integers. Nobody looks for
            invalid ones then.
    """

    samples: NDArray[np.float32]
    start: int
    sample_rate: int
    captured_at: float | None = None
    state: SourceState = "listening"
    detail: str = ""
    missing: int = 0
    clean: bool = False

    @property
    def end(self) -> int:
        """Absolute index one past the last sample."""
        return self.start + len(self.samples)


class Gap(msgspec.Struct, frozen=True):
    """Samples that never reached the model.

    Attributes:
        start, length: absolute index and count at ``sample_rate``.
        reason: "lost" (the source skipped them), "missing" (NaN or infinite for too long to repair).
    """

    start: int
    length: int
    sample_rate: int
    reason: Literal["lost", "missing"] = "lost"

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def seconds(self) -> float:
        return self.length / self.sample_rate


class Scores(msgspec.Struct, frozen=True, eq=False):
    """Class probabilities of T model outputs.

    Attributes:
        probs: (T, C) float32 in [0, 1].
        sample: (T,) int64, the reference sample of each row: the centre of its analysis window, less the
            model's stated delay.
        warm: (T,) bool, False while the model has not yet seen as much context as its card asks for.
        labels: C names, in column order.
        sample_rate: the model's rate, Hz.
        hop: samples between consecutive rows (gaps apart).
    """

    probs: NDArray[np.float32]
    sample: NDArray[np.int64]
    warm: NDArray[np.bool_]
    labels: tuple[str, ...]
    sample_rate: int
    hop: int

    def __len__(self) -> int:
        return len(self.probs)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(T,) float64, ``sample`` in seconds."""
        return self.sample / float(self.sample_rate)


class Event(msgspec.Struct, frozen=True):
    """One detection. Sent twice: when it begins (``offset`` is None) and, complete, when it has ended.

    Attributes:
        id: counts from 0 within the stream; the same in both messages.
        label: class name.
        onset, offset: absolute samples at ``sample_rate``; offset is exclusive.
        peak, mean: of the smoothed probability from onset up to now (onset message) or to offset.
        decided: index one past the newest sample the detector had seen when it decided; ``decided - onset``
            is the detection delay.
        gap: samples lost between onset and offset.
        cut: True when a gap, a reset or the end of the stream ended it, not the sound.
    """

    id: int
    label: str
    onset: int
    offset: int | None
    peak: float
    mean: float
    sample_rate: int
    decided: int
    gap: int = 0
    cut: bool = False

    @property
    def onset_s(self) -> float:
        return self.onset / self.sample_rate

    @property
    def offset_s(self) -> float | None:
        return None if self.offset is None else self.offset / self.sample_rate


class Status(msgspec.Struct, frozen=True):
    """The source changed what it is doing, or why; or a person changed how it is heard.

    Attributes:
        state: what it does now.
        sample: where in the stream, absolute index at ``sample_rate``.
        sample_rate: Hz.
        detail: why it is in that state, for people; "" where there is nothing to say.
        captured_at: when, in seconds of the source's monotonic clock; None where that is not known.
        by: "source", or "person": then ``state`` is as it was, and ``detail`` says what was changed.
    """

    state: SourceState
    sample: int
    sample_rate: int
    detail: str = ""
    captured_at: float | None = None
    by: Literal["source", "person"] = "source"


class RecentSound(Protocol):
    """The last seconds of a source, by absolute sample index: ``stream.SoundHistory``, as a result refers to it."""

    sample_rate: int

    @property
    def span(self) -> tuple[int, int]:
        """Absolute indices of the oldest sample that is kept and of the one after the newest."""
        ...

    def read(self, start: int, stop: int) -> tuple[NDArray[np.float32], int]:
        """What is still there of [start, stop), (n,) float32 with NaN where samples are missing, and its index."""
        ...

    def between(self, onset: int, offset: int, sample_rate: int) -> tuple[NDArray[np.float32], int]:
        """``read`` of a stretch given at another rate, such as an event's."""
        ...


class Result(msgspec.Struct, frozen=True, eq=False):
    """What one push (or flush) brought.

    Attributes:
        scores: all rows that became ready; may have T = 0.
        features: (T', F) float32, the feature frames behind them (T' = T times the model's stride).
        events: onsets and complete events, in order of decision.
        gaps: gaps found in this push, each once, when it is over.
        snapshot: the state of the classifier behind it, where the run was asked for snapshots and one was due; None
            elsewhere. See ``stream.snapshot``.
        rules: of the detector (a ``DetectorSpec``), where they changed before this result, and beside a snapshot.
        opened: gaps that are not over, each once, when they have lasted longer than ``max_gap``; their length is that
            so far. They are in ``gaps`` later.
        end: index one past the last sample consumed, at the model's rate.
        repaired: samples filled in by the repair policy in this push.
        stream: name of the stream, as the classifier was told; "" if it was not.
        model: which model this is, ``Model.id``.
        captured_at: when sample ``end - 1`` arrived, seconds of the source's monotonic clock; None for recordings.
            Decisions never read it.
        sound: the recent sound of the source, where the run keeps it; None elsewhere.
        busy_seconds: what computing this result took, where the run measured it.
    """

    scores: Scores
    features: NDArray[np.float32]
    events: tuple[Event, ...] = ()
    gaps: tuple[Gap, ...] = ()
    end: int = 0
    repaired: int = 0
    stream: str = ""
    model: str = ""
    captured_at: float | None = None
    sound: RecentSound | None = None
    busy_seconds: float = 0.0
    opened: tuple[Gap, ...] = ()
    snapshot: dict[str, Any] | None = None
    rules: Any = None

    def __repr__(self) -> str:
        top = "no row" if self.top is None else f"{self.top[0]} {self.top[1]:.2f}"
        return (
            f"Result({len(self.scores)} rows, {top}, {len(self.events)} events, {len(self.gaps)} gaps, "
            f"end {self.end}, {self.model or 'no model'})"
        )

    @property
    def probs(self) -> NDArray[np.float32]:
        """(T, C) float32, the same as ``scores.probs``."""
        return self.scores.probs

    @property
    def labels(self) -> tuple[str, ...]:
        return self.scores.labels

    @property
    def top(self) -> tuple[str, float] | None:
        """Label and probability of the strongest class in the newest row; None when there is no row."""
        if not len(self.scores):
            return None
        i = int(self.scores.probs[-1].argmax())
        return self.labels[i], float(self.scores.probs[-1, i])


class SourceInfo(msgspec.Struct, frozen=True):
    """What was opened, in words and numbers, for the status line and the logs.

    Attributes:
        name: device or file name.
        sample_rate: the rate sound arrives at, Hz.
        channels: channels of the source before one was chosen or mixed.
        channel: "mix" or a 1-based number.
        live: True when time passes by itself (microphone, network), False when reading can be as fast as wanted.
        duration: samples in all at ``sample_rate`` where that is known.
        detail: anything else worth showing (host API, block size, codec).
    """

    name: str
    sample_rate: int
    channels: int = 1
    channel: str = "mix"
    live: bool = False
    duration: int | None = None
    detail: str = ""
    extra: dict[str, str] = {}
