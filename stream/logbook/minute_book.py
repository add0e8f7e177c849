"""MinuteBook: the minutes of one run, summed up from rows, sound, gaps and onsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream.decisions.smoothing import MovingAverage
from stream.logbook.minute_sums import MINUTE_SECONDS, MinuteSums
from stream.logbook.sound_level import Blocks, LevelBlocks
from stream.logbook.writer import HistoryWriter, RunStart
from stream.messages import Scores

BATCH_SECONDS = 1.0  # counted together, which costs less than row by row
LONGEST_GAP_MINUTES = 1440  # that get rows of their own
OPEN_MINUTES = 3  # kept in memory
Rows = tuple[NDArray[np.int64], NDArray[np.float32]]  # (T,) samples, (T, C) probabilities


@dataclass(slots=True)
class _Batch:
    """Rows of one stretch without a gap, not counted yet."""

    probs: list[NDArray[np.float32]] = field(default_factory=list)
    sample: list[NDArray[np.int64]] = field(default_factory=list)
    rows: int = 0
    zero: float = 0.0


class MinuteBook:
    """Sums up minutes, and puts them to the writer when told to.

    ``zero`` is always the wall time of sample 0 of the stream, by the newest sample's time of capture.

    Args:
        writer, run: of the run.
        counted: is given every row that counts, before smoothing.
    """

    def __init__(self, writer: HistoryWriter, run: RunStart, counted: Callable[[Rows], None]) -> None:
        self._writer, self._run, self._counted = writer, run, counted
        self._rules = [run.rules.rule(label) for label in run.labels]
        self._thresholds = np.array([rule.threshold for rule in self._rules], np.float32)
        self._average: MovingAverage | None = None
        self._next_row: int | None = None
        self._batch = _Batch()
        self._level: LevelBlocks | None = None
        self._level_zero = run.started
        self._minutes: dict[int, MinuteSums] = {}
        self.hop = 0  # samples between rows; 0 until there are some

    def add_rows(self, scores: Scores, zero: float) -> None:
        """Count rows that are warm; smoothing begins anew where rows are missing."""
        if self._average is None:
            self.hop = scores.hop
            per_second = scores.sample_rate / scores.hop
            self._average = MovingAverage([max(1, round(r.smoothing * per_second)) for r in self._rules])
        probs, sample = scores.probs[scores.warm], scores.sample[scores.warm]
        if not len(probs):
            return
        if self._next_row is not None and int(sample[0]) != self._next_row:
            self.count()
            self._average.reset()
        self._next_row = int(sample[-1]) + self.hop
        self._batch.probs.append(probs)
        self._batch.sample.append(sample)
        self._batch.rows += len(probs)
        self._batch.zero = zero
        if self._batch.rows * self.hop >= BATCH_SECONDS * scores.sample_rate:
            self.count()

    def add_sound(self, samples: NDArray[np.float32], start: int, sample_rate: int, zero: float) -> None:
        """Count how loud it is: (n,) float32 from the absolute sample ``start`` on, at the capture rate."""
        if self._level is None or self._level.sample_rate != sample_rate:
            self._level = LevelBlocks(sample_rate)
        self._level_zero = zero
        self._add_blocks(self._level.push(samples, start), sample_rate)

    def add_gap(self, start: float, seconds: float) -> None:
        """Count lost sound, from ``start``, seconds since 1970."""
        at, end = start, start + seconds
        for _ in range(LONGEST_GAP_MINUTES):
            if at >= end:
                return
            minute = self._minute_at(at)
            until = min(end, minute.start + MINUTE_SECONDS)
            minute.lost += until - at
            at = until
            if len(self._minutes) > 60:
                self.put()

    def add_onset(self, label: str, onset: float) -> None:
        """Count an event that began at ``onset``, seconds since 1970."""
        self._minute_at(onset).events[label] += 1

    def count(self) -> None:
        """Count the rows that wait."""
        batch = self._batch
        if not batch.rows or self._average is None:
            return
        self._batch = _Batch()
        probs, sample = np.concatenate(batch.probs), np.concatenate(batch.sample)
        self._counted((sample, probs))
        smoothed = self._average.push(probs)
        starts = _minute_of(batch.zero + sample / self._run.sample_rate)
        for start in np.unique(starts).tolist():
            here = smoothed[starts == start]
            self._minute(start).add_rows(here, self._thresholds, self.hop / self._run.sample_rate)

    def put(self) -> None:
        """Give the writer all minutes as they stand; old ones are forgotten here."""
        self.count()
        for minute in self._minutes.values():
            self._writer.put_minute(minute)
        for start in sorted(self._minutes)[:-OPEN_MINUTES]:
            del self._minutes[start]

    def finish(self) -> None:
        """Count what is not whole, too, and put all."""
        if self._level is not None:
            self._add_blocks(self._level.flush(), self._level.sample_rate)
        self.put()

    def _add_blocks(self, blocks: Blocks, rate: int) -> None:
        some = blocks.counts > 0
        starts = _minute_of(self._level_zero + (blocks.ends[some] - 1) / rate)
        seconds, energies = blocks.counts[some] / rate, blocks.energies[some] / rate
        for start in np.unique(starts).tolist():
            here = starts == start
            self._minute(start).add_sound(seconds[here], energies[here])

    def _minute_at(self, seconds: float) -> MinuteSums:
        return self._minute(int(_minute_of(np.array(seconds))))

    def _minute(self, start: int) -> MinuteSums:
        if start not in self._minutes:
            self._minutes[start] = self._writer.minute(start)
        return self._minutes[start]


def _minute_of(wall: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where the minute begins that each time lies in."""
    starts: NDArray[np.int64] = (np.floor(wall / MINUTE_SECONDS) * MINUTE_SECONDS).astype(np.int64)
    return starts
