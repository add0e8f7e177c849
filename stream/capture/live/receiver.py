"""The writer's side of a live source: it takes what arrives, and is told what happens to the source."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import Channel
from stream.capture.live.ring import Ring
from stream.capture.live.supervisor import LISTENING, Action, Health, Supervisor
from stream.capture.live.timeline import Timeline
from stream.capture.sound_check import SoundCheck


class Receiver:
    """Takes blocks as they arrive, across all the times the source is opened, and keeps the supervisor's books.

    `receive` picks the channel, finds the place in time, copies into the ring and leaves: it may be called in an audio
    callback. The other methods are for the thread that opens the source. Nothing here depends on whether, or when, a
    consumer reads: what the source is doing is judged as sound arrives.

    Args:
        ring: where samples go.
        supervisor: decides what to do.
        sample_rate: Hz.
        channel: which one is wanted; "mix" is the mean of all.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        ring: Ring,
        supervisor: Supervisor,
        sample_rate: int,
        channel: Channel,
        clock: Callable[[], float],
    ) -> None:
        self._ring = ring
        self._supervisor = supervisor
        self._check = SoundCheck(sample_rate, channel)
        self._odd: dict[str, Health] = {}  # what is said instead of "listening", by hint
        self._clock = clock
        self._timeline = Timeline(sample_rate)
        self._reopened = True
        self._gone = False
        # Held for some microseconds: where a block lies and what was told about a source that is gone must agree.
        self._placing = threading.Lock()
        self._noted = LISTENING

    @property
    def hints(self) -> tuple[str, ...]:
        """What is odd about the sound, see `SoundCheck`."""
        return self._check.hints

    @property
    def end(self) -> int:
        """Absolute index one past the newest sample received."""
        return self._timeline.end

    def lost_until(self) -> int | None:
        """Absolute index before which no more samples will come, of a source that is gone; None of one that is not.

        For the consumer, who has read everything that was received. From any thread.
        """
        with self._placing:
            return self._timeline.lost_until(self._clock()) if self._gone else None

    def opening(self) -> None:
        """The source is about to be opened: its first block comes after a gap."""
        self._reopened = True
        self._supervisor.opening()

    def opened(self) -> None:
        """The source was opened."""
        self._supervisor.opened(self._clock())

    def lost(self, why: str) -> None:
        """The source ended or could not be opened."""
        self._supervisor.lost(self._clock(), why)
        self._gone = True
        self._note()

    def step(self) -> Action:
        """What to do now: see `Supervisor.step`."""
        action = self._supervisor.step(self._clock())
        if action == "close":
            self._gone = True
            self._note()
        return action

    def retry_in(self) -> float:
        """Seconds until the next try to open a source that is lost."""
        return self._supervisor.retry_in(self._clock())

    def receive(self, frames: NDArray[np.float32], *, adc_time: float = 0.0, overflow: bool = False) -> None:
        """Take a block.

        Args:
            frames: (n, channels) float32; not kept.
            adc_time: the device's time stamp of the first frame, in seconds of any origin; 0 = unknown.
            overflow: the device dropped samples before this block.
        """
        now = self._clock()
        mono = self._check.mono(frames)
        with self._placing:
            lost = self._timeline.place(
                len(mono), now, adc_time=adc_time, overflow=overflow, reopened=self._reopened
            )
            self._gone = self._reopened = False
        health = self._supervisor.heard(mono, now)
        if health is LISTENING and self._check.hints:
            text = "; ".join(self._check.hints)
            health = self._odd.setdefault(text, Health(LISTENING.state, text))
        self._ring.write(mono, lost, now, health)
        self._noted = LISTENING

    def _note(self) -> None:
        """Tell the reader at once why there will be no sound for now."""
        now = self._clock()
        health = self._supervisor.health(now)
        if health != self._noted:
            self._noted = health
            self._ring.note(now, health)
