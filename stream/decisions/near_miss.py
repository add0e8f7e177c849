"""Near misses: what nearly became an event, told by the detector itself while it decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream.decisions.class_state import OFF, RISING, Change, ClassState
from stream.decisions.detector import Detector
from stream.decisions.spec import DetectorSpec
from stream.messages import Event, Scores
from stream.snapshot import Snapshot

Reason = Literal["peak", "short", "refractory", "warm-up", "gap"]
MOST_MISSES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A stretch in which a class reached its threshold and no event came of it.

    Attributes:
        label: class.
        start, end: absolute samples; the stretch that was on.
        peak: highest smoothed probability in it (of a cold row, the probability itself).
        reasons: what was missing. "peak": the peak threshold was not reached. "short": ``min_on`` was not over.
            "refractory": an event of the class had only just ended. "warm-up": the model had not heard enough. "gap":
            the sound was lost, or ended, before it was decided.
        wanted: the peak threshold.
        rows, rows_wanted: that it was on, and that ``min_on`` asks for.
        free_from: sample from which on a new event may begin; of "refractory".
        event: id of the event that had ended; of "refractory".
    """

    label: str
    start: int
    end: int
    peak: float
    reasons: tuple[Reason, ...]
    wanted: float
    rows: int = 0
    rows_wanted: int = 0
    free_from: int = 0
    event: int = -1


class WatchedDetector(Detector):
    """A detector that remembers near misses and its averages. It decides as `Detector` does: the rules are that one's,
    and this looks at what they do to the state of each class.

    Attributes:
        misses: near misses so far, in the order in which they were over; of a stretch in a refractory time, one.
        rows: (sample, averages) of each push, (T,) int64 and (T, C) float32; averages are NaN where the model was cold.
    """

    def reset(self) -> None:
        """See Detector."""
        super().reset()
        self.misses: list[NearMiss] = []
        self.rows: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        self._blocked: dict[int, NearMiss] = {}
        self._ended: dict[tuple[str, int], int] = {}  # label and offset -> id of the event

    def restore(self, snapshot: Snapshot) -> None:
        """See Detector."""
        super().restore(snapshot)
        for label, track in zip(self.labels, self._tracks, strict=True):
            if track.free_from is not None:
                self._ended[label, track.free_from - track.refractory] = track.id

    def push(self, scores: Scores) -> tuple[Event, ...]:
        """See Detector."""
        cold = int(np.count_nonzero(~scores.warm))
        if cold:
            self._watch_cold(scores, cold)
        events = self._noted(super().push(scores))
        averages = np.full(scores.probs.shape, np.nan, np.float32)
        if cold < len(scores):
            averages[cold:] = self._smooth
        self.rows.append((scores.sample, averages))
        return events

    def gap(self, length: int, *, carried: bool) -> tuple[Event, ...]:
        """See Detector."""
        if not carried:
            self._watch_cut()
        return self._noted(super().gap(length, carried=carried))

    def change_rules(self, spec: DetectorSpec) -> tuple[Event, ...]:
        """See Detector."""
        return self._noted(super().change_rules(spec))

    def flush(self) -> tuple[Event, ...]:
        """See Detector."""
        self._watch_cut()
        return self._noted(super().flush())

    def threshold(self, label: str) -> float | None:
        """Where an event of the class begins; None for one that is never reported."""
        column = self.labels.index(label)
        return self._tracks[column].threshold if column in self._columns else None

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
        column, before, waited = track.column, track.mode, track.waited
        taken = super()._walk(track, height, row, high, smooth, first, changes)
        at = first + row * self.hop
        if before == OFF and height >= 2:
            onset = track.onset if track.mode != OFF else first + high * self.hop
            if onset > at:  # held up by the refractory time
                blocked = smooth[row : row + (onset - at) // self.hop]
                self._block(column, track, at, onset, float(max(blocked)))
        elif before == RISING and track.mode == OFF:
            reasons: list[Reason] = []
            if not track.sure:
                reasons.append("peak")
            if waited < track.rows_on:
                reasons.append("short")
            self._add(self._missed(column, track, at, tuple(reasons)))
        return taken

    def _missed(self, column: int, track: ClassState, end: int, reasons: tuple[Reason, ...]) -> NearMiss:
        return NearMiss(
            label=self.labels[column],
            start=track.onset,
            end=end,
            peak=track.peak,
            reasons=reasons,
            wanted=track.peak_threshold,
            rows=track.waited,
            rows_wanted=track.rows_on,
        )

    def _watch_cut(self) -> None:
        """A gap, or the end: what was rising is cut."""
        for column, track in enumerate(self._tracks):
            if track.mode == RISING:
                self._add(self._missed(column, track, track.last_on, ("gap",)))
        self._blocked.clear()

    def _watch_cold(self, scores: Scores, cold: int) -> None:
        """Rows that nobody looks at, because the model has not heard enough."""
        half = self.hop // 2
        for column in self._columns:
            track = self._tracks[column]
            for row in np.flatnonzero(scores.probs[:cold, column] >= track.threshold).tolist():
                start = int(scores.sample[row]) - half
                self._merge(
                    column,
                    NearMiss(
                        label=self.labels[column],
                        start=start,
                        end=start + self.hop,
                        peak=float(scores.probs[row, column]),
                        reasons=("warm-up",),
                        wanted=track.peak_threshold,
                    ),
                )

    def _noted(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """Remember which events have ended, and name them in near misses: their ids are given after the decisions."""
        for event in events:
            if event.offset is not None:
                self._ended[event.label, event.offset] = event.id
        for place, miss in enumerate(self.misses):
            if miss.reasons == ("refractory",) and miss.event < 0:
                self.misses[place] = self._named(miss)
        self._blocked = {column: self._named(miss) for column, miss in self._blocked.items()}
        return events

    def _named(self, miss: NearMiss) -> NearMiss:
        refractory = self._tracks[self.labels.index(miss.label)].refractory
        known = self._ended.get((miss.label, miss.free_from - refractory), miss.event)
        return replace(miss, event=known)

    def _block(self, column: int, track: ClassState, start: int, end: int, peak: float) -> None:
        self._merge(
            column,
            NearMiss(
                label=self.labels[column],
                start=start,
                end=end,
                peak=peak,
                reasons=("refractory",),
                wanted=track.peak_threshold,
                free_from=track.free_from or 0,
            ),
        )

    def _merge(self, column: int, found: NearMiss) -> None:
        """One near miss for a stretch that comes row by row."""
        known = self._blocked.get(column)
        if known is not None and known.reasons == found.reasons and known.end >= found.start:
            if known in self.misses:
                self.misses.remove(known)
            found = replace(found, start=known.start, peak=max(known.peak, found.peak))
        self._blocked[column] = found
        self._add(found)

    def _add(self, miss: NearMiss) -> None:
        self.misses.append(miss)
        del self.misses[:-MOST_MISSES]
