"""What is checked while a soak runs: probabilities, indices, events, state and memory."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.features.framing import frame_count
from stream.features.spec import FeatureSpec
from stream.messages import Event, Result, Scores
from stream.soak.schedule import Ledger


def resident_bytes() -> int | None:
    """Resident memory of this process; None where it is not known (it is read on Linux only).

    Memory that was freed and kept by the allocator is handed back first, because it is no leak.
    """
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        return None
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Monitor:
    """Checks every result of one stream against the ledger.

    Args:
        ledger: of the schedule that feeds it.
        features: of the model.
        stride: feature frames per row.
        reference: samples from a run's first sample to the reference sample of its first row.
        hop: samples between rows.

    Attributes:
        rows: probability rows seen.
        invalid_rows: those with a value that is not in 0 to 1.
        wrong_indices: rows whose sample index is neither one hop after the last one nor the first of a new run.
        events: complete ones.
        disorder: the first event out of order, in words.
        lost, invalid, repaired: as the stream reported them.
    """

    def __init__(self, ledger: Ledger, features: FeatureSpec, stride: int, reference: int, hop: int) -> None:
        self._ledger = ledger
        self._spec = features
        self._stride = stride
        self._reference = reference
        self._hop = hop
        self._run = 0  # the run that rows come from
        self._row = 0  # rows that it has given
        self.rows = self.invalid_rows = self.wrong_indices = 0
        self.events = 0
        self.disorder = ""
        self.lost = self.invalid = self.repaired = 0
        self._decided = ledger.end
        self._free: dict[str, int] = {}  # label -> offset of its last event
        self._open: dict[int, Event] = {}

    def observe(self, result: Result) -> None:
        """Take one result."""
        self.repaired += result.repaired
        for gap in result.gaps:
            if gap.reason == "lost":
                self.lost += gap.length
            else:
                self.invalid += gap.length
        if len(result.scores):
            self._observe_scores(result.scores)
        for event in result.events:
            self._observe_event(event)

    def _observe_scores(self, scores: Scores) -> None:
        self.rows += len(scores)
        good = (scores.probs >= 0) & (scores.probs <= 1)  # False for NaN
        self.invalid_rows += int((~good.all(axis=1)).sum())
        runs, done = self._ledger.runs, 0
        while done < len(scores):
            while self._row >= self._rows_of(self._run) and self._run + 1 < len(runs):
                self._run, self._row = self._run + 1, 0
            count = min(len(scores) - done, self._rows_of(self._run) - self._row)
            if count <= 0:  # more rows than there was sound for
                self.wrong_indices += len(scores) - done
                return
            first = runs[self._run][0] + self._reference
            want = first + self._hop * np.arange(self._row, self._row + count, dtype=np.int64)
            self.wrong_indices += int((scores.sample[done : done + count] != want).sum())
            self._row += count
            done += count

    def _rows_of(self, run: int) -> int:
        low, high = self._ledger.runs[run]
        return frame_count(high - low, self._spec) // self._stride

    def missing_rows(self) -> int:
        """Rows that the sound pushed so far should have given and did not; for use after the end of the stream."""
        return sum(self._rows_of(run) for run in range(len(self._ledger.runs))) - self.rows

    def _observe_event(self, event: Event) -> None:
        wrong = ""
        if event.decided < self._decided:
            wrong = f"decided at sample {event.decided}, after one at {self._decided}"
        self._decided = event.decided
        if event.offset is None:
            if event.id in self._open or event.onset < self._free.get(event.label, event.onset):
                wrong = f"begins at {event.onset}, before the last {event.label} ended"
            self._open[event.id] = event
        else:
            self.events += 1
            begun = self._open.pop(event.id, None)
            if begun is None or begun.onset != event.onset or event.offset <= event.onset:
                wrong = f"{event.label} ends at {event.offset} without its onset"
            self._free[event.label] = event.offset
        self.disorder = self.disorder or wrong


class StateNorm:
    """Largest norm of the carried state, round by round."""

    def __init__(self) -> None:
        self.rounds: list[float] = []

    def begin_round(self) -> None:
        self.rounds.append(0.0)

    def observe(self, state: tuple[NDArray[np.floating], ...]) -> None:
        """Take the state as it is now. Integer states are left out: they are counters, and grow."""
        square = sum(
            float(np.square(a, dtype=np.float64).sum()) for a in state if np.issubdtype(a.dtype, np.floating)
        )
        norm = float(np.sqrt(square))
        worst = self.rounds[-1]
        self.rounds[-1] = worst if norm <= worst or np.isnan(worst) else norm  # a NaN stays
