"""Causal moving average of probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.snapshot import Snapshot

_KIND = "moving average"
_SPARE = 64  # rows between two moves of the history
_FEW = 16  # rows that are summed quicker in one operation than term by term


class MovingAverage:
    """Mean of the last ``lengths[c]`` rows of each class c; of as many as there are, before that.

    Args:
        lengths: rows averaged, one per class, each >= 1.

    Attributes:
        lengths: those.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = tuple(lengths)
        self._lengths = np.asarray(lengths, dtype=np.int64)
        self._longest = longest = int(self._lengths.max())
        classes = len(lengths)
        # Which of the newest rows each class takes; None when all take all.
        used = np.arange(longest)[:, None] < self._lengths[None, :]
        self._used = None if used.all() else used.astype(np.float32)
        self._divisor = self._lengths.astype(np.float32)
        # Rows newest first, written towards the front; the history is the ``longest`` rows from ``_newest``.
        self._ring = np.zeros((longest + _SPARE, classes), np.float32)
        self._sums = np.empty((longest, classes), np.float32)
        self._total = self._sums[-1:]
        # The history by where it begins; a slice costs as much as the sum.
        self._lines = [self._ring[at : at + longest] for at in range(_SPARE + 2)]
        self._windows = sliding_window_view(self._ring, longest, axis=0).swapaxes(
            1, 2
        )  # the same as one array
        self.reset()

    def reset(self) -> None:
        self._ring[...] = 0
        self._newest = _SPARE
        self._seen = 0  # rows so far, up to the longest average
        self._away: NDArray[np.float32] | None = None  # the history, where ``resume`` left it

    def snapshot(self) -> Snapshot:
        """The state, as plain values: the newest rows, newest first."""
        past = self.past.copy()
        return snapshots.begin(_KIND, lengths=self._lengths.tolist(), past=past, seen=self._seen)

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of an average of the same lengths."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "lengths", self._lengths.tolist())
        past = snapshots.array(values, "past", "float32", (self._longest - 1, len(self._lengths)))
        seen = snapshots.number(values, "seen")
        self.reset()
        self._ring[_SPARE : _SPARE + self._longest - 1] = past
        self._seen = min(max(seen, 0), self._longest)

    def push(self, probs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, C) float32 probabilities to (T, C) float32 averages."""
        rows = len(probs)
        if self._longest == 1 or not rows:
            return probs
        if self._away is not None:
            self._newest = _SPARE
            self._ring[_SPARE : _SPARE + self._longest - 1] = self._away
            self._away = None
        if rows == 1:
            total = self._push_one(probs)
        else:
            total = self._push_few(probs) if rows <= _FEW else self._push_many(probs)
        average: NDArray[np.float32]
        if self._seen == self._longest:
            average = total / self._divisor
            return average
        count = self._seen + 1 + np.arange(rows)[:, None]
        self._seen = min(self._seen + rows, self._longest)
        divisor: NDArray[np.float32] = np.minimum(count, self._lengths[None, :]).astype(np.float32)
        average = total / divisor
        return average

    @property
    def past(self) -> NDArray[np.float32]:
        """(longest - 1, C) float32, the rows that the next average needs, newest first. Until the next push."""
        if self._away is not None:
            return self._away
        return self._ring[self._newest : self._newest + self._longest - 1]

    @property
    def seen(self) -> int:
        """Rows so far, up to as many as the longest average takes."""
        return self._seen

    def resume(self, past: NDArray[np.float32], seen: int) -> None:
        """Go on from what ``push_together`` has made of ``past`` and ``seen``. The array is kept."""
        self._away, self._seen = past, seen

    def push_together(
        self, past: NDArray[np.float32], seen: NDArray[np.int64], probs: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """``push`` of many other averages of the same lengths, in a few operations, to the bit.

        Args:
            past: (N, longest - 1, C) float32, of each.
            seen: (N,) of each.
            probs: (N, T, C) float32.

        Returns:
            (N, T, C) float32, and the new past and seen of each.
        """
        streams, rows, classes = probs.shape
        longest = self._longest
        if longest == 1:
            return probs, past, seen
        # Streams beside each other, so that one operation takes many numbers; newest first.
        line = np.empty((rows + longest - 1, streams, classes), np.float32)
        line[:rows] = probs.swapaxes(0, 1)[::-1]
        line[rows:] = past.swapaxes(0, 1)
        # Term by term: on so few numbers, live, that NumPy does not give the interpreter away for any of them.
        flat = line.reshape(len(line), -1)
        total = flat[:rows].copy()
        used = None if self._used is None else np.tile(self._used, streams)
        for back in range(1, longest):
            part = flat[back : back + rows]
            total += part if used is None else part * used[back]
        if (seen == longest).all():
            total /= np.tile(self._divisor, streams)
        else:
            count = seen[None, :, None] + np.arange(rows, 0, -1)[:, None, None]
            total /= np.minimum(count, self._lengths).astype(np.float32).reshape(rows, -1)
        averages = total[::-1].reshape(rows, streams, classes).swapaxes(0, 1)
        return averages, line[: longest - 1].swapaxes(0, 1), np.minimum(seen + rows, longest)

    # Twins: ``_push_many`` takes five to ten times as long for the few rows of live sound (15 to 40 against 1.6 to 5
    # µs), ``_push_few`` 1.5 times as long for a single one, and both would take longer for a file. All sum newest
    # first, term by term, so they are the same to the bit; a term that a class does not take is added as zero, which
    # changes none.

    def _make_room(self, rows: int) -> None:
        if self._newest < rows:
            begin = self._newest
            self._newest = _SPARE + 1
            self._ring[self._newest :] = self._ring[begin : begin + self._longest - 1].copy()
        self._newest -= rows

    def _push_one(self, probs: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._newest == 0:
            self._make_room(1)
        else:
            self._newest -= 1
        line = self._lines[self._newest]
        line[:1] = probs
        if self._used is not None:
            line = line * self._used
        np.add.accumulate(line, 0, None, self._sums)
        return self._total

    def _push_few(self, probs: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = len(probs)
        self._make_room(rows)
        self._ring[self._newest : self._newest + rows] = probs[::-1]
        windows = self._windows[self._newest : self._newest + rows]  # (rows, longest, C), newest first
        if self._used is not None:
            windows = windows * self._used
        return np.add.accumulate(windows, 1)[::-1, -1]

    def _push_many(self, probs: NDArray[np.float32]) -> NDArray[np.float32]:
        rows, before = len(probs), self._longest - 1
        line = np.concatenate([self._ring[self._newest : self._newest + before][::-1], probs])
        total: NDArray[np.float32] = probs.copy()
        for back in range(1, self._longest):
            part = line[before - back : before - back + rows]
            total += part if self._used is None else part * self._used[back]
        self._newest = _SPARE
        self._ring[_SPARE : _SPARE + before] = line[rows:][::-1]
        return total
