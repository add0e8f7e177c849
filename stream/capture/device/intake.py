"""What PortAudio calls with each block: pick the channel, copy into the ring, leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream.capture.channels import Channel, pick_channel
from stream.capture.device.ring import Ring
from stream.capture.timeline import Timeline


class Intake:
    """The writer's side of a ring, across all the times the device is opened.

    Args:
        ring: where samples go.
        sample_rate: Hz.
        channel: which one is wanted; "mix" is the mean of all.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        ring: Ring,
        sample_rate: int,
        channel: Channel,
        clock: Callable[[], float],
    ) -> None:
        self._ring = ring
        self._rate = sample_rate
        self._channel = channel
        self._clock = clock
        self._timeline = Timeline(sample_rate)
        self._fresh = True
        # One tuple, replaced whole: another thread never sees half of it.
        self._newest: tuple[int, float] | None = None

    @property
    def heard_at(self) -> float | None:
        """When the newest block arrived, in seconds of the clock; None before the first since opening."""
        return None if self._fresh or self._newest is None else self._newest[1]

    def captured_at(self, end: int) -> float | None:
        """When the sample before absolute index ``end`` arrived; None before any has."""
        newest = self._newest
        return None if newest is None else newest[1] - (newest[0] - end) / self._rate

    def reopening(self) -> None:
        """The device is about to be opened: its first block comes after a hole."""
        self._fresh = True

    def block(self, frames: Any, count: int, times: Any, status: Any) -> None:
        """A sounddevice callback.

        Args:
            frames: (count, channels) float32, valid during the call only.
            times: of which ``inputBufferAdcTime`` is the device's stamp of the first frame.
            status: `sounddevice.CallbackFlags`.
        """
        now = self._clock()
        lost = self._timeline.place(
            count,
            now,
            adc_time=times.inputBufferAdcTime,
            overflow=bool(status) and status.input_overflow,
            reopened=self._fresh,
        )
        self._ring.write(pick_channel(frames, self._channel), lost)
        self._newest = (self._timeline.end, now)
        self._fresh = False
