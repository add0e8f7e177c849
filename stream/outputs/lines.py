"""LineFile: appended lines that survive kill -9, a full disk, log rotation, a second instance and a slow reader."""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path

from stream.errors import OutputError
from stream.outputs.backlog import Backlog
from stream.outputs.locking import lock

log = logging.getLogger(__name__)

BEGINNINGS = tuple(f'{{"type":"{name}"'.encode() for name in ("event", "onset", "gap", "scores", "status"))


class LineFile:
    """Whole lines, each handed to the operating system at once: what was written stays written.

    A pipe, FIFO, terminal or device may be read slowly or not at all: see `Backlog` for what happens then.

    Args:
        path: file to append to, or "-" for standard output.
        waits: wait for a reader that is slow, as suits recordings; False = never, as suits sound that is live:
            lines are then kept for it, and the oldest are dropped when they become too many.

    Raises:
        OutputError: it cannot be opened, holds something else than these lines, or another instance is writing to it.
    """

    def __init__(self, path: str | Path, *, waits: bool = False) -> None:
        self.path = str(path)
        self._lost = 0
        self._failing = False
        self._reopen = False
        self._closed = False
        self._waits = waits
        self._given_up = False
        self._backlog: Backlog | None = None
        self._fd = self._open()

    @property
    def dropped(self) -> int:
        """Lines lost to a full disk, a reader that did not read, and the like."""
        return self._lost + (self._backlog.dropped if self._backlog else 0)

    def write(self, lines: list[bytes]) -> None:
        """Append lines (each ending in a newline).

        Raises:
            BrokenPipeError: the reader of standard output is gone.
        """
        if self._closed:
            return
        if self._reopen:
            self._open_again(len(lines))
        try:
            if self._backlog is not None:
                self._backlog.write(lines)
            elif self._fd >= 0 and lines:
                self._append(lines)
            else:
                return
        except BrokenPipeError:
            raise
        except OSError as error:
            self._failed(error)
            return
        if self._failing and lines:
            self._failing = False
            log.warning("%s: writing again; %d lines were lost", self.path, self.dropped)

    def reopen(self) -> None:
        """Open the same path anew at the next write (after a log was moved away). Safe in a signal handler.
        Standard output, a FIFO and a device stay as they are."""
        self._reopen = self.path != "-" and self._backlog is None

    def give_up(self) -> None:
        """Wait no longer for a reader. Safe in a signal handler."""
        self._given_up = True
        if self._backlog is not None:
            self._backlog.give_up()

    def close(self) -> None:
        """Give a slow reader a last moment, and release the file."""
        if self._closed:
            return
        self._closed = True
        if self._backlog is not None:
            left = self._backlog.close()
            if left:
                log.warning("%s: nobody read the last %d lines; they are lost", self.path, left)
        if self._fd >= 0 and self.path != "-":
            os.close(self._fd)
        self._fd = -1

    def _append(self, lines: list[bytes]) -> None:
        data = memoryview(b"".join(lines))
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError:
            written = bytes(data[:done])
            self._lost += len(lines) - written.count(b"\n")
            if written and not written.endswith(b"\n"):
                self._cut_back(len(written) - written.rfind(b"\n") - 1)
            raise

    def _open_again(self, waiting: int) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        try:
            self._fd = self._open()
        except OutputError as error:
            self._lost += waiting
            if not self._failing:
                self._failing = True
                log.warning("%s; still listening, lines are being lost", error)
            return
        self._reopen = False

    def _open(self) -> int:
        if self.path == "-":
            try:
                sys.stdout.flush()
                fd = sys.stdout.fileno()
                kind = os.fstat(fd).st_mode
            except (AttributeError, OSError, ValueError):  # closed, or replaced by something that is no file
                raise OutputError("output -: there is no standard output here; name a file") from None
            if not stat.S_ISREG(kind):
                self._backlog = Backlog("standard output", fd, waits=self._waits)
            return fd
        try:
            if os.path.exists(self.path) and stat.S_ISFIFO(os.stat(self.path).st_mode):
                self._backlog = Backlog.of_fifo(self.path, waits=self._waits)
                return -1
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        except OSError as error:
            raise OutputError(
                f"output {self.path}: {error.strerror}; name a file that can be written"
            ) from None
        try:
            self._take(fd)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _take(self, fd: int) -> None:
        """Make sure that nothing of anybody else is damaged by writing here."""
        kind = os.fstat(fd).st_mode
        if stat.S_ISBLK(kind):
            raise OutputError(f"output {self.path}: is a disk; name a file")
        if not stat.S_ISREG(kind):
            self._backlog = Backlog(self.path, fd, waits=self._waits)
            return
        try:
            lock(fd)
        except OSError:
            raise OutputError(
                f"output {self.path}: another instance is writing to it; give each its own file"
            ) from None
        try:
            beginning = os.pread(fd, max(map(len, BEGINNINGS)), 0)
            if not any(beginning[: len(each)] == each[: len(beginning)] for each in BEGINNINGS):
                raise OutputError(
                    f"output {self.path}: holds something else than our JSON lines; nothing was written, "
                    "name another file"
                )
            self._end_broken_line(fd)
        except OSError as error:
            raise OutputError(f"output {self.path}: {error.strerror}; name another file") from None

    @staticmethod
    def _end_broken_line(fd: int) -> None:
        """A power cut can leave half a line; end it, so that the next one can be read."""
        size = os.lseek(fd, 0, os.SEEK_END)
        if size:
            os.lseek(fd, size - 1, os.SEEK_SET)
            if os.read(fd, 1) != b"\n":
                os.write(fd, b"\n")

    def _failed(self, error: OSError) -> None:
        if not self._failing:  # once a failure, not once a line
            self._failing = True
            log.warning("%s: %s; still listening, lines are being lost", self.path, error.strerror)

    def _cut_back(self, count: int) -> None:
        """Take back the half of a line that fitted on the disk."""
        if self.path != "-":
            size = os.lseek(self._fd, 0, os.SEEK_END)
            os.ftruncate(self._fd, size - count)
