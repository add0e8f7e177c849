"""A bounded ring of samples between one writer and one reader, which knows to the sample what it lost.

Every sample has an absolute index that never restarts. Where samples were lost, in the ring because the
reader was late or before the ring because the device dropped them, the indices the reader gets jump by
exactly that many.

Each write also leaves a mark: when it arrived, and what the source was doing then. So what the reader gets says what
was true of those very samples, however late they are read.

One short lock is held round each copy. What does not fit is lost by a declared policy and counted, or the writer
waits.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from stream.capture.live.supervisor import LISTENING, Health
from stream.errors import SpecError

WhenLate = Literal["drop-oldest", "skip-to-now", "wait"]


_MOST_NOTES = 16  # a consumer that does not read for hours finds the newest


class Mark(NamedTuple):
    """What was true when the samples before absolute index ``end`` were written.

    Attributes:
        end: one past the last sample of the write, or of those before a note.
        arrived_at: seconds of the source's clock.
        health: what the source was doing, and why.
    """

    end: int
    arrived_at: float
    health: Health


class Run(NamedTuple):
    """Consecutive samples that were read.

    Attributes:
        start: absolute index of the first one; with no samples, that after the last sample read.
        samples: (n,) float32 that the reader owns.
        mark: of the write that brought the last sample; without samples a note, or None where nothing came.
    """

    start: int
    samples: NDArray[np.float32]
    mark: Mark | None


class Ring:
    """Samples on their way from a callback to a consumer.

    At any moment ``end == start + samples read + samples waiting + lost``.

    Args:
        capacity: samples that fit.
        when_late: what a full ring does. "drop-oldest" loses the oldest samples, as few as necessary: the
            consumer stays late, and the sound it gets has few, long runs. "skip-to-now" loses all but the
            newest ``keep`` samples: one large gap, and the consumer is on time again. "wait" loses nothing and makes
            the writer wait.
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
        self._when_late = when_late
        self._keep = keep
        self._oldest = 0  # position of the oldest sample in the buffer
        self._waiting = 0
        self._runs: deque[list[int]] = deque()  # [absolute start, length] of each unbroken run, oldest first
        self._marks: deque[Mark] = deque()
        self._notes: deque[Mark] = deque(maxlen=_MOST_NOTES)
        self._end = start
        self._next = start
        self._dropped = 0
        self._missed = 0
        self._closed = False
        self._wanted = 1
        # Condition's own lock is an RLock: a signal handler may call close() while its thread is in read().
        self._change = threading.Condition()

    def write(
        self,
        samples: NDArray[np.float32],
        lost_before: int = 0,
        arrived_at: float = 0.0,
        health: Health = LISTENING,
    ) -> None:
        """Append samples. Does nothing when closed.

        Args:
            samples: (n,) float32, copied.
            lost_before: samples that were lost between the previous write and this one.
            arrived_at: seconds of the source's clock.
            health: what the source is doing.
        """
        with self._change:
            if self._closed:
                return
            self._end += lost_before
            self._missed += lost_before
            if self._when_late == "wait":
                samples = self._wait_for_room(samples)
            excess = self._waiting + len(samples) - len(self._buffer)
            if excess > 0:
                if self._when_late == "skip-to-now":
                    excess = self._waiting + len(samples) - self._keep
                samples = samples[self._drop(excess) :]
            self._append(samples)
            if len(samples):
                self._marks.append(Mark(self._end, arrived_at, health))
            if self._waiting >= self._wanted:
                self._change.notify_all()

    def note(self, arrived_at: float, health: Health) -> None:
        """Tell the reader of a change at this place, where no sound comes with it. Does nothing when closed."""
        with self._change:
            if not self._closed:
                self._notes.append(Mark(self._end, arrived_at, health))
                self._change.notify_all()

    def read(self, maximum: int, timeout: float, minimum: int = 1) -> Run:
        """Take the oldest unbroken run, up to the next note; or the note.

        Args:
            maximum: most samples to take.
            timeout: seconds to wait, without spinning, until ``minimum`` samples are there. After that, whatever is
                there is given, even nothing.
            minimum: fewer are given only after the timeout, before a gap, or once closed.
        """
        with self._change:
            self._wanted = min(minimum, len(self._buffer))
            self._change.wait_for(
                lambda: self._closed or bool(self._notes) or self._waiting >= self._wanted, timeout
            )
            start, length = self._runs[0] if self._runs else (self._end, 0)
            if self._notes:
                if self._notes[0].end <= start:
                    return Run(self._next, np.empty(0, np.float32), self._notes.popleft())
                maximum = min(maximum, self._notes[0].end - start)
            if not length:
                return Run(self._next, np.empty(0, np.float32), None)
            samples = self._copy(min(maximum, length))
            self._next = start + len(samples)
            mark = next((mark for mark in self._marks if mark.end >= self._next), None)
            self._forget(len(samples))
            if self._when_late == "wait":
                self._change.notify_all()
            return Run(start, samples, mark)

    def close(self) -> None:
        """Take no more samples and wake the reader, who can still read what is there. Idempotent."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def finished(self) -> bool:
        """Closed and empty: nothing will ever come."""
        with self._change:
            return self._closed and not self._waiting and not self._notes

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
        """All lost samples: dropped here, or reported as lost by the writer."""
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
        oldest = self._runs[0][0] if self._runs else self._end
        while self._marks and self._marks[0].end <= oldest:
            self._marks.popleft()

    def _wait_for_room(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Append what fits, wait for the reader, and so on; returns the rest, which fits, or nothing once closed."""
        while (room := len(self._buffer) - self._waiting) < len(samples) and not self._closed:
            self._append(samples[:room])
            samples = samples[room:]
            self._change.notify_all()
            self._change.wait_for(lambda: self._closed or self._waiting < len(self._buffer))
        return samples[:0] if self._closed else samples

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
