"""HubSink: one run among the sinks of which a station knows what is heard just now, and tells its hub."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.inference.card import ModelCard
from stream.logbook.sound_level import decibels
from stream.messages import Chunk, Result, SourceInfo, SourceState, Status
from stream.outputs.records import Origin, result_records, status_record
from stream.outputs.schema import SCHEMA_VERSION, EventRecord, GapRecord, OnsetRecord
from stream.outputs.wall_time import CaptureTimes
from stream.server.hub import Hub
from stream.server.hub_message import HubKind, HubMessage, HubRecord, LevelRecord

LEVELS_PER_SECOND = 10


class Hearing(msgspec.Struct, frozen=True):
    """What is heard just now, in one run.

    Attributes:
        state, detail: what the source does, and why.
        since: seconds since 1970 of the last change of state.
        probs: of the newest row, by label; empty before the first one.
        on: classes with an event that is on.
        last_event: the newest one that has begun, complete or not.
        rms_dbfs, peak_dbfs: of the newest tenth of a second; None before it.
        seconds: of the stream, until now.
        lost_seconds: of it, in gaps.
        rows, events: so far; events that are complete.
        busy_seconds: spent classifying.
        lag_seconds: from the capture of the newest sound to its result; None where that is not known.
        heard_at: monotonic seconds of the newest sound; None before it.
    """

    state: SourceState = "listening"
    detail: str = ""
    since: float = 0.0
    probs: dict[str, float] = {}
    on: tuple[str, ...] = ()
    last_event: OnsetRecord | EventRecord | None = None
    rms_dbfs: float | None = None
    peak_dbfs: float | None = None
    seconds: float = 0.0
    lost_seconds: float = 0.0
    rows: int = 0
    events: int = 0
    busy_seconds: float = 0.0
    lag_seconds: float | None = None
    heard_at: float | None = None


class HubSink:
    """A sink that keeps the newest of everything and hands to the hub what is watched.

    Args:
        hub: told of this run.
        origin: its ``source`` is the name by which the hub knows it.
        source: what was opened.
        card: of the model.
        labels: of the classifier.
        times: the clocks behind wall times.
        clock: monotonic seconds, that of the run.

    Attributes:
        closed: whether the run has ended.
    """

    def __init__(
        self,
        hub: Hub,
        origin: Origin,
        source: SourceInfo,
        card: ModelCard,
        labels: tuple[str, ...],
        *,
        times: CaptureTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hub, self._origin, self._name = hub, origin, origin.source
        self._live = source.live
        self._labels = labels
        self._rate = card.features.sample_rate
        self._times = CaptureTimes() if times is None else times
        self._clock = clock
        self._muted = self.closed = False
        self._state: tuple[SourceState, str] = ("listening", "")
        self._since = self._times.of(None)
        self._probs: NDArray[np.float32] | None = None
        self._on: dict[int, str] = {}
        self._last_event: OnsetRecord | EventRecord | None = None
        self._level: tuple[float, float] | None = None  # mean square, peak
        self._energy = self._peak = 0.0  # since the last level
        self._samples = 0
        self._seconds = self._lost = self._busy = 0.0
        self._rows = self._events = 0
        self._lag: float | None = None
        self._heard_at: float | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Of the source."""
        return self._name

    def hearing(self) -> Hearing:
        """How things stand. From any thread."""
        with self._lock:
            level = self._level
            probs = {} if self._probs is None else dict(zip(self._labels, self._probs.tolist(), strict=True))
            return Hearing(
                state=self._state[0],
                detail=self._state[1],
                since=self._since,
                probs={label: round(p, 4) for label, p in probs.items()},
                on=tuple(sorted(set(self._on.values()))),
                last_event=self._last_event,
                rms_dbfs=None if level is None else round(decibels(level[0]), 1),
                peak_dbfs=None if level is None else round(decibels(level[1] ** 2), 1),
                seconds=self._seconds,
                lost_seconds=self._lost,
                rows=self._rows,
                events=self._events,
                busy_seconds=self._busy,
                lag_seconds=self._lag,
                heard_at=self._heard_at,
            )

    def mute(self) -> None:
        """Tell the hub no more: whoever runs this was left behind. From any thread."""
        self._muted = True

    def chunk(self, chunk: Chunk) -> None:
        """Note how loud it is, ten times for each second of sound."""
        if not len(chunk.samples):
            self._seconds = max(self._seconds, (chunk.start + chunk.missing) / chunk.sample_rate)
            return
        self._heard_at = self._clock()
        samples = chunk.samples
        energy = float(np.dot(samples, samples))
        if not math.isfinite(energy):
            samples = samples[np.isfinite(samples)]
            energy = float(np.dot(samples, samples))
        self._energy += energy
        self._samples += len(samples)
        self._peak = max(self._peak, float(samples.max(initial=0.0)), -float(samples.min(initial=0.0)))
        if self._samples * LEVELS_PER_SECOND >= chunk.sample_rate:
            self._note_level(chunk)

    def result(self, result: Result) -> None:
        """Note what came of it, and tell."""
        scores = result.scores
        with self._lock:
            self._seconds = max(self._seconds, result.end / self._rate)
            self._busy += result.busy_seconds
            if len(scores):
                self._probs = scores.probs[-1].copy()
                self._rows += len(scores)
            if result.captured_at is not None:
                self._lag = max(0.0, self._clock() - result.captured_at)
            for gap in result.gaps:
                self._lost += gap.seconds
        wants_scores = bool(len(scores)) and self._wants("scores")
        if not (wants_scores or result.events or result.gaps or result.opened):
            return
        if not self._live:
            result = msgspec.structs.replace(result, captured_at=None)
        for record in result_records(result, self._origin, self._times, onsets=True, scores=wants_scores):
            if isinstance(record, OnsetRecord | EventRecord):
                self._note_event(record)
                self._tell("event", record)
            else:
                self._tell("gap" if isinstance(record, GapRecord) else "scores", record)

    def status(self, status: Status) -> None:
        """Note a change of state, and tell."""
        wall = self._times.of(status.captured_at if self._live else None)
        if status.by == "source":
            with self._lock:
                self._since = wall if status.state != self._state[0] else self._since
                self._state = status.state, status.detail
        self._tell("status", status_record(status, self._origin, wall))

    def close(self) -> None:
        """What is known stays."""
        self.closed = True

    def _note_event(self, record: OnsetRecord | EventRecord) -> None:
        with self._lock:
            self._last_event = record
            if isinstance(record, EventRecord):
                self._on.pop(record.id, None)
                self._events += 1
            else:
                self._on[record.id] = record.label

    def _note_level(self, chunk: Chunk) -> None:
        level = self._energy / self._samples, self._peak
        self._energy = self._peak = 0.0
        self._samples = 0
        with self._lock:
            self._level = level
        if not self._wants("level"):
            return
        record = LevelRecord(
            schema=SCHEMA_VERSION,
            t=round(chunk.end / chunk.sample_rate, 6),
            rms_dbfs=round(decibels(level[0]), 1),
            peak_dbfs=round(decibels(level[1] ** 2), 1),
            source=self._name,
        )
        self._tell("level", record)

    def _wants(self, kind: HubKind) -> bool:
        return not self._muted and self._hub.wants(kind, self._name)

    def _tell(self, kind: HubKind, record: HubRecord) -> None:
        if not self._muted:
            self._hub.publish(HubMessage(kind, self._name, record))
