"""The thread that keeps a device open: the only one that calls PortAudio, because those calls may hang."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from stream.capture.device.lookup import DeviceIdentity, DeviceInfo, refresh
from stream.capture.device.portaudio import abandon, close_stream
from stream.capture.device.sound_server import recording_from, server_sources
from stream.capture.live.receiver import Receiver
from stream.errors import DeviceError

_LOOK_SECONDS = 0.5  # between two questions to the sound server whether the source is there
_STEP_SECONDS = 0.1  # between two looks at the device
_OPENING_SECONDS = 10.0  # that the first opening may take
_CLOSING_SECONDS = 1.0  # to wait for a device that does not close, before it is left to itself


class DeviceThread:
    """Opens the device, watches it, and opens it again.

    Args:
        device: to open at first.
        identity: to find it by later.
        open_input: `open_stream` with its settings.
        receiver: takes the blocks, and says what to do.
        ended: called last, with the error that ended the thread, or None.
    """

    def __init__(
        self,
        device: DeviceInfo,
        identity: DeviceIdentity,
        open_input: Callable[..., Any],
        receiver: Receiver,
        *,
        ended: Callable[[Exception | None], None],
    ) -> None:
        self._device = device
        self._identity = identity
        self._open_input = open_input
        self._receiver = receiver
        self._report_end = ended
        # A SimpleQueue, because its put() may interrupt itself: signal handlers call it.
        self._wakeup: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._first_try: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._stream: Any = None
        self._ended = False
        self._looked = 0.0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._abandoned = False
        self._move: tuple[DeviceInfo, DeviceIdentity, Callable[..., Any]] | None = None

    @property
    def started(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        """Open the device and keep it open; raises what the first opening raised."""
        self._thread = threading.Thread(target=self._run, name="microphone", daemon=True)
        self._thread.start()
        try:
            error = self._first_try.get(timeout=_OPENING_SECONDS)
        except queue.Empty:
            raise DeviceError(
                f"microphone '{self._device.name}' did not open within {_OPENING_SECONDS:g} s: "
                "restart the sound server, or choose another device"
            ) from None
        if error is not None:
            raise error

    def ask_to_stop(self) -> None:
        self._stopping = True
        self._wakeup.put(None)

    def move_to(self, device: DeviceInfo, identity: DeviceIdentity, open_input: Callable[..., Any]) -> None:
        """Close the device, and from now on keep another one open. From any thread; returns at once."""
        self._move = device, identity, open_input
        self._wakeup.put(None)

    def join(self) -> None:
        """Wait until the device is closed, but not forever."""
        if self._thread is None or self._abandoned:
            return
        self._thread.join(_CLOSING_SECONDS)
        if self._thread.is_alive():
            self._abandoned = True
            abandon()

    def _run(self) -> None:
        try:
            self._open(self._device)
        except Exception as error:
            self._first_try.put(error)
            return
        self._first_try.put(None)
        failure: Exception | None = None
        try:
            while not self._stopping and self._act():
                with contextlib.suppress(queue.Empty):
                    self._wakeup.get(timeout=_STEP_SECONDS)
        except Exception as error:
            failure = error
        finally:
            self._report_end(failure)
            # Whoever closes a microphone while PortAudio hangs is not interested in why.
            with contextlib.suppress(DeviceError):
                self._close()

    def _act(self) -> bool:
        """One look at the device; False when it has failed for good."""
        try:
            if (move := self._move) is not None:
                self._move = None
                self._device, self._identity, self._open_input = move
                self._receiver.lost(f"changing to {self._device.name}")
                self._close()
            if self._ended and self._stream is not None:
                self._receiver.lost("the device ended the stream")
                self._close()
            if self._stream is not None and self._left():
                self._receiver.lost("it is not there any more")
                self._close()
            action = self._receiver.step()
            if action in ("close", "open"):
                # Also before opening: an earlier attempt to close may have failed.
                self._close()
            if action == "open":
                self._open(self._identity.find(refresh()))
        except DeviceError as error:
            self._receiver.lost(str(error))
            return True
        return action != "give up"

    def _left(self) -> bool:
        """Whether a source of the sound server is gone. The server may go on with another one, without a word."""
        now = time.monotonic()
        if not self._identity.source or now < self._looked + _LOOK_SECONDS:
            return False
        self._looked = now
        return self._identity.source not in [source.name for source in server_sources()]

    def _open(self, device: DeviceInfo) -> None:
        self._receiver.opening()
        self._ended = False
        with recording_from(device.source):
            self._stream = self._open_input(
                device.index, device.name, on_block=self._on_block, on_end=self._on_end
            )
        self._looked = time.monotonic()
        self._receiver.opened()

    def _close(self) -> None:
        if self._stream is not None:
            close_stream(self._stream)
            self._stream = None

    def _on_block(self, frames: Any, count: int, times: Any, status: Any) -> None:
        """sounddevice's callback, in PortAudio's thread.

        Args:
            frames: (count, channels) float32, valid during the call only.
            times: of which ``inputBufferAdcTime`` is the device's stamp of the first frame.
            status: `sounddevice.CallbackFlags`.
        """
        overflow = bool(status) and status.input_overflow
        self._receiver.receive(frames, adc_time=times.inputBufferAdcTime, overflow=overflow)

    def _on_end(self) -> None:
        self._ended = True
        self._wakeup.put(None)
