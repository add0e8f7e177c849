"""What a detector keeps of one class between rows, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import SnapshotInvalid

OFF, RISING, ON, FALLING = range(4)


@dataclass(slots=True)
class ClassState:
    """Where one class stands. ``total``/``rows``/``peak`` run from the onset; ``*_on`` hold them as of the last
    row that was on, which is what an event reports when a fall turns out to be its end."""

    threshold: float
    release: float
    peak_threshold: float
    rows_on: int
    rows_off: int
    refractory: int
    column: int  # of its probabilities
    hop: int  # samples between rows
    lag: int  # from a row's reference sample to the newest one that the model had seen
    mode: int = OFF
    onset: int = 0
    last_on: int = 0  # one past the last row that was on
    waited: int = 0  # rows spent rising or falling
    sure: bool = False  # ``peak_threshold`` was reached since the onset
    total: float = 0.0
    rows: int = 0
    peak: float = 0.0
    total_on: float = 0.0
    rows_seen_on: int = 0
    free_from: int | None = None  # sample before which a new onset is refused
    gap: int = 0
    id: int = -1

    def gather(self, smooth: NDArray[np.float32] | tuple[float, ...], on: bool, end: int) -> None:
        """Count rows of averages since the onset.

        Args:
            smooth: (T,) of this class.
            on: they belong to the event, whatever comes.
            end: one past their last sample.
        """
        # A running sum from the old total, in float64 and strictly in order: no chunking changes its bits.
        if len(smooth) == 1:
            peak = float(smooth[0])
            self.total += peak
        else:
            line = np.empty(len(smooth) + 1)
            line[0] = self.total
            line[1:] = smooth
            self.total = float(np.add.accumulate(line)[-1])
            peak = float(line[1:].max())
        self.rows += len(smooth)
        if on:
            self.peak = max(self.peak, peak)
            self.total_on, self.rows_seen_on, self.last_on = self.total, self.rows, end

    def go_on(self, smooth: list[float], peak: float, end: int) -> None:
        """The twin of ``gather`` for a few rows that are on, their greatest known."""
        total = self.total
        for value in smooth:  # in order, in float64, as there
            total += value
        self.total = self.total_on = total
        self.rows += len(smooth)
        self.rows_seen_on = self.rows
        self.peak = max(self.peak, peak)
        self.last_on = end

    def walk(
        self,
        height: int,
        row: int,
        high: int,
        smooth: NDArray[np.float32] | tuple[float, ...],
        first: int,
        changes: list[Change],
    ) -> int:
        """Take rows [row, high) until the mode changes.

        Args:
            height: how many of its bars all of them reach: of release, threshold and peak threshold.
            row, high: numbers of rows.
            smooth: (T,) averages of this class.
            first: sample at which row 0 begins.
            changes: what is found is added.

        Returns:
            The first row that was not taken.
        """
        start = first + row * self.hop
        if self.mode == OFF:
            if height < 2:
                return high
            if self.free_from is not None and start < self.free_from:
                blocked = -(-(self.free_from - start) // self.hop)
                if row + blocked >= high:
                    return high
                row += blocked
                start += blocked * self.hop
            self.mode, self.onset, self.waited, self.sure = RISING, start, 0, False
            self.total, self.rows, self.peak, self.gap = 0.0, 0, 0.0, 0
        if self.mode == RISING:
            if height == 0:
                self.mode = OFF
                return row  # the same rows again, as off
            self.sure = self.sure or height == 3
            wait = max(1, self.rows_on - self.waited) if self.sure else high - row
            stop = min(high, row + wait)
            self.gather(smooth[row:stop], True, first + stop * self.hop)
            self.waited += stop - row
            if self.sure and self.waited >= self.rows_on:
                self.mode = ON
                changes.append(self._change(stop - 1, None, self._decided(first, stop), False))
            return stop
        if self.mode == ON:
            if height == 0:
                self.mode, self.waited = FALLING, 0
            else:
                self.gather(smooth[row:high], True, first + high * self.hop)
                return high
        if height > 0:  # falling, and back before it had ended
            self.mode = ON
            return row
        stop = min(high, row + self.rows_off - self.waited)
        self.gather(smooth[row:stop], False, 0)
        self.waited += stop - row
        if self.waited >= self.rows_off:
            self.finish(stop - 1, self._decided(first, stop), False, changes)
        return stop

    def finish(self, row: int, decided: int, cut: bool, changes: list[Change]) -> None:
        """Its event ends where it was last on.

        Args:
            row: in which that is found.
            decided: the newest sample by which it is.
            cut: the sound ended, or its context was lost.
            changes: it is added.
        """
        offset = self.last_on
        changes.append(self._change(row, offset, decided, cut))
        self.mode, self.free_from = OFF, offset + self.refractory

    def _decided(self, first: int, stop: int) -> int:
        """The newest sample that row ``stop`` - 1 needs."""
        return first + (stop - 1) * self.hop + self.hop // 2 + self.lag

    def _change(self, row: int, offset: int | None, decided: int, cut: bool) -> Change:
        """What is found of it: its onset, with ``offset`` its end too."""
        mean = self.total_on / self.rows_seen_on
        return Change(row, self.column, self.onset, offset, self.peak, mean, decided, self.gap, cut)

    def values(self) -> dict[str, Any]:
        """What changes from row to row, as plain values."""
        return {name: getattr(self, name) for name in _CARRIED}

    def set_values(self, values: dict[str, Any]) -> None:
        """Continue from what ``values`` gave; SnapshotInvalid if it is something else."""
        if set(values) != set(_CARRIED) or values["mode"] not in (OFF, RISING, ON, FALLING):
            raise SnapshotInvalid("snapshot of 'detector': a class does not fit; save it again")
        for name, value in values.items():
            if not isinstance(value, (int, float)) and not (name == "free_from" and value is None):
                raise SnapshotInvalid(f"snapshot of 'detector': {name} is {value!r}; save it again")
            setattr(self, name, value)


def all_go_on(
    tracks: Sequence[ClassState], columns: Sequence[int], averages: NDArray[np.float32], low: Sequence[float],
    high: Sequence[float], end: int,
) -> bool:  # fmt: skip
    """Whether each class stays as it is, on or off, in all of these rows; they are counted then.

    Args:
        tracks: C states.
        columns: classes that are reported.
        averages: (T, C) float32.
        low, high: (C,) their extremes.
        end: one past their last sample.
    """
    on = []
    for column in columns:
        track = tracks[column]
        if track.mode == ON and low[column] >= track.release:
            on.append(column)
        elif track.mode != OFF or high[column] >= track.threshold:
            return False
    for column in on:
        tracks[column].go_on(averages[:, column].tolist(), high[column], end)
    return True


_RULE = {
    "threshold",
    "release",
    "peak_threshold",
    "rows_on",
    "rows_off",
    "refractory",
    "column",
    "hop",
    "lag",
}
_CARRIED = tuple(field.name for field in fields(ClassState) if field.name not in _RULE)


@dataclass(frozen=True, slots=True)
class Change:
    """An event found in a push, before ids are given in order of decision."""

    row: int
    column: int
    onset: int
    offset: int | None
    peak: float
    mean: float
    decided: int
    gap: int
    cut: bool
