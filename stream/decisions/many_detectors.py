"""ManyDetectors: averages of many detectors, and their extremes, in a few operations. `Detector` decides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.decisions.detector import Detector
from stream.decisions.smoothing import MovingAverage
from stream.messages import Event

MOST_ROWS = 64  # of each: more than a pool takes of a stream at once, when it is behind
# Rules come from clients, and each kind has memory for every stream: other streams, and longer averages, go alone.
MOST_KINDS, LONGEST_AVERAGE = 16, 128  # kinds; rows


def can_join(detector: Detector, rows: int) -> bool:
    """Whether `ManyDetectors` may be given its next ``rows``."""
    return rows <= MOST_ROWS and detector.joins


class ManyDetectors:
    """Keeps what detectors carry from row to row side by side, from ``enter`` to ``leave``.

    Args:
        count: how many there may be; each has a number.
        classes: C of each.

    Attributes:
        kind: (count,) int64; detectors of one kind can be pushed together: their averages are as long.
    """

    def __init__(self, count: int, classes: int) -> None:
        self._detectors: list[Detector | None] = [None] * count
        self._kinds: dict[tuple[int, ...], int] = {}
        self._averages: list[MovingAverage] = []  # of each kind
        self._past: list[NDArray[np.float32]] = []  # of each kind, (count, longest - 1, C)
        self._seen = np.zeros(count, np.int64)
        self._pushed = np.zeros(count, np.bool_)  # since it entered
        self.kind = np.zeros(count, np.int64)
        self._bars = np.zeros((count, classes), np.float32)
        self._busy = np.zeros(count, np.bool_)
        self._newest = np.zeros((count, classes), np.float32)  # averages

    def enter(self, number: int, detector: Detector) -> bool:
        """Go on from where a detector is that ``can_join``. False where there is no room for its kind."""
        average = detector.average
        kind = self._kinds.get(average.lengths)
        if kind is None:
            if len(self._averages) >= MOST_KINDS or max(average.lengths) > LONGEST_AVERAGE:
                return False
            kind = self._kinds[average.lengths] = len(self._averages)
            self._averages.append(MovingAverage(average.lengths))
            self._past.append(np.zeros((len(self.kind), *average.past.shape), np.float32))
        self.kind[number] = kind
        self._past[kind][number], self._seen[number] = average.past, average.seen
        self._bars[number] = detector.bars
        self._busy[number] = detector.busy
        self._newest[number] = detector.smoothed
        self._pushed[number] = False
        self._detectors[number] = detector
        return True

    def leave(self, number: int, sample: int) -> None:
        """Let the detector go on from here.

        Args:
            number: of one that has entered.
            sample: reference sample of its last row.
        """
        detector, self._detectors[number] = self._detectors[number], None
        assert detector is not None
        if self._pushed[number]:
            past, newest = self._past[self.kind[number]][number], self._newest[number]
            detector.resume(past.copy(), int(self._seen[number]), newest.copy(), sample)

    def push(
        self, numbers: NDArray[np.intp], probs: NDArray[np.float32], samples: NDArray[np.int64]
    ) -> dict[int, tuple[Event, ...]]:
        """``Detector.push`` of many, to the bit.

        Args:
            numbers: (N,) different ones of one ``kind``.
            probs: (N, T, C) float32 of warm rows; not kept.
            samples: (N,) reference sample of the first row of each.

        Returns:
            Events, by place in ``numbers``, of those that have some.
        """
        kind = self.kind[numbers[0]]
        past = self._past[kind]
        averages, past[numbers], self._seen[numbers] = self._averages[kind].push_together(
            past[numbers], self._seen[numbers], probs
        )
        self._pushed[numbers] = True
        self._newest[numbers] = averages[:, -1]
        highs = averages.max(axis=1)
        begins = (highs >= self._bars[numbers]).any(axis=1)
        places = np.flatnonzero(begins | self._busy[numbers]).tolist()
        events = {}
        if places:
            lows, highest = averages.min(axis=1).tolist(), highs.tolist()
            first, begin = samples.tolist(), begins.tolist()
            for place, number in zip(places, numbers[places].tolist(), strict=True):
                detector = self._detectors[number]
                assert detector is not None
                found = detector.decide(
                    averages[place], lows[place], highest[place], begin[place], first[place]
                )
                self._busy[number] = detector.busy
                if found:
                    events[place] = found
        return events
