"""The sound a source gave lately, kept so that whoever learns of an event can still fetch what was heard."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from stream.errors import SpecError, UsageError
from stream.messages import Chunk


class SoundHistory:
    """The last seconds of one source, addressed by absolute sample index.

    The run loop appends each chunk before it is classified; sinks read from their own threads. Samples are kept
    as they were captured, at the capture rate, before any resampling or repair. Memory is allocated once.

    Args:
        sample_rate: of the source, Hz.
        seconds: how much is kept.

    Raises:
        SpecError: a rate or length that leaves no room for a single sample.
    """

    def __init__(self, sample_rate: int, seconds: float) -> None:
        capacity = round(sample_rate * seconds) if sample_rate > 0 and 0 < seconds < float("inf") else 0
        if capacity < 1:
            raise SpecError(
                f"history of {seconds:g} s at {sample_rate} Hz: it must hold one sample or more; give more seconds"
            )
        self.sample_rate = sample_rate
        self._buffer: NDArray[np.float32] = np.zeros(capacity, np.float32)
        self._begin: int | None = None  # index of the first sample that was ever appended
        self._end = 0
        self._lock = threading.Lock()

    def append(self, chunk: Chunk) -> None:
        """Take the samples of ``chunk``; those skipped since the previous one become NaN.

        Raises:
            UsageError: the chunk has another rate, or starts before the end of the previous one.
        """
        if chunk.sample_rate != self.sample_rate:
            raise UsageError(
                f"chunk at {chunk.sample_rate} Hz: this history keeps {self.sample_rate} Hz; append what the source "
                "gave, before it is resampled"
            )
        with self._lock:
            if self._begin is None:
                self._begin = self._end = chunk.start
            gap = chunk.start - self._end
            if gap < 0:
                raise UsageError(
                    f"chunk starts at sample {chunk.start}, the previous one ended at {self._end}: append chunks in "
                    "order, or make a new history"
                )
            if gap:
                self._write(np.full(min(gap, len(self._buffer)), np.nan, np.float32), chunk.start)
            if len(chunk.samples):
                self._write(chunk.samples, chunk.end)

    @property
    def span(self) -> tuple[int, int]:
        """Absolute indices of the oldest sample that is kept and of the one after the newest."""
        with self._lock:
            return self._oldest(), self._end

    def read(self, start: int, stop: int) -> tuple[NDArray[np.float32], int]:
        """What is still there of the samples from ``start`` up to ``stop``, absolute indices at `sample_rate`.

        Returns:
            (n,) float32 that the caller owns, with NaN for samples that never arrived; and the index of its first
            sample. n is 0 where nothing of that stretch is kept.
        """
        with self._lock:
            first = min(max(start, self._oldest()), self._end)
            count = max(min(stop, self._end) - first, 0)
            at = first % len(self._buffer)
            head = self._buffer[at : at + count]
            return np.concatenate([head, self._buffer[: count - len(head)]]), first

    def between(self, onset: int, offset: int, sample_rate: int) -> tuple[NDArray[np.float32], int]:
        """`read` of a stretch given at another rate, such as an event's ``onset`` and ``offset`` at the model's.

        Args:
            onset, offset: absolute indices at ``sample_rate``; every sample that overlaps them is read.
            sample_rate: Hz.

        Returns:
            As `read`: samples and first index are at the capture rate.
        """
        start = onset * self.sample_rate // sample_rate
        stop = -(-offset * self.sample_rate // sample_rate)
        return self.read(start, stop)

    def _oldest(self) -> int:
        return max(self._begin or 0, self._end - len(self._buffer))

    def _write(self, samples: NDArray[np.float32], end: int) -> None:
        """Put ``samples`` so that the last one stands before index ``end``; only as many as fit are kept."""
        samples = samples[-len(self._buffer) :]
        at = (end - len(samples)) % len(self._buffer)
        first = min(len(samples), len(self._buffer) - at)
        self._buffer[at : at + first] = samples[:first]
        self._buffer[: len(samples) - first] = samples[first:]
        self._end = end
