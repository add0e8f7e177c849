"""Telemetry: a sink that sums up what passes, and can be asked at any time how things stand."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.decisions.spec import DetectorSpec
from stream.features.frontend import picture
from stream.inference.card import ModelCard
from stream.messages import Chunk, Event, Result, SourceInfo, SourceState, Status
from stream.outputs.output_report import OutputReport
from stream.outputs.wall_time import CaptureTimes, local_time
from stream.telemetry.columns import ColumnArrays, Columns
from stream.telemetry.readings import Readings

COLUMN_SECONDS = 0.1
COLUMNS = 512  # kept: 51 s, so that 30 s are there for every terminal width
UNFOLDED_PUSHES = 32  # pushes noted before they are folded into columns without being asked for
TIMED_PUSHES = 1024  # compute times kept for the percentiles
KEPT_EVENTS = 256  # for the list and for marking the timeline
PEAK_HOLD_SECONDS = 1.0
PEAK_FALL_PER_SECOND = 0.5  # probability
SETTLING_COLUMNS = (
    10  # newest ones that late rows may still change: repair and resampling hold back less sound
)
LEVEL_SECONDS = 0.3
CLIP_SECONDS = 1.0
FULL_SCALE = 32767 / 32768  # the largest positive 16-bit sample counts as clipped
LOWEST_LEVEL_DBFS = -100.0
STALE_SECONDS = 1.0  # without a sample, by the clock: what is shown is about then and not about now


@dataclass(slots=True)
class _Counters:
    """The plain values of a Telemetry, so that one copy takes them all."""

    probs: NDArray[np.float32]
    version: int = 0
    end: int = 0
    lost: int = 0
    missing: int = 0
    gaps: int = 0
    repaired: int = 0
    warm: bool = False
    lag: float = 0.0
    state: SourceState = "listening"
    detail: str = ""
    now: float | None = None
    since: float | None = None
    open_gap: int = 0  # samples missing in a gap that has not ended
    heard_at: float | None = None  # when the newest sample came


class Telemetry:
    """Everything a dashboard or a metrics page shows, from what passes by. A sink. Bounded memory, thread-safe.

    Sound is at the capture rate and results at the model's; what is kept is by stream time. A chunk counts once its
    result has come, so that readings never show the one without the other.

    Args:
        card: of the model that runs.
        source: what is listened to.
        detector: rules in force; None = the card's.
        provider: where the model runs, in a word.
        labels: classes in column order; None = the card's. Where some are derived, they follow those.
        stream, model: take only results with this ``stream`` and ``model``, where several classifiers run; None =
            all.
        outputs: says how each output is doing.
        clock: seconds, the clock of ``captured_at``.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        card: ModelCard,
        source: SourceInfo,
        detector: DetectorSpec | None = None,
        provider: str = "cpu",
        *,
        labels: tuple[str, ...] | None = None,
        stream: str | None = None,
        model: str | None = None,
        outputs: Callable[[], Sequence[OutputReport]] = tuple,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._labels = card.labels if labels is None else labels
        rules = [(detector or card.detector).rule(label) for label in self._labels]
        self._card, self._source, self._provider = card, source, provider
        self._stream, self._model = stream, model
        self._outputs = outputs
        self._clock = clock
        self._times = CaptureTimes(clock, wall)
        self._thresholds = np.array([r.threshold if r.enabled else np.nan for r in rules], np.float32)
        self._rate = card.features.sample_rate
        self._picture = picture(card.features)
        self._spectrum = np.full((self._picture.bands, COLUMNS), np.nan, np.float32)
        self._spectrum_newest = -1  # column that ``_spectrum`` ends with
        # A row is about ``delay`` rows before the newest frame it was computed from.
        self._delay = card.delay * card.stride * card.features.hop_length
        column = max(1, round(COLUMN_SECONDS * self._rate))
        self._lock = threading.Lock()
        self._drawing = threading.Lock()  # of the spectrum, for one reader at a time
        self._columns = Columns(len(self._labels), self._picture.depth, column, self._rate, COLUMNS)
        self._counters = _Counters(np.full(len(self._labels), np.nan, np.float32))
        self._events: dict[int, Event] = {}
        self._began: dict[int, str] = {}
        # A recording that is paced has times of capture too; positions in it say more.
        self._is_live = source.live and source.duration is None
        self._busy: deque[float] = deque(maxlen=TIMED_PUSHES)
        self._heard: deque[float] = deque(maxlen=TIMED_PUSHES)  # seconds of sound in each of those pushes
        self._schedule = math.inf
        self._chunks: deque[Chunk] = deque(maxlen=UNFOLDED_PUSHES)  # their result has not come yet
        # Counted and not yet in the columns: a thread that wakes for 20 ms of sound finds its caches cold, and pays
        # for every array operation several times over.
        self._unfolded_sound: list[tuple[int, int, NDArray[np.float32]]] = []  # start, sample rate, samples
        self._unfolded_rows: list[list[NDArray[Any]]] = []  # probs, sample, warm, features

    def listen_to(self, source: SourceInfo) -> None:
        """From now on readings name another source, of the same rate."""
        with self._lock:
            self._source = source

    def chunk(self, chunk: Chunk) -> None:
        """Note what was heard, to be counted with its result. Costs some microseconds."""
        if len(chunk.samples):
            with self._lock:
                self._chunks.append(msgspec.structs.replace(chunk, samples=chunk.samples.copy()))
        elif chunk.missing:
            with self._lock:
                self._lose(chunk)

    def result(self, result: Result) -> None:
        """Note what came of it. Costs some microseconds."""
        if self._stream not in (None, result.stream) or self._model not in (None, result.model):
            return
        now = self._clock()
        with self._lock:
            counters = self._counters
            counters.version += 1
            counters.now = now
            if counters.since is None:
                counters.since = now
            counters.end = max(counters.end, result.end)
            if self._chunks:
                self._count_chunks(result.busy_seconds, now)
            if len(result.scores):
                scores = result.scores
                kept = scores.probs, scores.sample, scores.warm, result.features
                self._unfolded_rows.append([array.copy() for array in kept])
                counters.warm = bool(result.scores.warm[-1])
            full = max(len(self._unfolded_sound), len(self._unfolded_rows)) >= UNFOLDED_PUSHES
            if result.gaps or full:
                self._fold()
            for gap in result.gaps:
                self._columns.add_gap(gap.start, gap.end)
                counters.gaps += 1
                counters.lost += gap.length if gap.reason == "lost" else 0
                counters.missing += gap.length if gap.reason == "missing" else 0
            counters.repaired += result.repaired
            for event in result.events:
                self._note_event(event, result)

    def status(self, status: Status) -> None:
        """Note what the source is doing, and why."""
        now = self._clock()
        with self._lock:
            counters = self._counters
            if status.state != counters.state:
                counters.state = status.state
                counters.since = now
            counters.detail = status.detail
            counters.version += 1

    def set_threshold(self, label: str, threshold: float) -> None:
        """Show another threshold for a class; NaN for one that is not reported."""
        with self._lock:
            self._thresholds = self._thresholds.copy()  # readings hold the old one
            self._thresholds[self._labels.index(label)] = threshold
            self._counters.version += 1

    def close(self) -> None:
        """Readings stay as they are."""

    def _note_event(self, event: Event, result: Result) -> None:
        began = self._times.onset(event, result)
        if began is not None and self._is_live:
            self._began[event.id] = local_time(began)
        self._events[event.id] = event
        if len(self._events) > KEPT_EVENTS:
            oldest = next(iter(self._events))
            del self._events[oldest]
            self._began.pop(oldest, None)

    def _lose(self, heartbeat: Chunk) -> None:
        """The source is gone: time goes on without sound."""
        start = heartbeat.start * self._rate // heartbeat.sample_rate
        end = (heartbeat.start + heartbeat.missing) * self._rate // heartbeat.sample_rate
        self._counters.end = max(self._counters.end, end)
        self._counters.open_gap = end - start
        self._fold()
        if end > start:
            self._columns.add_gap(start, end)

    def _count_chunks(self, busy_seconds: float, now: float) -> None:
        heard = 0.0
        for chunk in self._chunks:
            self._unfolded_sound.append((chunk.start, chunk.sample_rate, chunk.samples))
            heard += len(chunk.samples) / chunk.sample_rate
        self._chunks.clear()
        self._busy.append(busy_seconds)
        self._heard.append(heard)
        self._counters.end = max(self._counters.end, chunk.end * self._rate // chunk.sample_rate)
        self._counters.lag = self._lag(chunk, now)
        self._counters.open_gap = 0
        self._counters.heard_at = now

    def _lag(self, chunk: Chunk, now: float) -> float:
        if chunk.captured_at is not None:
            return max(0.0, now - chunk.captured_at)
        # A file has no capture time. The earliest start it ever kept up with is its schedule.
        begun = now - chunk.end / chunk.sample_rate
        self._schedule = min(self._schedule, begun)
        return begun - self._schedule

    def _fold(self) -> None:
        """Put what was noted into the columns, all of it in a few array operations."""
        self._columns.advance(self._counters.end)
        for start, sample_rate, parts in _joined(self._unfolded_sound):
            self._columns.add_samples(np.concatenate(parts), start, sample_rate)
        self._unfolded_sound.clear()
        if self._unfolded_rows:
            self._add_rows(*map(np.concatenate, zip(*self._unfolded_rows, strict=True)))
            self._unfolded_rows.clear()

    def _add_rows(
        self,
        probs: NDArray[np.float32],
        sample: NDArray[np.int64],
        warm: NDArray[np.bool_],
        features: NDArray[np.float32],
    ) -> None:
        self._columns.add_probs(probs, sample, warm)
        self._counters.probs = probs[-1]
        sample, stride = sample + self._delay, self._card.stride
        if stride > 1:
            before = np.arange(1 - stride, 1) * self._card.features.hop_length
            sample = np.maximum(sample[:, None] + before, 0).reshape(-1)
        if len(features) == len(sample):
            self._columns.add_features(self._picture.prepare(features), sample)

    def read(self) -> Readings:
        """How things stand. From any thread."""
        with self._drawing:
            return self._read()

    def _read(self) -> Readings:
        now = self._clock()
        with self._lock:
            self._fold()
            arrays = self._columns.arrays()
            counters = copy(self._counters)
            stored = tuple(self._events.values())
            began = self._began.copy()
            busy, heard = np.array(self._busy), np.array(self._heard)
        seconds = self._columns.samples / self._rate
        events = tuple(sorted(stored, key=lambda event: (event.onset, event.id), reverse=True))
        p50, p99 = np.percentile(busy, (50, 99)) * 1e3 if len(busy) else (math.nan, math.nan)
        second = max(1, round(CLIP_SECONDS / seconds))
        level = slice(-max(1, round(LEVEL_SECONDS / seconds)), None)
        peak = float(arrays.peak[-second:].max())
        count = int(arrays.energy_count[level].sum())
        return Readings(
            version=counters.version,
            source=self._source,
            model=self._card.name,
            provider=self._provider,
            model_rate=self._rate,
            labels=self._labels,
            thresholds=self._thresholds,
            probs=counters.probs,
            peaks=_peaks(arrays, seconds),
            column_seconds=seconds,
            newest_column=arrays.newest,
            timeline=arrays.prob.T,
            active=self._active(arrays.newest, stored, counters.end),
            gaps=arrays.gap,
            cold=arrays.cold,
            spectrum=self._show_spectrum(arrays),
            centres=self._picture.centres,
            rms_dbfs=_decibels(math.sqrt(float(arrays.energy[level].sum()) / count) if count else 0.0),
            peak_dbfs=_decibels(peak),
            clipped=peak >= FULL_SCALE,
            events=events,
            began=tuple(began.get(event.id, "") for event in events),
            latency_p50_ms=float(p50),
            latency_p99_ms=float(p99),
            real_time_factor=float(busy.sum() / heard.sum()) if len(busy) else math.nan,
            lag_seconds=counters.lag,
            lost_samples=counters.lost + counters.open_gap,
            missing_samples=counters.missing,
            gap_count=counters.gaps + (counters.open_gap > 0),
            open_gap_seconds=counters.open_gap / self._rate,
            stale=self._stale(counters, now),
            repaired_samples=counters.repaired,
            warm=counters.warm,
            stream_seconds=counters.end / self._rate,
            state=counters.state,
            state_seconds=0.0 if counters.since is None else max(0.0, now - counters.since),
            state_detail=counters.detail,
            outputs=tuple(self._outputs()),
        )

    def _stale(self, counters: _Counters, now: float) -> bool:
        if counters.state in ("recovering", "failed"):
            return True
        return self._source.live and counters.heard_at is not None and now - counters.heard_at > STALE_SECONDS

    def _show_spectrum(self, arrays: ColumnArrays) -> NDArray[np.float32]:
        """(B, W) of the newest columns; only those that may have changed since the last call are computed."""
        passed = min(COLUMNS, arrays.newest - self._spectrum_newest)
        changed = min(COLUMNS, passed + SETTLING_COLUMNS)
        self._spectrum_newest = arrays.newest
        if passed:
            self._spectrum = np.roll(self._spectrum, -passed, axis=1)
        count = arrays.feature_count[-changed:, None]
        total = arrays.feature_sum[-changed:]
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        self._spectrum[:, -changed:] = self._picture.show(mean).T
        shown: NDArray[np.float32] = self._spectrum.copy()
        return shown

    def _active(self, newest: int, events: tuple[Event, ...], end: int) -> NDArray[np.bool_]:
        labels, column = self._labels, self._columns.samples
        active = np.zeros((len(labels), COLUMNS), np.bool_)
        oldest = newest - COLUMNS + 1
        for event in events:
            last = ((end if event.offset is None else event.offset) - 1) // column
            if last >= oldest:
                first = max(0, event.onset // column - oldest)
                active[labels.index(event.label), first : last - oldest + 1] = True
        return active


def _joined(
    pieces: list[tuple[int, int, NDArray[np.float32]]],
) -> list[tuple[int, int, list[NDArray[np.float32]]]]:
    """Pieces that follow each other without a gap, together: start and rate of the first, and all of them."""
    joined: list[tuple[int, int, list[NDArray[np.float32]]]] = []
    end = (-1, 0)
    for start, rate, samples in pieces:
        if joined and (start, rate) == end:
            joined[-1][2].append(samples)
        else:
            joined.append((start, rate, [samples]))
        end = (start + len(samples), rate)
    return joined


def _peaks(arrays: ColumnArrays, seconds: float) -> NDArray[np.float32]:
    """(C,) the highest of the columns, each fallen by its age."""
    span = min(COLUMNS, math.ceil((PEAK_HOLD_SECONDS + 1 / PEAK_FALL_PER_SECOND) / seconds) + 1)
    age = np.arange(span - 1, -1, -1, dtype=np.float32) * np.float32(seconds)
    fallen = arrays.prob[-span:] - (np.maximum(age - PEAK_HOLD_SECONDS, 0) * PEAK_FALL_PER_SECOND)[:, None]
    peaks: NDArray[np.float32] = np.fmax.reduce(fallen, axis=0, initial=0.0).astype(np.float32)
    return peaks


def _decibels(amplitude: float) -> float:
    return max(LOWEST_LEVEL_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else LOWEST_LEVEL_DBFS
