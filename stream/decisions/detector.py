"""Detector: probabilities in, onsets and complete events out.

Per class: a causal moving average, a threshold to begin, a higher one to be sure (optional) and a lower one to end
(hysteresis), a minimum time on and off, and a refractory time after an event. Everything counts rows and samples of
sound; nothing reads a clock, so a recording gives the same events at any speed and in any chunking.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from operator import attrgetter, ge

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.decisions.class_state import FALLING, OFF, ON, Change, ClassState, all_go_on
from stream.decisions.smoothing import MovingAverage
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, SnapshotInvalid
from stream.messages import Event, Scores
from stream.snapshot import Snapshot

_KIND = "detector"
FEW_ROWS = 12  # that are quicker to walk through one by one than class by class
_mode = attrgetter("mode")


class Detector:
    """Finds events in the scores of one stream.

    Args:
        spec: rules per class.
        labels: class names in column order.
        sample_rate: Hz, of all sample indices.
        hop: samples between rows.
        lag: samples from a row's reference sample to the newest sample the model had seen for it.

    Attributes:
        average: of its rows. Who moves it on, with those of others, gives what comes of it to ``decide``.
        bars: (C,) float32, what an average must reach for anything to begin.
    """

    def __init__(
        self, spec: DetectorSpec, labels: tuple[str, ...], sample_rate: int, hop: int, lag: int = 0
    ) -> None:
        self.labels = labels
        self.sample_rate, self.hop, self.lag = sample_rate, hop, lag
        self._per_second = sample_rate / hop
        self._take_rules(spec)
        self.reset()

    def _take_rules(self, spec: DetectorSpec) -> None:
        spec.check_labels(self.labels)
        self.spec = spec
        rules = [spec.rule(label) for label in self.labels]
        self._columns = [c for c, rule in enumerate(rules) if rule.enabled]
        self._rules = rules
        self._lengths = [max(1, round(rule.smoothing * self._per_second)) for rule in rules]
        self.average = MovingAverage(self._lengths)
        self._thresholds = np.asarray([r.threshold for r in rules], np.float32)
        self._releases = np.asarray([r.off_threshold for r in rules], np.float32)
        self._peak_thresholds = np.asarray(
            [r.threshold if r.peak_threshold is None else r.peak_threshold for r in rules], np.float32
        )
        # No probability reaches the bar of a class that is never reported.
        self.bars = np.where([r.enabled for r in rules], self._thresholds, np.float32(np.inf))
        self._bar_list = self.bars.tolist()

    def reset(self) -> None:
        """As new: nothing on, ids from 0."""
        self.average.reset()
        self._tracks = self._new_tracks()
        self._next_id = 0
        self._decided = 0
        self._closed = False
        self._busy = False
        self._smooth = np.zeros((1, len(self.labels)), np.float32)

    def _new_tracks(self) -> list[ClassState]:
        return [
            ClassState(
                threshold=float(self._thresholds[c]),
                release=float(self._releases[c]),
                peak_threshold=float(self._peak_thresholds[c]),
                rows_on=max(1, math.ceil(rule.min_on * self._per_second - 1e-9)),
                rows_off=max(1, math.ceil(rule.min_off * self._per_second - 1e-9)),
                refractory=round(rule.refractory * self.sample_rate),
                column=c,
                hop=self.hop,
                lag=self.lag,
            )
            for c, rule in enumerate(self._rules)
        ]

    def change_rules(self, spec: DetectorSpec) -> tuple[Event, ...]:
        """Other rules from the next row on. What is on stays on and goes by them.

        Args:
            spec: rules of the same classes. Where the length of any average changes, all averages begin anew.

        Returns:
            The ends of events whose class is reported no more, marked ``cut``.

        Raises:
            SpecError: a rule for a class that there is not.
        """
        spec.check_labels(self.labels)
        silenced = [c for c, label in enumerate(self.labels) if not spec.rule(label).enabled]
        events = self._cut(silenced)
        average, lengths, tracks = self.average, self._lengths, self._tracks
        self._take_rules(spec)
        if self._lengths == lengths:
            self.average = average
        self._tracks = self._new_tracks()
        for new, old in zip(self._tracks, tracks, strict=True):
            new.set_values(old.values())
        return events

    @property
    def smoothed(self) -> NDArray[np.float32]:
        """(C,) float32, the newest averages, for the screen."""
        newest: NDArray[np.float32] = self._smooth[-1]
        return newest

    def push(self, scores: Scores) -> tuple[Event, ...]:
        """Events decided by these rows.

        Args:
            scores: consecutive rows (after a gap call ``gap`` first). Rows that are not warm are not looked at.

        Returns:
            Onset messages (offset None) and complete events, ordered by row, then class.

        Raises:
            ClosedError: after flush.
        """
        if self._closed:
            raise ClosedError("push after flush: call reset() to start a new stream")
        probs, sample = scores.probs, scores.sample
        if 0 < len(probs) <= FEW_ROWS and scores.warm[0]:
            return self._push_few(probs, int(sample[0]))
        if not len(probs):
            return ()
        if not scores.warm[0]:  # rows are cold at the beginning only
            warm = int(np.argmax(scores.warm)) if scores.warm[-1] else len(probs)
            probs, sample = probs[warm:], sample[warm:]
            if not len(probs):
                return ()
        smooth = self.average.push(probs)
        self._smooth = smooth
        half = self.hop // 2
        first = int(sample[0]) - half
        self._decided = int(sample[-1]) + self.lag
        if not self._busy and not np.count_nonzero(smooth >= self.bars):
            return ()
        changes: list[Change] = []
        level = (smooth >= self._thresholds).astype(np.int8)
        level += smooth >= self._releases
        level += smooth >= self._peak_thresholds
        for column in self._columns:
            self._advance(column, level[:, column], smooth[:, column], first, changes)
        self._busy = any(map(_mode, self._tracks))
        return self._numbered(changes)

    def _push_few(self, probs: NDArray[np.float32], sample: int) -> tuple[Event, ...]:
        """The twin of ``push`` for a few rows, on plain numbers: live sound.

        ``python -m tests.benchmarks.twins`` says what it saves; for the rows of a file it would take several times as
        long as the general path.
        """
        self._smooth = average = self.average.push(probs)
        return self._decide_few(average.tolist(), sample)

    def _decide_few(self, averages: list[list[float]], sample: int) -> tuple[Event, ...]:
        """What rows of averages bring, the first of them about ``sample``."""
        first = sample - self.hop // 2
        self._decided = sample + (len(averages) - 1) * self.hop + self.lag
        events: tuple[Event, ...] = ()
        for smooth in averages:
            if self._busy or any(map(ge, smooth, self._bar_list)):
                changes: list[Change] = []
                self._advance_row(smooth, first, changes)
                self._busy = any(map(_mode, self._tracks))
                if changes:
                    events += self._numbered(changes)
            first += self.hop
        return events

    @property
    def joins(self) -> bool:
        """Whether ``decide`` may be given its next rows."""
        return not self._closed and type(self) is Detector

    @property
    def busy(self) -> bool:
        """Whether something is on, rises or falls."""
        return self._busy

    def resume(self, past: NDArray[np.float32], seen: int, newest: NDArray[np.float32], sample: int) -> None:
        """Go on behind rows of which `ManyDetectors` has given ``decide`` those that mattered.

        Args:
            past, seen: of ``average``; kept.
            newest: (C,) float32, the newest averages; kept.
            sample: reference sample of the newest row.
        """
        self.average.resume(past, seen)
        self._smooth = newest[None]
        self._decided = sample + self.lag

    def decide(
        self, averages: NDArray[np.float32], low: list[float], high: list[float], begins: bool, sample: int
    ) -> tuple[Event, ...]:
        """``push`` from the averages on, to the bit, for who made them for many detectors at once.

        Args:
            averages: (T, C) float32, T >= 1, by ``average``; kept. ``low`` and ``high`` (C,) are their extremes.
            begins: something reaches its bar.
            sample: reference sample of the first row.
        """
        self._smooth = averages
        if begins or self._busy:
            end = sample - self.hop // 2 + len(averages) * self.hop
            if not all_go_on(self._tracks, self._columns, averages, low, high, end):
                return self._decide_few(averages.tolist(), sample)
        self._decided = sample + (len(averages) - 1) * self.hop + self.lag
        return ()

    def gap(self, length: int, *, carried: bool) -> tuple[Event, ...]:
        """Tell that ``length`` samples never came before the next row.

        Args:
            length: samples.
            carried: True when the model's state was kept: events go on, and say what they miss. False when it
                was reset: events end where the sound ended, and the averages start anew.

        Returns:
            Events that this ended.
        """
        if carried:
            for track in self._tracks:
                track.gap += length if track.mode != OFF else 0
            return ()
        events = self._cut()
        self.average.reset()
        return events

    def flush(self) -> tuple[Event, ...]:
        """No more scores: whatever is on ends here, marked ``cut`` unless it was already falling."""
        events = () if self._closed else self._cut()
        self._closed = True
        return events

    def snapshot(self) -> Snapshot:
        """The state, as plain values."""
        return snapshots.begin(
            _KIND,
            rules=self._rules_text(),
            average=self.average.snapshot(),
            smoothed=self._smooth[-1].copy(),
            classes=[track.values() for track in self._tracks],
            next_id=self._next_id,
            decided=self._decided,
            closed=self._closed,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a detector with the same rules."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "rules", self._rules_text())
        classes = values.get("classes")
        if not isinstance(classes, list) or len(classes) != len(self._tracks):
            raise SnapshotInvalid("snapshot of 'detector': the classes do not fit; save it again")
        self.reset()
        self.average.restore(snapshots.inner(values, "average"))
        self._smooth = snapshots.array(values, "smoothed", "float32", (len(self.labels),))[None]
        for track, state in zip(self._tracks, classes, strict=True):
            track.set_values(state)
        self._next_id, self._decided = (
            snapshots.number(values, "next_id"),
            snapshots.number(values, "decided"),
        )
        self._closed = bool(values.get("closed"))
        self._busy = any(map(_mode, self._tracks))

    def _rules_text(self) -> str:
        """What a snapshot must agree on."""
        spec = msgspec.json.encode(self.spec).decode()
        return f"{','.join(self.labels)} {self.sample_rate}/{self.hop}+{self.lag} {spec}"

    def _cut(self, columns: Iterable[int] | None = None) -> tuple[Event, ...]:
        """End what is on, in all classes or in some."""
        changes: list[Change] = []
        for column in range(len(self._tracks)) if columns is None else columns:
            track = self._tracks[column]
            if track.mode in (ON, FALLING):
                track.finish(0, self._decided, track.mode == ON, changes)
            track.mode = OFF
        self._busy = any(map(_mode, self._tracks))
        return self._numbered(changes)

    def _advance_row(self, smooth: list[float], first: int, changes: list[Change]) -> None:
        """The twin of ``_advance`` for one row of every class, on plain numbers: see ``_push_few``."""
        for column in self._columns:
            track, value = self._tracks[column], smooth[column]
            height = (value >= track.release) + (value >= track.threshold) + (value >= track.peak_threshold)
            if height < 2 and track.mode == OFF:
                continue
            if height and track.mode == ON:  # as ``walk`` would, without its calls
                track.total += value
                track.rows += 1
                if value > track.peak:
                    track.peak = value
                track.total_on, track.rows_seen_on = track.total, track.rows
                track.last_on = first + self.hop
                continue
            row = 0
            while row < 1:
                row = self._walk(track, height, row, 1, (value,), first, changes)

    def _advance(
        self,
        column: int,
        level: NDArray[np.int8],
        smooth: NDArray[np.float32],
        first: int,
        changes: list[Change],
    ) -> None:
        """Walk one class through runs of equal level: the bars it reaches, of release, threshold and peak threshold."""
        track = self._tracks[column]
        edges = [0, *(np.flatnonzero(level[1:] != level[:-1]) + 1).tolist(), len(level)]
        for low, high in pairwise(edges):
            height = int(level[low])
            row = low
            while row < high:
                row = self._walk(track, height, row, high, smooth, first, changes)

    def _walk(
        self,
        track: ClassState,
        height: int,
        row: int,
        high: int,
        smooth: NDArray[np.float32] | tuple[float, ...],
        first: int,
        changes: list[Change],
    ) -> int:
        """Where `WatchedDetector` looks on."""
        return track.walk(height, row, high, smooth, first, changes)

    def _numbered(self, changes: list[Change]) -> tuple[Event, ...]:
        events = []
        # Stable: within a class an end comes before the next onset even when one row decides both.
        for change in sorted(changes, key=lambda change: (change.row, change.column)):
            track = self._tracks[change.column]
            if change.offset is None:
                track.id = self._next_id
                self._next_id += 1
            label, rate = self.labels[change.column], self.sample_rate
            onset, offset, peak, mean = change.onset, change.offset, change.peak, change.mean
            decided, gap, cut = change.decided, change.gap, change.cut
            events.append(Event(track.id, label, onset, offset, peak, mean, rate, decided, gap, cut))
        return tuple(events)
