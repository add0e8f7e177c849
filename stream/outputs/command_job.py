"""One run of somebody's command: with a text on its standard input, in a session of its own, and ended in time."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from stream.printable import printable

log = logging.getLogger(__name__)

SHOWN_BYTES = 16384  # of what it writes
LOOK_SECONDS = 0.05  # between two looks whether it has ended
GRACE_SECONDS = 1.0  # between asking it to end and ending it
_GROUPS = hasattr(os, "killpg")


class CommandJob:
    """Starts a command; ``run`` accompanies it to its end.

    It gets no file of ours but the standard ones, and no Ctrl-C of our terminal. What it writes goes to the log at
    debug level. What it leaves running in the background is not waited for.

    Args:
        words: program and arguments, or one line for a shell.
        text: for its standard input.
        environment: all of its variables.
        shell: let ``/bin/sh`` (or ``cmd``) read ``words``.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self, words: Sequence[str] | str, text: bytes, environment: Mapping[str, str], *, shell: bool = False
    ) -> None:
        self._stop = threading.Event()
        self._written = bytearray()
        with (
            tempfile.TemporaryFile() as stdin
        ):  # unlike a pipe, it never waits for a command that does not read
            stdin.write(text)
            stdin.seek(0)
            self._process = subprocess.Popen(
                words,
                shell=shell,
                env=dict(environment),
                stdin=stdin,
                stdout=subprocess.PIPE if _GROUPS else subprocess.DEVNULL,
                stderr=subprocess.STDOUT if _GROUPS else subprocess.DEVNULL,
                start_new_session=True,
            )
            _lift_ceiling(self._process.pid)

    def run(self, seconds: float) -> str:
        """Wait for the end; what went wrong, "" if it ended well. After ``seconds``, or ``stop``, it is ended."""
        until = time.monotonic() + seconds
        ended = ""
        try:
            while not self._has_ended():
                if self._stop.is_set() or time.monotonic() >= until:
                    ended = (
                        "was ended, because the run ends"
                        if self._stop.is_set()
                        else f"was ended after {seconds:g} s"
                    )
                    self._end()
                    break
        finally:
            self._log()
        code = self._process.returncode
        if ended or code == 0:
            return ended
        if code < 0:
            return f"was ended by {_signal_name(-code)}"
        return f"exit code {code}"

    def stop(self) -> None:
        """End it soon. From any thread."""
        self._stop.set()

    def _has_ended(self) -> bool:
        """After a short while: whether it has."""
        pipe = self._process.stdout
        if pipe is None or pipe.closed:
            try:
                self._process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                return False
            return True
        if self._process.poll() is not None:
            while self._read(0.0):  # the rest, but not that of what it left behind
                if len(self._written) >= SHOWN_BYTES:
                    break
            return True
        self._read(LOOK_SECONDS)
        return False

    def _read(self, seconds: float) -> bool:
        """Take what it has written by now; whether there was anything."""
        pipe = self._process.stdout
        if pipe is None or pipe.closed:
            return False
        if len(self._written) >= SHOWN_BYTES:
            time.sleep(seconds)  # one that writes without end must not keep us busy
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        if not poll.poll(1000 * seconds):
            return False
        data = os.read(pipe.fileno(), 65536)
        if not data:
            pipe.close()
        self._written += data[: SHOWN_BYTES - len(self._written)]
        return bool(data)

    def _end(self) -> None:
        """Ask the command and all that it started to end, and end those that do not."""
        self._signal(signal.SIGTERM)
        until = time.monotonic() + (0.1 if self._stop.is_set() else GRACE_SECONDS)
        while not self._has_ended() and time.monotonic() < until:
            pass
        self._signal(signal.SIGKILL if _GROUPS else signal.SIGTERM)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if not _GROUPS:
            self._process.terminate()
            return
        with suppress(ProcessLookupError, PermissionError):  # all have gone, or become somebody else
            os.killpg(self._process.pid, number)

    def _log(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()
        for line in self._written.decode(errors="replace").splitlines():
            log.debug("exec: %s", printable(line))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _lift_ceiling(pid: int) -> None:
    """Take the limit of memory off a command: listening with a model of unknown origin has one, which is inherited."""
    with suppress(ImportError, AttributeError, OSError):  # not Linux, or it has ended
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))
