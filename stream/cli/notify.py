"""Tell systemd that we are ready and alive (sd_notify protocol), when it asked to be told."""

from __future__ import annotations

import os
import socket

from stream.messages import Chunk, Result, Status


class SystemdWatchdog:
    """An observer that reports READY once and WATCHDOG as long as the source moves.

    A chunk or a heartbeat of a recovering microphone counts: both show that the loop turns. A loop that hangs
    says nothing, and systemd restarts the unit after its WatchdogSec.

    Args:
        address: $NOTIFY_SOCKET; "@" begins an abstract address.
        interval: seconds between reports.
    """

    def __init__(self, address: str, interval: float) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._interval = interval
        self._last: float | None = None

    @classmethod
    def from_environment(cls) -> SystemdWatchdog | None:
        """One as the environment asks for; None where no supervisor listens."""
        address = os.environ.get("NOTIFY_SOCKET")
        if not address or not hasattr(socket, "AF_UNIX"):
            return None
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        return cls(address, int(microseconds) / 3e6 if microseconds.isdigit() else 10.0)

    def observe(self, chunk: Chunk, result: Result, busy_seconds: float, now: float) -> None:
        if self._last is None:
            self._send("READY=1\nWATCHDOG=1")
            self._last = now
        elif now - self._last >= self._interval:
            self._send("WATCHDOG=1")
            self._last = now

    def status(self, status: Status) -> None:
        self._send(f"STATUS={status.state}")

    def _send(self, text: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)
                line.sendto(text.encode(), self._address)
        except OSError:
            # The supervisor is gone or its queue is full; listening matters more, and it will restart us if it must.
            return
