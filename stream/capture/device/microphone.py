"""A microphone as a source: PortAudio's callback fills a ring, a thread keeps the device open, you iterate.

Three parties, and what each may do:

- *PortAudio's thread* calls back with each block (`stream.capture.live.receiver`): it picks the channel, copies it into
  the ring and leaves.
- *The device thread* (`stream.capture.device.thread`) opens, watches and reopens the device, as long as it takes.
- *The consumer* iterates, and gets a heartbeat when there is no sound, whatever the other two are stuck in.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from functools import partial

from stream.capture.channels import Channel, check_channel, parse_channel
from stream.capture.device.lookup import (
    DeviceIdentity,
    DeviceInfo,
    choose_rate,
    next_input,
    records_at,
    resolve_device,
)
from stream.capture.device.portaudio import Latency, open_stream
from stream.capture.device.thread import DeviceThread
from stream.capture.live.live_source import LiveSource
from stream.capture.live.ring import WhenLate
from stream.capture.live.supervisor import Patience
from stream.errors import SpecError, UsageError
from stream.messages import SourceInfo

# PortAudio's "low" (9 ms on PulseAudio) makes every second start there wait for a time-out of 2 s.
DEFAULT_LATENCY: Latency = 0.05

# Blocks of PortAudio's, a few ms each, are joined to one chunk, so that a consumer is not woken 500 times a second; a
# late consumer gets longest chunks.
DEFAULT_CHUNK_SECONDS = 0.02
_LONGEST_CHUNK_SECONDS = 0.1
_HEARTBEAT_SECONDS = 0.1

_MOST_MIXED_CHANNELS = 8  # more is what a sound server offers, not what a microphone has


class Microphone(LiveSource):
    """A microphone, or whatever input device PortAudio knows.

    Opens when entered as a context or when iteration begins, at a rate the device supports; chunks come at
    that rate, and `StreamClassifier` resamples them. Live sound has no beginning: iterating again
    goes on where it is now. An iteration that opened the device also closes it; a closed microphone cannot
    be opened again.

    The device is remembered by name. When it ends, errs, or goes quiet, it is looked for and opened again,
    as often as it takes. The next chunk then starts later by the time that was missed, as measured by the
    clock (`stream.capture.live.timeline`); until then empty chunks say what is going on. With sound, a chunk's
    state is "listening", or "silent" where the sound is a flat line.

    Args:
        device: a number, part of a name (`stream.capture.device.lookup.resolve_device`), None = the default input.
        sample_rate: Hz, this and no other; None = the device's own, or else one that works.
        channel: a 1-based number, or "mix" for the mean of all. A device that offers more than 8 (a sound
            server's nominal figure) is mixed from its first two.
        block_samples: frames a callback, 0 = as the device likes, or as ``chunk_seconds`` wants it.
        chunk_seconds: of sound to wait for before a chunk is given, up to 0.1. More than the default costs
            delay and saves work, for then the device is asked for blocks of that length too.
        latency: seconds, or PortAudio's "low" or "high".
        buffer_seconds: what fits in the ring while the consumer is busy.
        when_late: what to lose when it is full (`stream.capture.live.ring.Ring`). "skip-to-now" keeps the newest
            0.1 s, or a block if that is more.
        reopen: False = iteration ends, with a chunk whose state is "failed", when the device is lost.
        patience: how long to wait for what before acting.
        clock: seconds, monotonic. It dates chunks, measures gaps, and tells a dead device.

    Raises:
        DeviceNotFound, DeviceAmbiguous: ``device`` does not say which.
        UnsupportedRate: not at ``sample_rate``.
        UsageError: it does not have that channel.
        SpecError: a size or policy that makes no sense.
        DeviceBusy, DeviceError, BackendMissing: it cannot be had. These also come from entering or iterating.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        sample_rate: int | None = None,
        channel: int | str = 1,
        block_samples: int = 0,
        chunk_seconds: float = DEFAULT_CHUNK_SECONDS,
        latency: Latency = DEFAULT_LATENCY,
        buffer_seconds: float = 10.0,
        when_late: WhenLate = "drop-oldest",
        reopen: bool = True,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if block_samples < 0:
            raise SpecError(f"block_samples {block_samples}: must be 0 (as the device likes) or more")
        if not 0 < chunk_seconds <= _LONGEST_CHUNK_SECONDS:
            raise SpecError(
                f"chunk_seconds {chunk_seconds:g}: must be more than 0 and at most {_LONGEST_CHUNK_SECONDS:g}"
            )
        self._channel = parse_channel(channel)
        self._device = resolve_device(device)
        check_channel(self._channel, self._device.max_input_channels, f"microphone '{self._device.name}'")
        channels = _needed_channels(self._channel, self._device)
        rate = choose_rate(self._device, sample_rate, channels)
        if not block_samples and chunk_seconds > DEFAULT_CHUNK_SECONDS:
            block_samples = round(chunk_seconds * rate)
        longest = max(1, round(_LONGEST_CHUNK_SECONDS * rate))
        keep = max(block_samples, longest)
        capacity = round(buffer_seconds * rate)
        if capacity < keep:
            raise SpecError(f"buffer_seconds {buffer_seconds:g}: must hold {keep / rate:g} s or more")
        super().__init__(
            sample_rate=rate,
            channel=self._channel,
            buffer_samples=capacity,
            when_late=when_late,
            keep_samples=keep,
            chunk_samples=max(1, round(chunk_seconds * rate)),
            longest_chunk_samples=longest,
            heartbeat_seconds=_HEARTBEAT_SECONDS,
            patience=patience or Patience(),
            reopen=reopen,
            clock=clock,
        )
        self._reopen = reopen
        self._open_with = partial(open_stream, sample_rate=rate, block_samples=block_samples, latency=latency)
        self._thread = DeviceThread(
            self._device,
            DeviceIdentity.of(self._device, channels),
            partial(self._open_with, channels=channels),
            self._receiver,
            ended=self._thread_ended,
        )
        block = f"block {block_samples}" if block_samples else "block as the device likes"
        wait = latency if isinstance(latency, str) else f"{latency * 1000:g} ms"
        self._detail = f"latency {wait}, {block}"

    def __enter__(self) -> Microphone:
        self._check_open()
        self._open()
        return self

    def info(self) -> SourceInfo:
        return SourceInfo(
            self._device.name,
            self.sample_rate,
            self._device.max_input_channels,
            str(self._channel),
            live=True,
            detail=f"{self._device.hostapi}, device {self._device.index}, {self._detail}",
        )

    def move_to_next(self) -> str:
        """Go on with the next microphone that records at this rate and has the channel; its name.

        The stream goes on: the time until the other one gives sound is a gap. From any thread; the device is opened
        soon afterwards, and looked for again and again where it cannot be.

        Raises:
            DeviceNotFound: there is no other one.
            UsageError: this microphone is not opened again when it is lost (``reopen=False``).
            DeviceError: PortAudio cannot be asked.
        """
        if not self._reopen:
            raise UsageError(
                "a microphone that is not opened again cannot be changed; leave reopen=False out"
            )

        def fits(device: DeviceInfo) -> bool:
            channels = _needed_channels(self._channel, device)
            return channels <= device.max_input_channels and records_at(device, self.sample_rate, channels)

        device = next_input(self._device, fits)
        channels = _needed_channels(self._channel, device)
        self._device = device
        self._thread.move_to(
            device, DeviceIdentity.of(device, channels), partial(self._open_with, channels=channels)
        )
        return device.name

    def close(self) -> None:
        """Release the device; iteration ends at once. From any thread and from signal handlers. Idempotent.

        A device that cannot be closed within a second, because its sound server hangs, is left to itself.
        """
        super().close()

    def _open(self) -> bool:
        if self._closed or self._thread.started:
            return False
        try:
            self._thread.start()
        except BaseException:
            self.close()
            raise
        atexit.register(self.close)
        return True

    def _ask_to_stop(self) -> None:
        self._thread.ask_to_stop()

    def _join(self) -> None:
        self._thread.join()
        atexit.unregister(self.close)


def _needed_channels(channel: Channel, device: DeviceInfo) -> int:
    """How many channels of a device to open. It may have less, if it is not the one that was asked for."""
    offered = device.max_input_channels
    if channel == "mix":
        return offered if offered <= _MOST_MIXED_CHANNELS else 2
    # Never one of several: a sound server would mix them, and "1" means the first.
    return max(channel, min(2, offered))
