"""LineFile: appended lines that survive kill -9, a full disk, log rotation and a second instance."""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
from pathlib import Path

from stream.errors import OutputError

log = logging.getLogger(__name__)


class LineFile:
    """Whole lines, each handed to the operating system at once: what was written stays written.

    Args:
        path: file to append to, or "-" for standard output.

    Raises:
        OutputError: it cannot be opened, or another instance is writing to it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.dropped = 0  # lines lost to a full disk and the like
        self._failing = False
        self._reopen = False
        self._closed = False
        self._fd = self._open()

    def write(self, lines: list[bytes]) -> None:
        """Append lines (each ending in a newline).

        Raises:
            BrokenPipeError: the reader of standard output is gone.
        """
        if self._closed:
            return
        if self._reopen:
            self._open_again(len(lines))
        if self._fd < 0 or not lines:
            return
        data = memoryview(b"".join(lines))
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except BrokenPipeError:
            raise
        except OSError as error:
            self._failed(error, lines, bytes(data[:done]))
            return
        if self._failing:
            self._failing = False
            log.warning("%s: writing again; %d lines were lost", self.path, self.dropped)

    def reopen(self) -> None:
        """Open the same path anew at the next write (after a log was moved away). Safe in a signal handler.
        Standard output stays as it is."""
        self._reopen = self.path != "-"

    def _open_again(self, waiting: int) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        try:
            self._fd = self._open()
        except OutputError as error:
            self.dropped += waiting
            if not self._failing:
                self._failing = True
                log.warning("%s; still listening, lines are being lost", error)
            return
        self._reopen = False

    def close(self) -> None:
        self._closed = True
        if self._fd >= 0 and self.path != "-":
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> int:
        if self.path == "-":
            try:
                sys.stdout.flush()
                return sys.stdout.fileno()
            except (AttributeError, OSError, ValueError):  # closed, or replaced by something that is no file
                raise OutputError("output -: there is no standard output here; name a file") from None
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        except OSError as error:
            raise OutputError(
                f"output {self.path}: {error.strerror}; name a file that can be written"
            ) from None
        try:
            _lock(fd)
        except OSError:
            os.close(fd)
            raise OutputError(
                f"output {self.path}: another instance is writing to it; give each its own file"
            ) from None
        self._end_broken_line(fd)
        return fd

    @staticmethod
    def _end_broken_line(fd: int) -> None:
        """A power cut can leave half a line; end it, so that the next one can be read."""
        try:
            size = os.lseek(fd, 0, os.SEEK_END)
            if size:
                os.lseek(fd, size - 1, os.SEEK_SET)
                if os.read(fd, 1) != b"\n":
                    os.write(fd, b"\n")
        except OSError as error:  # a FIFO or a device has no end to look at
            if error.errno != errno.ESPIPE:
                raise OutputError(f"output: {error.strerror}; name a file that can be written") from None

    def _failed(self, error: OSError, lines: list[bytes], written: bytes) -> None:
        whole = written.count(b"\n")
        self.dropped += len(lines) - whole
        if written and not written.endswith(b"\n"):
            self._cut_back(len(written) - written.rfind(b"\n") - 1)
        if not self._failing:  # once a failure, not once a line
            self._failing = True
            log.warning("%s: %s; still listening, lines are being lost", self.path, error.strerror)

    def _cut_back(self, count: int) -> None:
        """Take back the half of a line that fitted on the disk."""
        if self.path != "-":
            size = os.lseek(self._fd, 0, os.SEEK_END)
            os.ftruncate(self._fd, size - count)


def _lock(fd: int) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):  # /dev/null and pipes may have several writers
        return
    try:
        import fcntl
    except ImportError:  # Windows: a second writer is refused by the share mode of most tools, not here
        return
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
