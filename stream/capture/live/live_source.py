"""The reader's side of a live source: chunks as sound arrives, and heartbeats while none does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np

from stream.capture.channels import Channel
from stream.capture.live.receiver import Receiver
from stream.capture.live.ring import Mark, Ring, Run, WhenLate
from stream.capture.live.supervisor import Health, Patience, Supervisor
from stream.capture.source import SourceBase, SourceReport
from stream.messages import Chunk


class LiveSource(SourceBase):
    """What a microphone and a network stream have in common.

    A thread of the subclass opens the source, keeps it open as its supervisor says, and gives what arrives to its
    receiver. The consumer iterates, and gets a heartbeat when there is no sound, whatever that thread is stuck in.
    Several iterations go on with one stream.

    Args:
        sample_rate: Hz.
        channel: "mix" or a 1-based number.
        buffer_samples: held for a late consumer.
        when_late: what to do when they are too many (`stream.capture.live.ring.Ring`), with ``keep_samples``.
        chunk_samples: to wait for before a chunk is given, but no longer than for a heartbeat.
        longest_chunk_samples: that a late consumer gets at once.
        heartbeat_seconds: between two empty chunks while no sound comes.
        patience: how long to wait for what before acting.
        reopen: False = iteration ends, with a chunk whose state is "failed", when the source is lost.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        sample_rate: int,
        channel: Channel,
        buffer_samples: int,
        when_late: WhenLate,
        keep_samples: int = 1,
        chunk_samples: int,
        longest_chunk_samples: int,
        heartbeat_seconds: float,
        patience: Patience,
        reopen: bool = True,
        clock: Callable[[], float],
    ) -> None:
        self.sample_rate = sample_rate
        self._chunk_samples = chunk_samples
        self._longest_chunk_samples = longest_chunk_samples
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._ring = Ring(buffer_samples, when_late=when_late, keep=keep_samples)
        self._supervisor = Supervisor(sample_rate, patience, reopen=reopen)
        self._receiver = Receiver(self._ring, self._supervisor, sample_rate, channel, clock)
        self._failure: BaseException | None = None  # what ended the thread, if it was not asked to stop
        self._reading_in: int | None = None  # the thread that waits in the ring

    @property
    def health(self) -> Health:
        """What the source is doing now, and why; chunks carry what was true of their samples."""
        return self._supervisor.health(self._clock())

    def report(self) -> SourceReport:
        """What was lost since opening, how far the consumer is behind, and why there is no sound now."""
        ring = self._ring
        return SourceReport(
            ring.lost, ring.dropped, ring.waiting, self.health.detail, hints=self._receiver.hints
        )

    def close(self) -> None:
        """Release everything; iteration ends at once. From any thread and from signal handlers. Idempotent."""
        self._closed = True
        self._ring.close()
        self._ask_to_stop()
        # In a signal handler, the interrupted read may hold the ring's lock that the other thread waits for: waiting
        # for that thread here would be a deadlock. The iteration closes again on its way out.
        if self._reading_in != threading.get_ident():
            self._join()

    def _open(self) -> bool:
        """Start the thread; whether this call did, so that the iteration that opened the source also closes it."""
        raise NotImplementedError

    def _ask_to_stop(self) -> None:
        """Make the thread end soon. Called in signal handlers too."""
        raise NotImplementedError

    def _join(self) -> None:
        """Wait for the thread, but not forever. Called more than once."""

    def _thread_ended(self, failure: BaseException | None = None) -> None:
        """To be called last by the thread: what has arrived is still given out, then the iteration ends.

        Args:
            failure: raised there. A thread that dies in silence would look like a source that is gone.
        """
        self._failure = failure
        self._ring.close()

    def _chunks(self) -> Iterator[Chunk]:
        opened_here = self._open()
        try:
            while (chunk := self._next()) is not None:
                yield chunk
                if chunk.state == "failed":
                    return
        finally:
            if opened_here:
                self.close()

    def _next(self) -> Chunk | None:
        """The next chunk or heartbeat; None when there will be none."""
        self._reading_in = threading.get_ident()
        try:
            run = self._ring.read(self._longest_chunk_samples, self._heartbeat_seconds, self._chunk_samples)
        finally:
            self._reading_in = None
        if self._closed:
            return None
        if run.mark is not None:
            return self._chunk(run, run.mark)
        health = self.health
        if self._ring.finished:
            if self._failure is not None:
                raise self._failure
            if health.state != "failed":
                return None
        nothing = np.empty(0, np.float32)
        return Chunk(nothing, run.start, self.sample_rate, self._clock(), *health, self._missing(run.start))

    def _chunk(self, run: Run, mark: Mark) -> Chunk:
        """A run as a chunk, with what was true when its last sample arrived."""
        arrived_at, missing = mark.arrived_at, 0
        if len(run.samples):
            arrived_at -= (mark.end - run.start - len(run.samples)) / self.sample_rate
        else:
            missing = self._missing(run.start)
        return Chunk(run.samples, run.start, self.sample_rate, arrived_at, *mark.health, missing)

    def _missing(self, start: int) -> int:
        """How many samples from ``start``, the next one to be read, are lost for certain; 0 while any is there."""
        lost_until = self._receiver.lost_until()
        return 0 if lost_until is None or self._ring.waiting else max(0, lost_until - start)
