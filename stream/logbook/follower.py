"""Follower: the messages of one run, as rows of the history."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from stream.logbook.minute_book import BATCH_SECONDS, MinuteBook, Rows
from stream.logbook.packing import pack_curve
from stream.logbook.score_curve import ScoreCurve
from stream.logbook.writer import HistoryWriter, RunStart
from stream.messages import Chunk, Event, Gap, Result, Status

BEFORE_SECONDS = 2.0  # of the curve in front of an onset
RECENT_SECONDS = 10.0  # of scores kept for the curve of an event that is reported late
TICK_SECONDS = 10.0  # between two signs of life; what a kill can cost of the minute's sums
TEND_SECONDS = 60.0

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

    label: str
    curve: ScoreCurve | None


class Follower:
    """Turns chunks, results and changes of state into rows.

    Every method leaves its rows with the writer; nothing here commits. Times of capture become wall times by ``of``;
    without any, as for recordings, they count from the start of the run.

    Args:
        writer: of this run.
        run: the same as the writer's.
        of: a time of capture to seconds since 1970, see ``CaptureTimes.of``.

    Attributes:
        now: seconds since 1970 of the newest that was heard.
    """

    def __init__(self, writer: HistoryWriter, run: RunStart, of: Callable[[float | None], float]) -> None:
        self._writer, self._run, self._of = writer, run, of
        self._book = MinuteBook(writer, run, self._note_rows)
        self._recent: deque[Rows] = deque()
        self._sound: list[Chunk] = []
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
        if len(result.scores) and result.scores.labels == self._run.labels:
            self._book.add_rows(result.scores, zero)
        for gap in result.gaps:
            self._put_gap(gap, zero, is_open=False)
            self._book.add_gap(zero + gap.start / gap.sample_rate, gap.seconds)
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
        self._book.finish()
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
        self._book.put()
        self._writer.seen(self.now)

    def _count_sound(self) -> None:
        for chunk in self._sound:
            zero = self._zero(chunk.captured_at, chunk.end, chunk.sample_rate)
            self._book.add_sound(chunk.samples, chunk.start, chunk.sample_rate, zero)
        self._sound.clear()

    def _note_rows(self, rows: Rows) -> None:
        """Keep rows for the curves of events to come, and give them to those of events that are on."""
        newest = int(rows[0][-1])
        self._recent.append(rows)
        while int(self._recent[0][0][-1]) < newest - RECENT_SECONDS * self._run.sample_rate:
            self._recent.popleft()
        for event in self._open.values():
            self._extend(event, rows)

    def _extend(self, event: _Open, rows: Rows) -> None:
        if event.curve is not None:
            sample, probs = rows
            event.curve.add(sample, probs[:, self._run.labels.index(event.label)])

    def _begun(self, event: Event) -> _Open:
        """With the rows that are there already; without a curve for what is no class of the model."""
        self._book.count()
        begun = _Open(event.label, None)
        if event.label in self._run.labels and self._book.hop:
            begin = max(0, event.onset - round(BEFORE_SECONDS * event.sample_rate))
            begun.curve = ScoreCurve(begin, self._book.hop)
        for rows in self._recent:
            self._extend(begun, rows)
        return begun

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
            self._book.add_onset(event.label, onset)
            begun = self._begun(event)
        if event.offset is None:
            self._open[event.label, event.id] = begun
            self._writer.put(_BEGUN, **values)
            return
        self._book.count()
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
