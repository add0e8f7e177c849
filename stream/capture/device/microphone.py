"""A microphone as a source: PortAudio's callback fills a ring, a thread keeps the device open, you iterate.

Three parties, and what each may do:

- *PortAudio's thread* calls back with each block (`stream.capture.device.intake`): it picks the channel, copies
  it into the ring and leaves.
- *The device thread* (`stream.capture.device.keeper`) opens, watches and reopens the device, for ever.
- *The consumer* iterates, and gets a heartbeat when there is no sound, whatever the other two are stuck in.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from stream.capture.channels import check_channel, parse_channel
from stream.capture.device.intake import Intake
from stream.capture.device.keeper import DeviceThread
from stream.capture.device.lookup import DeviceIdentity, choose_rate, resolve_device
from stream.capture.device.portaudio import Latency, open_stream
from stream.capture.device.ring import Ring, WhenLate
from stream.capture.device.supervise import FLAT_LINE, FlatLine, Patience, Supervisor
from stream.capture.source import SourceBase, SourceReport
from stream.errors import SpecError
from stream.messages import Chunk, SourceInfo, SourceState

# PortAudio's "low" (9 ms on PulseAudio) makes every second start there wait for a time-out of 2 s.
DEFAULT_LATENCY: Latency = 0.05

# All in seconds. A consumer waits a heartbeat at most. Blocks of PortAudio's, a few ms each, are joined to one
# chunk, so that a consumer is not woken 500 times a second; a late consumer gets longest chunks.
_HEARTBEAT = 0.1
DEFAULT_CHUNK = 0.02
_LONGEST_CHUNK = 0.1

_MANY_CHANNELS = 8  # more is what a sound server offers, not what a microphone has


class Microphone(SourceBase):
    """A microphone, or whatever input device PortAudio knows.

    Opens when entered as a context or when iteration begins, at a rate the device supports; chunks come at
    that rate (the classifier resamples). Live sound has no beginning: iterating again
    goes on where it is now. An iteration that opened the device also closes it; a closed microphone cannot
    be opened again.

    The device is remembered by name. When it ends, errs, or goes quiet, it is looked for and opened again,
    as often as it takes. The next chunk then starts later by the time that was missed, as measured by the
    clock (`stream.capture.timeline`); until then empty chunks say what is going on. With sound, a chunk's
    state is "listening", or "silent" where the sound is a flat line.

    Args:
        device: a number, part of a name (`stream.capture.device.lookup.resolve_device`), None = the default input.
        samplerate: Hz, this and no other; None = the device's own, or else one that works.
        channel: a 1-based number, or "mix" for the mean of all. A device that offers more than 8 (a sound
            server's nominal figure) is mixed from its first two.
        blocksize: frames a callback, 0 = as the device likes, or as ``chunk`` wants it.
        chunk: seconds of sound to wait for before a chunk is given, up to 0.1. More than the default costs
            delay and saves work, for then the device is asked for blocks of that length too.
        latency: seconds, or PortAudio's "low" or "high".
        buffer_seconds: what fits in the ring while the consumer is busy.
        when_late: what to lose when it is full (`stream.capture.device.ring.Ring`). "skip-to-now" keeps the newest
            0.1 s, or a block if that is more.
        reopen: False = iteration ends, with a chunk whose state is "failed", when the device is lost.
        patience: how long to wait for what before acting.
        clock: seconds, monotonic. It dates chunks, measures holes, and tells a dead device.

    Raises:
        DeviceNotFound, DeviceAmbiguous: ``device`` does not say which.
        UnsupportedRate: not at ``samplerate``.
        UsageError: it does not have that channel.
        SpecError: a size or policy that makes no sense.
        DeviceBusy, DeviceError, BackendMissing: it cannot be had. These also come from entering or iterating.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        samplerate: int | None = None,
        channel: int | str = 1,
        blocksize: int = 0,
        chunk: float = DEFAULT_CHUNK,
        latency: Latency = DEFAULT_LATENCY,
        buffer_seconds: float = 10.0,
        when_late: WhenLate = "drop-oldest",
        reopen: bool = True,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if blocksize < 0:
            raise SpecError(f"blocksize {blocksize}: must be 0 (as the device likes) or more")
        if not 0 < chunk <= _LONGEST_CHUNK:
            raise SpecError(f"chunk {chunk:g}: must be more than 0 and at most {_LONGEST_CHUNK:g} seconds")
        self._channel = parse_channel(channel)
        self._device = resolve_device(device)
        offered = self._device.max_input_channels
        check_channel(self._channel, offered, f"microphone '{self._device.name}'")
        if self._channel == "mix":
            channels = offered if offered <= _MANY_CHANNELS else 2
        else:
            # Never one of several: a sound server would mix them, and "1" means the first.
            channels = max(self._channel, min(2, offered))
        self.sample_rate = choose_rate(self._device, samplerate, channels)
        if not blocksize and chunk > DEFAULT_CHUNK:
            blocksize = round(chunk * self.sample_rate)
        self._chunk = max(1, round(chunk * self.sample_rate))
        keep = max(blocksize, round(_LONGEST_CHUNK * self.sample_rate))
        capacity = round(buffer_seconds * self.sample_rate)
        if capacity < keep:
            raise SpecError(
                f"buffer_seconds {buffer_seconds:g}: must hold {keep / self.sample_rate:g} s or more"
            )
        patience = patience or Patience()
        self._ring = Ring(capacity, when_late=when_late, keep=keep)
        self._flat = FlatLine(self.sample_rate, patience.flat)
        self._intake = Intake(self._ring, self.sample_rate, self._channel, clock)
        self._thread = DeviceThread(
            self._device,
            DeviceIdentity.of(self._device, channels),
            partial(
                open_stream, rate=self.sample_rate, channels=channels, blocksize=blocksize, latency=latency
            ),
            self._intake,
            Supervisor(patience, reopen=reopen),
            flat=lambda: self._flat.flat,
            clock=clock,
        )
        block = f"block {blocksize}" if blocksize else "block as the device likes"
        wait = latency if isinstance(latency, str) else f"{latency * 1000:g} ms"
        self._detail = f"{self._device.hostapi}, device {self._device.index}, latency {wait}, {block}"
        self._closing = False
        self._reading_in: int | None = None

    def __enter__(self) -> Microphone:
        self._open()
        return self

    def __iter__(self) -> Iterator[Chunk]:
        opened_here = self._open()
        try:
            yield from self._chunks()
        finally:
            if opened_here:
                self.close()

    def info(self) -> SourceInfo:
        return SourceInfo(
            self._device.name,
            self.sample_rate,
            self._device.max_input_channels,
            str(self._channel),
            live=True,
            detail=self._detail,
        )

    @property
    def state(self) -> SourceState:
        """What the device is doing now."""
        return self._thread.supervisor.state

    def report(self) -> SourceReport:
        """What was lost since opening, how far the consumer is behind, and why there is no sound now."""
        return SourceReport(
            lost=self._ring.lost,
            dropped=self._ring.dropped,
            waiting=self._ring.waiting,
            detail=self._thread.supervisor.detail,
        )

    def close(self) -> None:
        """Release the device; iteration ends at once. From any thread and from signal handlers. Idempotent.

        A device that cannot be closed within a second, because its sound server hangs, is left to itself.
        """
        self._closing = True
        self._ring.close()
        self._thread.ask_to_stop()
        # In a signal handler, the interrupted read may hold the ring's lock that PortAudio's thread waits
        # for: waiting here would be a deadlock. The iteration closes again on its way out.
        if self._reading_in != threading.get_ident():
            self._thread.join()
            atexit.unregister(self.close)

    def _open(self) -> bool:
        """Start the device thread; False if it was running already, or the microphone is closed."""
        if self._closing or self._thread.started:
            return False
        try:
            self._thread.start()
        except BaseException:
            self.close()
            raise
        atexit.register(self.close)
        return True

    def _chunks(self) -> Iterator[Chunk]:
        longest = max(1, round(_LONGEST_CHUNK * self.sample_rate))
        while True:
            self._reading_in = threading.get_ident()
            try:
                start, samples = self._ring.read(longest, _HEARTBEAT, self._chunk)
            finally:
                self._reading_in = None
            if self._closing:
                return
            if self._thread.error is not None:
                raise self._thread.error
            state, detail = self.state, self._thread.supervisor.detail
            if len(samples):
                flat = self._flat.push(samples)
                state, detail = ("silent", FLAT_LINE) if flat else ("listening", "")
            captured_at = self._intake.captured_at(start + len(samples))
            yield Chunk(samples, start, self.sample_rate, captured_at, state, detail)
            if state == "failed":
                return
