"""Backlog: lines on their way into a pipe, FIFO, terminal or device that may be read slowly or not at all."""

from __future__ import annotations

import errno
import logging
import os
import select
import time
from collections import deque

log = logging.getLogger(__name__)

CAPACITY_BYTES = 1 << 20  # kept for a slow reader: hours of events, half a minute of scores
PIECE_BYTES = getattr(select, "PIPE_BUF", 512)  # what fits into a pipe that says it can be written
CLOSING_SECONDS = 0.5  # that a slow reader gets at the end
PATIENCE_SECONDS = 0.1  # between two looks whether waiting has been given up
HAS_POLL = hasattr(select, "poll")


class Backlog:
    """Writes lines without ever waiting for the reader, or (``waits``) until it is told to give up.

    What the reader does not take is kept, up to a bound; beyond it the oldest whole lines are dropped and counted.
    A line of which a part is written is never dropped.

    Args:
        name: for the log.
        fd: open for writing; -1 for a FIFO that nobody reads yet.
        waits: wait for the reader where nothing is lost by waiting.
        fifo: path of the FIFO to open whenever somebody reads it.
    """

    def __init__(self, name: str, fd: int, *, waits: bool = False, fifo: str | None = None) -> None:
        self.dropped = 0
        self._name, self._fd, self._waits, self._fifo = name, fd, waits, fifo
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._begun = b""  # what is left of a line that was written in part
        self._whole = True  # nothing of it has been written yet
        self._told = False

    @classmethod
    def of_fifo(cls, path: str, *, waits: bool) -> Backlog:
        """The backlog of a FIFO; its reader may come, leave and come back."""
        return cls(path, -1, waits=waits, fifo=path)

    def write(self, lines: list[bytes]) -> None:
        """Add lines, and hand on as much as the reader takes.

        Raises:
            BrokenPipeError: the reader has left, and it is no FIFO that another may open.
            OSError: the device cannot be written; what waited is lost and counted.
        """
        self._lines += lines
        self._size += sum(map(len, lines))
        self._hand_on(0.0)
        while self._waits and self._waiting:
            self._hand_on(PATIENCE_SECONDS)
        while self._size > CAPACITY_BYTES and self._lines:
            self._size -= len(self._lines.popleft())
            self.dropped += 1
            if not self._told:
                self._told = True
                log.warning("%s: not read fast enough; still listening, lines are being lost", self._name)

    def give_up(self) -> None:
        """Wait no longer for the reader. Safe in a signal handler."""
        self._waits = False

    def close(self) -> int:
        """Give the reader a last moment; the number of lines that it did not take, counted as dropped."""
        end = time.monotonic() + CLOSING_SECONDS
        try:
            while self._waiting and (left := end - time.monotonic()) > 0:
                self._hand_on(left)
        except OSError:
            pass  # counted below, or where it was raised
        lost = len(self._lines) + bool(self._begun)
        self.dropped += lost
        self._forget()
        self._release()
        return lost

    @property
    def _waiting(self) -> bool:
        return bool(self._begun or self._lines)

    def _hand_on(self, seconds: float) -> None:
        """Write while the reader takes it; wait up to ``seconds`` for it to begin."""
        while self._waiting and self._can_be_written(seconds):
            if not self._begun:
                self._begun = self._lines.popleft()
                self._size -= len(self._begun)
                self._whole = True
            try:
                done = os.write(self._fd, self._begun[:PIECE_BYTES])
            except BlockingIOError:  # somebody else made the pipe non-blocking
                if seconds:
                    time.sleep(min(seconds, PATIENCE_SECONDS))
                return
            except BrokenPipeError:
                if self._fifo is None:
                    self._forget()
                    raise
                if self._whole:  # for the next reader, who could do nothing with the rest of a line
                    self._lines.appendleft(self._begun)
                    self._size += len(self._begun)
                else:
                    self.dropped += 1
                self._begun = b""
                self._release()
                continue
            except OSError:
                self.dropped += len(self._lines) + 1
                self._forget()
                raise
            self._begun = self._begun[done:]
            self._whole = False

    def _can_be_written(self, seconds: float) -> bool:
        if self._fifo is not None and self._fd < 0:
            try:
                self._fd = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO:  # the FIFO is gone
                    self.dropped += len(self._lines)
                    self._forget()
                    raise
                time.sleep(min(seconds, PATIENCE_SECONDS))  # nobody reads it yet
                return False
        if not HAS_POLL:  # Windows: writes wait
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(seconds * 1e3))

    def _forget(self) -> None:
        self._lines.clear()
        self._begun, self._size = b"", 0

    def _release(self) -> None:
        if self._fifo is not None and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
