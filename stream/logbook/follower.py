"""Follower: the messages of one run, as rows of the history."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.decisions.smoothing import MovingAverage
from stream.logbook.minute_sums import MINUTE_SECONDS, MinuteSums
from stream.logbook.packing import pack_curve
from stream.logbook.score_curve import ScoreCurve
from stream.logbook.sound_level import Blocks, LevelBlocks
from stream.logbook.writer import HistoryWriter, RunStart
from stream.messages import Chunk, Event, Gap, Result, Status

BEFORE_SECONDS = 2.0  # of the curve in front of an onset
RECENT_SECONDS = 10.0  # of scores kept for the curve of an event that is reported late
BATCH_SECONDS = 1.0  # counted together, which costs less than row by row
TICK_SECONDS = 10.0  # between two signs of life; what a kill can cost of the minute's sums
TEND_SECONDS = 60.0
LONGEST_GAP_MINUTES = 1440  # that get rows of their own
OPEN_MINUTES = 3  # kept in memory

_BEGUN = """
    INSERT INTO events (run, number, label, onset, onset_sample, peak, mean, gap_seconds, cut, rule)
    VALUES (:run, :number, :label, :onset, :onset_sample, :peak, :mean, :gap, :cut, :rule)
    ON CONFLICT (run, number, label) DO NOTHING
"""
_COMPLETE = """
    INSERT INTO events (run, number, label, onset, "offset", onset_sample, offset_sample, peak, mean, gap_seconds,
        cut, rule, curve, curve_start, curve_step)
    VALUES (:run, :number, :label, :onset, :offset, :onset_sample, :offset_sample, :peak, :mean, :gap, :cut, :rule,
        :curve, :curve_start, :curve_step)
    ON CONFLICT (run, number, label) DO UPDATE SET "offset" = excluded."offset", offset_sample = excluded.offset_sample,
        peak = excluded.peak, mean = excluded.mean, gap_seconds = excluded.gap_seconds, cut = excluded.cut,
        curve = excluded.curve, curve_start = excluded.curve_start, curve_step = excluded.curve_step
"""
_GAP = """
    INSERT OR REPLACE INTO gaps (run, start_sample, start, seconds, reason, is_open)
    VALUES (:run, :start_sample, :start, :seconds, :reason, :is_open)
