"""Tell systemd that we are ready and alive (sd_notify protocol), when it asked to be told."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

from stream.messages import Chunk, Result, Status
from stream.printable import printable


class SystemdWatchdog:
    """A sink that reports READY once and WATCHDOG as long as results come.

    A heartbeat of a microphone that is being looked for has a result too: it shows that the loop goes round. A loop
    that hangs reports nothing, and systemd restarts the unit after its WatchdogSec.

    Args:
        address: $NOTIFY_SOCKET; "@" begins an abstract address.
        interval: seconds between reports.
        clock: monotonic seconds.
    """

    def __init__(self, address: str, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._interval = interval
        self._clock = clock
        self._last: float | None = None

    @classmethod
    def from_environment(cls) -> SystemdWatchdog | None:
        """One as the environment asks for; None where no supervisor listens."""
        address = os.environ.get("NOTIFY_SOCKET")
        if not address or not hasattr(socket, "AF_UNIX"):
            return None
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        return cls(address, int(microseconds) / 3e6 if microseconds.isdigit() else 10.0)

    def chunk(self, chunk: Chunk) -> None:
        """A chunk that came in does not show yet that it can be classified."""

    def result(self, result: Result) -> None:
        """Report, when it is time."""
        self.alive()

    def alive(self) -> None:
        """Report that the loop goes round, when it is time; the first call says READY."""
        now = self._clock()
        if self._last is None:
            self._send("READY=1\nWATCHDOG=1")
            self._last = now
        elif now - self._last >= self._interval:
            self._send("WATCHDOG=1")
            self._last = now

    def status(self, status: Status) -> None:
        """Report what the source is doing."""
        detail = f" ({' '.join(status.detail.split())})" if status.detail else ""
        self._send(printable(f"STATUS={status.state}{detail}"))

    def close(self) -> None:
        """Nothing is open."""

    def _send(self, text: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)
                line.sendto(text.encode(), self._address)
        except OSError:
            # The supervisor is gone or its queue is full; it restarts us if it must, and until then we listen.
            return
