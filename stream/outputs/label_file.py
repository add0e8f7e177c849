"""LabelFile: a file that is valid at any moment, to which labels are added."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from stream.atomic import write_bytes
from stream.errors import OutputError, TryAgain
from stream.outputs.label_formats import LabelFormat
from stream.outputs.locking import lock


class LabelFile:
    """Labels are appended in one piece; one that belongs further up makes the file be written anew beside the old one.

    Args:
        path: a file that is not there, is empty, or has no label yet. Times count from the start of a run, so what
            another run wrote cannot be continued.
        format: of the file.

    Raises:
        OutputError: the file cannot be written, holds something, or another instance is writing to it.
    """

    def __init__(self, path: str, format: LabelFormat) -> None:
        self._path = path
        self._format = format
        self._newest = 0.0  # onset of the last label, where the order matters
        self._closed = False
        self._fd = self._open()

    def add(self, texts: list[str]) -> None:
        """Add labels, as ``format.write`` gives them: all or, with the error, none.

        Raises:
            TryAgain: the disk is full, or gone.
        """
        begin = self._format.begin
        if not texts or self._closed:
            return
        try:
            if self._fd < 0:
                self._open_again()
            if begin is None:
                self._append("".join(texts).encode())
                return
            texts = sorted(texts, key=begin)
            if begin(texts[0]) < self._newest:
                self._insert(texts)
            else:
                self._append("".join(texts).encode())
            self._newest = max(self._newest, begin(texts[-1]))
        except OSError as error:
            raise TryAgain(f"{self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Release the file. A second call does nothing."""
        self._closed = True
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        header = self._format.header.encode()
        try:
            fd = os.open(self._path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
        except OSError as error:
            raise OutputError(
                f"--labels {self._path}: {error.strerror}; name a file that can be written"
            ) from None
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OutputError(f"--labels {self._path}: is no ordinary file; name another")
            try:
                lock(fd)
            except OSError:
                raise OutputError(
                    f"--labels {self._path}: another instance is writing to it; give each its own file"
                ) from None
            try:
                there = os.read(fd, len(header) + 1)
                if not there:
                    os.write(fd, header)
            except OSError as error:
                raise OutputError(
                    f"--labels {self._path}: {error.strerror}; make room, or name another file"
                ) from None
            if there not in (b"", header):
                raise OutputError(
                    f"--labels {self._path}: is there already, and would be mixed up with other times; "
                    "nothing was written; name another file, or remove this one"
                )
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _append(self, data: bytes) -> None:
        size = os.fstat(self._fd).st_size
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, size)  # no half of a label stays
            raise

    def _insert(self, texts: list[str]) -> None:
        """Write the file anew, with the labels where they belong. Each is a block before an empty line."""
        begin = self._format.begin
        assert begin is not None
        with open(self._path, encoding="utf-8", newline="") as file:
            old = file.read().removeprefix(self._format.header)
        blocks = [f"{block}\n\n" for block in old.split("\n\n") if block]
        data = self._format.header + "".join(sorted([*blocks, *texts], key=begin))
        try:
            write_bytes(self._path, data.encode())
        except OutputError as error:
            raise TryAgain(str(error)) from None
        os.close(self._fd)
        self._fd = -1
        with suppress(OSError):  # else before the next label
            self._open_again()

    def _open_again(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))
        with suppress(OSError):
            lock(self._fd)