"""


@dataclass(slots=True)
class _Open:
    """An event that is on."""

    onset: float
    event: Event
    curve: ScoreCurve | None


@dataclass(slots=True)
class _Batch:
    """Rows of one stretch without a gap, not counted yet."""

    probs: list[NDArray[np.float32]] = field(default_factory=list)
    sample: list[NDArray[np.int64]] = field(default_factory=list)
    rows: int = 0
    wall: float = 0.0  # of sample 0 of the stream


class Follower:
    """Turns chunks, results and changes of state into rows, and says when they are to be written.

    Every method leaves its rows with the writer; nothing here commits. Times of capture become wall times by ``of``;
    without any, as for recordings, they count from the start of the run.

    Args:
        writer: of this run.
        run: the same as the writer's.
        of: a time of capture to seconds since 1970, see ``CaptureTimes.of``.
    """

    def __init__(self, writer: HistoryWriter, run: RunStart, of: Callable[[float | None], float]) -> None:
        self._writer, self._run, self._of = writer, run, of
        self._rules = [run.rules.rule(label) for label in run.labels]
        self._thresholds = np.array([rule.threshold for rule in self._rules], np.float32)
        self._average: MovingAverage | None = None
        self._hop = 0
        self._next_row: int | None = None
        self._batch = _Batch()
        self._recent: deque[tuple[NDArray[np.int64], NDArray[np.float32]]] = deque()
        self._level: LevelBlocks | None = None
        self._sound: list[Chunk] = []
        self._sound_zero = run.started  # wall time of sample 0
        self._minutes: dict[int, MinuteSums] = {}
        self._open: dict[tuple[str, int], _Open] = {}
        self._ticked = self._tended = run.started
        self.now = run.started

    def chunk(self, chunk: Chunk) -> None:
        """Count how loud it is."""
        if not len(chunk.samples):
            if chunk.captured_at is not None or self._run.live:
                self.now = self._of(chunk.captured_at)
            self._tick()
            return
        self._sound.append(chunk)
        if chunk.end - self._sound[0].start >= BATCH_SECONDS * chunk.sample_rate:
            self._count_sound()

    def result(self, result: Result, onset: Callable[[Event, Result], float | None]) -> None:
        """Count rows, and put events and gaps. ``onset``: see ``CaptureTimes.onset``."""
        zero = self._zero(result.captured_at, result.end, self._run.sample_rate)
        self.now = zero + result.end / self._run.sample_rate
        if len(result.scores):
            self._take_rows(result, zero)
        for gap in result.gaps:
            self._put_gap(gap, zero, is_open=False)
        for gap in result.opened:
            self._put_gap(gap, zero, is_open=True)
        for event in result.events:
            began = onset(event, result)
            self._put_event(event, zero + event.onset / event.sample_rate if began is None else began)
        self._tick()

    def status(self, status: Status) -> None:
        """Put a change of state."""
        at = self._zero(status.captured_at, status.sample, status.sample_rate)
        at += status.sample / status.sample_rate
        self._writer.put(
            "INSERT INTO statuses (run, at, state, detail) VALUES (:run, :at, :state, :detail)",
            at=at,
            state=status.state,
            detail=status.detail,
        )

    def mark(self, at: float, text: str) -> None:
        """Put a moment that a person marked."""
        self._writer.put("INSERT INTO marks (run, at, text) VALUES (:run, :at, :text)", at=at, text=text)

    def clip(self, event: Event, path: str) -> None:
        """Put where the sound of an event lies that has ended."""
        self._writer.put(
            "UPDATE events SET clip = :path WHERE run = :run AND number = :number AND label = :label",
            path=path,
            number=event.id,
            label=event.label,
        )

    def finish(self) -> None:
        """Count what waits, and put all that is not whole."""
        self._count_sound()
        if self._level is not None:
            self._add_levels(self._level.flush(), self._level.sample_rate, self._sound_zero)
        self._count_rows()
        for minute in self._minutes.values():
            self._writer.put_minute(minute)
        self._writer.seen(self.now)

    @property
    def due(self) -> bool:
        """Whether it is time for `HistoryWriter.tend`; asked once a minute."""
        if abs(self.now - self._tended) < TEND_SECONDS:
            return False
        self._tended = self.now
        return True

    def _zero(self, captured_at: float | None, end: int, sample_rate: int) -> float:
        """Wall time of sample 0, by the newest sample's."""
        if captured_at is None:
            return self._run.started
        return self._of(captured_at) - end / sample_rate

    def _tick(self) -> None:
        if abs(self.now - self._ticked) < TICK_SECONDS:
            return
        self._ticked = self.now
        self._count_sound()
        self._count_rows()
        for minute in self._minutes.values():
            self._writer.put_minute(minute)
        for start in sorted(self._minutes)[:-OPEN_MINUTES]:
            del self._minutes[start]
        self._writer.seen(self.now)

    def _take_rows(self, result: Result, zero: float) -> None:
        scores = result.scores
        if scores.labels != self._run.labels:
            return
        if self._average is None:
            self._hop = scores.hop
            per_second = scores.sample_rate / scores.hop
            self._average = MovingAverage([max(1, round(r.smoothing * per_second)) for r in self._rules])
        probs, sample = scores.probs[scores.warm], scores.sample[scores.warm]
        if not len(probs):
            return
        if self._next_row is not None and int(sample[0]) != self._next_row:
            self._count_rows()
            self._average.reset()
        self._next_row = int(sample[-1]) + self._hop
        self._batch.probs.append(probs)
        self._batch.sample.append(sample)
        self._batch.rows += len(probs)
        self._batch.wall = zero
        if self._batch.rows * self._hop >= BATCH_SECONDS * scores.sample_rate:
            self._count_rows()

    def _count_rows(self) -> None:
        batch = self._batch
        if not batch.rows or self._average is None:
            return
        self._batch = _Batch()
        probs, sample = np.concatenate(batch.probs), np.concatenate(batch.sample)
        self._recent.append((sample, probs))
        while int(self._recent[0][0][-1]) < int(sample[-1]) - RECENT_SECONDS * self._run.sample_rate:
            self._recent.popleft()
        for each in self._open.values():
            self._extend(each, sample, probs)
        smoothed = self._average.push(probs)
        starts = _minute_of(batch.wall + sample / self._run.sample_rate)
        seconds = self._hop / self._run.sample_rate
        for start in np.unique(starts).tolist():
            self._minute(start).add_rows(smoothed[starts == start], self._thresholds, seconds)

    def _extend(self, event: _Open, sample: NDArray[np.int64], probs: NDArray[np.float32]) -> None:
        if event.curve is not None:
            event.curve.add(sample, probs[:, self._run.labels.index(event.event.label)])

    def _count_sound(self) -> None:
        for chunk in self._sound:
            if self._level is None or self._level.sample_rate != chunk.sample_rate:
                self._level = LevelBlocks(chunk.sample_rate)
            zero = self._zero(chunk.captured_at, chunk.end, chunk.sample_rate)
            self._add_levels(self._level.push(chunk.samples, chunk.start), chunk.sample_rate, zero)
            self._sound_zero = zero
        self._sound.clear()

    def _add_levels(self, blocks: Blocks, rate: int, zero: float) -> None:
        some = blocks.counts > 0
        starts = _minute_of(zero + (blocks.ends[some] - 1) / rate)
        seconds, energies = blocks.counts[some] / rate, blocks.energies[some] / rate
        for start in np.unique(starts).tolist():
            here = starts == start
            self._minute(start).add_sound(seconds[here], energies[here])

    def _put_gap(self, gap: Gap, zero: float, *, is_open: bool) -> None:
        start = zero + gap.start / gap.sample_rate
        self._writer.put(
            _GAP,
            start_sample=gap.start,
            start=start,
            seconds=gap.seconds,
            reason=gap.reason,
            is_open=is_open,
        )
        if is_open:
            return
        at, end, minutes = start, start + gap.seconds, 0
        while at < end and minutes < LONGEST_GAP_MINUTES:
            minute = self._minute(int(_minute_of(np.array(at))))
            until = min(end, minute.start + MINUTE_SECONDS)
            minute.lost += until - at
            at = until
            minutes += 1
            if len(self._minutes) > 60:
                self._evict()

    def _put_event(self, event: Event, onset: float) -> None:
        rule = self._run.rules.rule(event.label)
        values = {
            "number": event.id,
            "label": event.label,
            "onset": onset,
            "onset_sample": event.onset,
            "peak": round(event.peak, 5),
            "mean": round(event.mean, 5),
            "gap": event.gap / event.sample_rate,
            "cut": event.cut,
            "rule": msgspec.json.encode(rule).decode(),
        }
        begun = self._open.get((event.label, event.id))
        if begun is None:
            self._minute(int(_minute_of(np.array(onset)))).events[event.label] += 1
            begun = _Open(onset, event, self._new_curve(event))
        if event.offset is None:
            self._open[event.label, event.id] = begun
            self._writer.put(_BEGUN, **values)
            return
        self._count_rows()
        self._open.pop((event.label, event.id), None)
        curve, rate = begun.curve, event.sample_rate
        self._writer.put(
            _COMPLETE,
            **values,
            offset=onset + (event.offset - event.onset) / rate,
            offset_sample=event.offset,
            curve=None if curve is None else pack_curve(curve.values(max(event.decided, event.offset))),
            curve_start=None if curve is None else (curve.begin - event.onset) / rate,
            curve_step=None if curve is None else curve.step / rate,
        )

    def _new_curve(self, event: Event) -> ScoreCurve | None:
        """With the rows that are there already; None for what is no class of the model."""
        if event.label not in self._run.labels or not self._hop:
            return None
        self._count_rows()
        begin = max(0, event.onset - round(BEFORE_SECONDS * event.sample_rate))
        curve = ScoreCurve(begin, self._hop)
        for sample, probs in self._recent:
            curve.add(sample, probs[:, self._run.labels.index(event.label)])
        return curve

    def _minute(self, start: int) -> MinuteSums:
        if start not in self._minutes:
            self._minutes[start] = self._writer.minute(start)
        return self._minutes[start]

    def _evict(self) -> None:
        for start in sorted(self._minutes)[:-OPEN_MINUTES]:
            self._writer.put_minute(self._minutes.pop(start))


def _minute_of(wall: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where the minute begins that each time lies in."""
    starts: NDArray[np.int64] = (np.floor(wall / MINUTE_SECONDS) * MINUTE_SECONDS).astype(np.int64)
    return starts
