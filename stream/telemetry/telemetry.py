"""Telemetry: watches every push from beside the stream and can be asked at any time how things stand."""

from __future__ import annotations

import math
import threading
from collections import deque
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.decisions.spec import DetectorSpec
from stream.inference.card import ModelCard
from stream.messages import Chunk, Event, Result, SourceInfo, SourceState, Status
from stream.telemetry.columns import Columns, View
from stream.telemetry.mel import cepstrum_to_mel
from stream.telemetry.snapshot import Snapshot

COLUMN_SECONDS = 0.1
WIDTH = 512  # columns kept: 51 s, so that 30 s are there for every terminal width
PENDING = 32  # pushes noted before they are folded into columns without a picture being drawn
PUSHES = 1024  # compute times kept for the percentiles
EVENTS = 256  # events kept, for the list and for marking the timeline
PEAK_HOLD, PEAK_FALL = 1.0, 0.5  # seconds a peak stands, probability a second it then falls
SETTLING = (
    10  # newest columns that late rows may still change: repair and resampling hold sound back for less
)
LEVEL_SECONDS, CLIP_SECONDS = 0.3, 1.0
FULL_SCALE = 32767 / 32768  # the largest positive 16-bit sample counts as clipped
FLOOR_DBFS = -100.0


@dataclass(slots=True)
class _Counters:
    """The plain values of a Telemetry, so that one copy takes them all."""

    source: SourceInfo
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


