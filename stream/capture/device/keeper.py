"""The thread that keeps a device open: the only one that calls PortAudio, because those calls may hang."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any

from stream.capture.device.intake import Intake
from stream.capture.device.lookup import DeviceIdentity, DeviceInfo, refresh
from stream.capture.device.portaudio import abandon, close_stream
from stream.capture.device.supervise import Supervisor
from stream.errors import DeviceError

_PACE = 0.1  # seconds between two looks at the device
_OPENING = 10.0  # seconds the first opening may take
_CLOSING = 1.0  # seconds to wait for a device that does not close, before it is left to itself


class DeviceThread:
    """Opens the device, watches it, and opens it again.

    Args:
        device: to open at first.
        identity: to find it by later.
        open_input: `open_stream` with its settings.
        intake: takes the blocks.
        supervisor: decides what to do.
        flat: whether the sound is a flat line.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        device: DeviceInfo,
        identity: DeviceIdentity,
        open_input: Callable[..., Any],
        intake: Intake,
        supervisor: Supervisor,
        *,
        flat: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self.supervisor = supervisor
        self.error: Exception | None = None  # what ended the thread, if it was not asked to stop
        self._device = device
        self._identity = identity
        self._open_input = open_input
        self._intake = intake
        self._flat = flat
        self._clock = clock
        # Wakes the thread. A SimpleQueue, because its put() may interrupt itself: signal handlers call it.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._first_try: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._stream: Any = None
        self._ended = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._abandoned = False

    @property
    def started(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        """Open the device and keep it open; raises what the first opening raised."""
        self._thread = threading.Thread(target=self._run, name="microphone", daemon=True)
        self._thread.start()
        try:
            error = self._first_try.get(timeout=_OPENING)
        except queue.Empty:
            raise DeviceError(
                f"microphone '{self._device.name}' did not open within {_OPENING:g} s: "
                "restart the sound server, or choose another device"
            ) from None
        if error is not None:
            raise error

    def ask_to_stop(self) -> None:
        self._stopping = True
        self._bell.put(None)

    def join(self) -> None:
        """Wait until the device is closed, but not for ever."""
        if self._thread is None or self._abandoned:
            return
        self._thread.join(_CLOSING)
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
        try:
            while not self._stopping and self._act():
                with contextlib.suppress(queue.Empty):
                    self._bell.get(timeout=_PACE)
        except Exception as error:
            # A thread that dies in silence would look like a device that is gone: the consumer raises this.
            self.error = error
        finally:
            # Whoever closes a microphone while PortAudio hangs is not interested in why.
            with contextlib.suppress(DeviceError):
                self._close()

    def _act(self) -> bool:
        """One look at the device; False when it has failed for good."""
        now = self._clock()
        try:
            if self._ended and self._stream is not None:
                self.supervisor.lost(now, "the device ended the stream")
                self._close()
            action = self.supervisor.step(now, self._intake.heard_at, self._flat())
            if action in ("close", "open"):
                # Also before opening: an earlier attempt to close may have failed.
                self._close()
            if action == "open":
                self._open(self._identity.find(refresh()))
        except DeviceError as error:
            self.supervisor.lost(self._clock(), str(error))
            return True
        return action != "give up"

    def _open(self, device: DeviceInfo) -> None:
        self._intake.reopening()
        self._ended = False
        self._stream = self._open_input(
            device.index, device.name, on_block=self._intake.block, on_end=self._on_end
        )
        self.supervisor.opened(self._clock())

    def _close(self) -> None:
        if self._stream is not None:
            close_stream(self._stream)
            self._stream = None

    def _on_end(self) -> None:
        self._ended = True
        self._bell.put(None)
