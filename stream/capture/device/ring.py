"""A bounded ring of samples between one writer and one reader, which knows to the sample what it lost.

Every sample has an absolute index that never restarts. Where samples were lost, in the ring because the
reader was late or before the ring because the device dropped them, the indices the reader gets jump by
exactly that many.

One short lock is held round each copy. The writer never waits for room: what does not fit is lost by a
declared policy, and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stream.errors import SpecError

WhenLate = Literal["drop-oldest", "skip-to-now"]


class Ring:
    """Samples on their way from a callback to a consumer.

    At any moment ``end == start + samples read + samples waiting + lost``.

    Args:
        capacity: samples that fit.
        when_late: what a full ring does. "drop-oldest" loses the oldest samples, as few as will do: the
            consumer stays late, and the sound it gets has few, long runs. "skip-to-now" loses all but the
            newest ``keep`` samples: one large hole, and the consumer is on time again.
        keep: for "skip-to-now"; 1 to ``capacity``.
        start: absolute index of the first sample.

    Raises:
        SpecError: a capacity or policy that makes no sense.
    """

    def __init__(
        self, capacity: int, *, when_late: WhenLate = "drop-oldest", keep: int = 1, start: int = 0
    ) -> None:
        if when_late not in get_args(WhenLate):
            raise SpecError(f"when_late {when_late!r}: must be one of {', '.join(get_args(WhenLate))}")
        if not 1 <= keep <= capacity:
            raise SpecError(f"ring of {capacity} samples that keeps {keep}: needs 1 <= keep <= capacity")
        self._buffer = np.zeros(capacity, np.float32)
        self._skip = when_late == "skip-to-now"
        self._keep = keep
        self._oldest = 0  # position of the oldest sample in the buffer
        self._waiting = 0
        self._runs: deque[list[int]] = deque()  # [absolute start, length] of each unbroken run, oldest first
        self._end = start
        self._next = start
        self._dropped = 0
        self._missed = 0
        self._closed = False
        self._wanted = 1
        # Condition's own lock is an RLock: a signal handler may call close() while its thread is in read().
        self._change = threading.Condition()

    def write(self, samples: NDArray[np.float32], lost_before: int = 0) -> None:
        """Append samples; never waits for room. Does nothing when closed.

        Args:
            samples: (n,) float32, copied.
            lost_before: samples that went missing between the previous write and this one.
        """
        with self._change:
            if self._closed:
                return
            self._end += lost_before
            self._missed += lost_before
            excess = self._waiting + len(samples) - len(self._buffer)
            if excess > 0:
                if self._skip:
                    excess = self._waiting + len(samples) - self._keep
                samples = samples[self._drop(excess) :]
            self._append(samples)
            if self._waiting >= self._wanted:
                self._change.notify_all()

    def read(self, maximum: int, timeout: float, minimum: int = 1) -> tuple[int, NDArray[np.float32]]:
        """Take the oldest unbroken run.

        Args:
            maximum: most samples to take.
            timeout: seconds to wait, without spinning, until ``minimum`` samples are there. Afterwards what
                is there is given, be it nothing.
            minimum: fewer are given only after the timeout, before a hole, or once closed.

        Returns:
            Absolute index of the first sample, and (n,) float32 that the caller owns, n <= ``maximum``.
            With n = 0 the index is that after the last sample read.
        """
        with self._change:
            self._wanted = min(minimum, len(self._buffer))
            self._change.wait_for(lambda: self._closed or self._waiting >= self._wanted, timeout)
            if not self._waiting:
                return self._next, np.empty(0, np.float32)
            start = self._runs[0][0]
            samples = self._copy(min(maximum, self._runs[0][1]))
            self._forget(len(samples))
            self._next = start + len(samples)
            return start, samples

    def close(self) -> None:
        """Take no more samples and wake the reader, who can still read what is there. Idempotent."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def end(self) -> int:
        """Absolute index one past the newest sample written."""
        return self._end

    @property
    def waiting(self) -> int:
        """Samples written and not yet read."""
        return self._waiting

    @property
    def dropped(self) -> int:
        """Samples lost here, because the reader was late."""
        return self._dropped

    @property
    def lost(self) -> int:
        """All lost samples: dropped here, or reported missing by the writer."""
        with self._change:
            return self._dropped + self._missed

    def _drop(self, count: int) -> int:
        """Lose ``count`` samples, waiting ones first; returns how many of the new ones must go too."""
        old = min(count, self._waiting)
        self._forget(old)
        self._dropped += count
        self._end += count - old
        return count - old

    def _forget(self, count: int) -> None:
        """Remove the oldest ``count`` of the waiting samples."""
        self._oldest = (self._oldest + count) % len(self._buffer)
        self._waiting -= count
        while count:
            run = self._runs[0]
            step = min(count, run[1])
            run[0] += step
            run[1] -= step
            count -= step
            if not run[1]:
                self._runs.popleft()

    def _append(self, samples: NDArray[np.float32]) -> None:
        if not len(samples):
            return
        if self._runs and sum(self._runs[-1]) == self._end:
            self._runs[-1][1] += len(samples)
        else:
            self._runs.append([self._end, len(samples)])
        at = (self._oldest + self._waiting) % len(self._buffer)
        first = min(len(samples), len(self._buffer) - at)
        self._buffer[at : at + first] = samples[:first]
        self._buffer[: len(samples) - first] = samples[first:]
        self._waiting += len(samples)
        self._end += len(samples)

    def _copy(self, count: int) -> NDArray[np.float32]:
        """The oldest ``count`` samples."""
        first = min(count, len(self._buffer) - self._oldest)
        out = np.empty(count, np.float32)
        out[:first] = self._buffer[self._oldest : self._oldest + first]
        out[first:] = self._buffer[: count - first]
        return out