class Telemetry:
    """Everything a dashboard or a metrics page shows, from what passes by. Bounded memory, thread-safe.

    Args:
        card: of the model that runs.
        source: what is listened to.
        detector: rules in force; None = the card's.
        provider: where the model runs, in a word.
    """

    def __init__(
        self, card: ModelCard, source: SourceInfo, detector: DetectorSpec | None = None, provider: str = "cpu"
    ) -> None:
        rules = [(detector or card.detector).rule(label) for label in card.labels]
        self._card, self._provider = card, provider
        self._thresholds = np.array([r.threshold if r.enabled else np.nan for r in rules], np.float32)
        self._rate = card.features.sample_rate
        self._to_mel = cepstrum_to_mel(card.features)
        self._mel_shown = np.full((card.features.n_mels, WIDTH), np.nan, np.float32)
        self._mel_newest = -1  # column that ``_mel_shown`` ends with
        # A row speaks of ``delay`` rows before the newest frame it was computed from.
        self._delay = card.delay * card.stride * card.features.hop_length
        column = max(1, round(COLUMN_SECONDS * self._rate))
        self._lock = threading.Lock()
        self._columns = Columns(len(card.labels), len(self._to_mel), column, WIDTH)
        self._counters = _Counters(source, np.full(len(card.labels), np.nan, np.float32))
        self._events: dict[int, Event] = {}
        self._busy: deque[float] = deque(maxlen=PUSHES)
        self._heard: deque[float] = deque(maxlen=PUSHES)
        self._schedule = math.inf
        # Seen and not yet in the columns: a thread that wakes for 20 ms of sound finds its caches cold, and pays
        # for every array operation several times over.
        self._unseen: list[tuple[int, NDArray[np.float32]]] = []  # start, samples
        self._unread: list[list[NDArray[Any]]] = []  # probs, sample, warm, features

    def opened(self, source: SourceInfo) -> None:
        """The source was opened again, perhaps at another rate."""
        with self._lock:
            self._counters.source = source
            self._counters.version += 1

    def status(self, status: Status) -> None:
        """The source says what it is doing, and perhaps why."""
        with self._lock:
            self._turn(status.state)
            self._counters.detail = status.detail
            self._counters.version += 1

    def observe(self, chunk: Chunk | None, result: Result, busy_seconds: float, now: float) -> None:
        """Note one push. Called by the thread that did it; costs some microseconds.

        Args:
            chunk: what was pushed, at the model's rate; None for a flush.
            result: what came out.
            busy_seconds: compute time of this push.
            now: seconds on the clock of ``chunk.captured_at``, after the push.
        """
        with self._lock:
            counters = self._counters
            counters.version += 1
            counters.now = now
            if counters.since is None:
                counters.since = now
            counters.end = max(counters.end, result.end, chunk.end if chunk is not None else 0)
            if chunk is not None:
                self._turn(chunk.state)
                if len(chunk.samples):
                    self._unseen.append((chunk.start, chunk.samples.copy()))
                    self._busy.append(busy_seconds)
                    self._heard.append(len(chunk.samples) / chunk.sample_rate)
                    counters.lag = self._age(chunk, now)
            if len(result.scores):
                scores = result.scores
                kept = scores.probs, scores.sample, scores.warm, result.features
                self._unread.append([array.copy() for array in kept])
                counters.warm = bool(result.scores.warm[-1])
            if result.gaps or len(self._unseen) >= PENDING or len(self._unread) >= PENDING:
                self._fold()
            for gap in result.gaps:
                self._columns.add_gap(gap.start, gap.end)
                counters.gaps += 1
                counters.lost += gap.length if gap.reason == "lost" else 0
                counters.missing += gap.length if gap.reason == "missing" else 0
            counters.repaired += result.repaired
            for event in result.events:
                self._events[event.id] = event
                if len(self._events) > EVENTS:
                    del self._events[next(iter(self._events))]

    def _fold(self) -> None:
        """Put what was noted into the columns, all of it in a few array operations."""
        self._columns.advance(self._counters.end)
        for start, parts in _runs(self._unseen):
            self._columns.add_samples(np.concatenate(parts), start)
        self._unseen.clear()
        if self._unread:
            self._add_scores(*map(np.concatenate, zip(*self._unread, strict=True)))
            self._unread.clear()

    def _add_scores(
        self,
        probs: NDArray[np.float32],
        sample: NDArray[np.int64],
        warm: NDArray[np.bool_],
        features: NDArray[np.float32],
    ) -> None:
        self._columns.add_probs(probs, sample, warm)
        self._counters.probs = probs[-1]
        features = features[:, : len(self._to_mel)]
        sample, stride = sample + self._delay, self._card.stride
        if stride > 1:
            before = np.arange(1 - stride, 1) * self._card.features.hop_length
            sample = np.maximum(sample[:, None] + before, 0).reshape(-1)
        if len(features) == len(sample):
            self._columns.add_features(features, sample)

    def _age(self, chunk: Chunk, now: float) -> float:
        if chunk.captured_at is not None:
            return max(0.0, now - chunk.captured_at)
        # A file has no capture time. The earliest start it ever kept up with is its schedule.
        begun = now - chunk.end / chunk.sample_rate
        self._schedule = min(self._schedule, begun)
        return begun - self._schedule

    def _turn(self, state: SourceState) -> None:
        if state != self._counters.state:
            self._counters.state = state
            self._counters.since = self._counters.now
            self._counters.detail = ""

    def snapshot(self, now: float | None = None) -> Snapshot:
        """How things stand. Called by the thread that draws.

        Args:
            now: seconds on the clock of ``observe``, for the age of the state; None = when last observed.
        """
        with self._lock:
            self._fold()
            view = self._columns.view()
            counters = copy(self._counters)
            stored = tuple(self._events.values())
            busy, heard = np.array(self._busy), np.array(self._heard)
        column = self._columns.samples
        seconds = column / self._rate
        at = counters.now if now is None else now
        p50, p99 = np.percentile(busy, (50, 99)) * 1e3 if len(busy) else (math.nan, math.nan)
        second = max(1, round(CLIP_SECONDS / seconds))
        level = slice(-max(1, round(LEVEL_SECONDS / seconds)), None)
        peak = float(view.peak[-second:].max())
        count = int(view.energy_count[level].sum())
        return Snapshot(
            version=counters.version,
            source=counters.source,
            model=self._card.name,
            provider=self._provider,
            model_rate=self._rate,
            labels=self._card.labels,
            thresholds=self._thresholds,
            probs=counters.probs,
            peaks=_peaks(view, seconds),
            column_seconds=seconds,
            newest_column=view.newest,
            timeline=view.prob.T,
            active=self._active(view.newest, stored, counters.end),
            gaps=view.gap,
            cold=view.cold,
            mel=self._mel(view),
            rms_dbfs=_decibels(math.sqrt(float(view.energy[level].sum()) / count) if count else 0.0),
            peak_dbfs=_decibels(peak),
            clipped=peak >= FULL_SCALE,
            events=tuple(sorted(stored, key=lambda event: (event.onset, event.id), reverse=True)),
            latency_p50_ms=float(p50),
            latency_p99_ms=float(p99),
            real_time_factor=float(busy.sum() / heard.sum()) if len(busy) else math.nan,
            lag_seconds=counters.lag,
            lost_samples=counters.lost,
            missing_samples=counters.missing,
            gap_count=counters.gaps,
            repaired_samples=counters.repaired,
            warm=counters.warm,
            stream_seconds=counters.end / self._rate,
            state=counters.state,
            state_seconds=max(0.0, at - counters.since)
            if at is not None and counters.since is not None
            else 0.0,
            state_detail=counters.detail,
        )

    def _mel(self, view: View) -> NDArray[np.float32]:
        """(B, W) of the newest columns; only those that may have changed since the last picture are computed.

        By einsum: BLAS would give a product of this size to threads, which then spin between pictures and cost
        half a core.
        """
        passed = min(WIDTH, view.newest - self._mel_newest)
        changed = min(WIDTH, passed + SETTLING)
        self._mel_newest = view.newest
        if passed:
            self._mel_shown = np.roll(self._mel_shown, -passed, axis=1)
        count = view.feature_count[-changed:, None]
        total = view.feature_sum[-changed:]
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        self._mel_shown[:, -changed:] = np.einsum("tk,kb->bt", mean, self._to_mel)
        shown: NDArray[np.float32] = self._mel_shown.copy()
        return shown

    def _active(self, newest: int, events: tuple[Event, ...], end: int) -> NDArray[np.bool_]:
        labels, column = self._card.labels, self._columns.samples
        active = np.zeros((len(labels), WIDTH), np.bool_)
        oldest = newest - WIDTH + 1
        for event in events:
            last = ((end if event.offset is None else event.offset) - 1) // column
            if last >= oldest:
                active[
                    labels.index(event.label), max(0, event.onset // column - oldest) : last - oldest + 1
                ] = True
        return active


def _runs(
    pieces: list[tuple[int, NDArray[np.float32]]],
) -> list[tuple[int, list[NDArray[np.float32]]]]:
    """Pieces that follow each other without a gap, together: the start of the first, and all of them."""
    runs: list[tuple[int, list[NDArray[np.float32]]]] = []
    end = -1
    for start, samples in pieces:
        if runs and start == end:
            runs[-1][1].append(samples)
        else:
            runs.append((start, [samples]))
        end = start + len(samples)
    return runs


def _peaks(view: View, seconds: float) -> NDArray[np.float32]:
    """(C,) the highest of the columns, each fallen by its age."""
    span = min(WIDTH, math.ceil((PEAK_HOLD + 1 / PEAK_FALL) / seconds) + 1)
    age = np.arange(span - 1, -1, -1, dtype=np.float32) * np.float32(seconds)
    fallen = view.prob[-span:] - (np.maximum(age - PEAK_HOLD, 0) * PEAK_FALL)[:, None]
    peaks: NDArray[np.float32] = np.fmax.reduce(fallen, axis=0, initial=0.0).astype(np.float32)
    return peaks


def _decibels(amplitude: float) -> float:
    return max(FLOOR_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR_DBFS
