"""Spool: messages that are kept on disk until somebody has taken them, in order, through crashes and restarts."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stream.errors import OutputError, TryAgain
from stream.outputs.locking import lock

log = logging.getLogger(__name__)

BLOCK_BYTES = 4096  # what a small file takes up on most disks
MOST_PROCESSES = 64  # that share a folder
_NAME = re.compile(r"(\d{16})\.([A-Za-z0-9_-]{1,120})\.json")
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class Kept:
    """A message in the spool: its place in the order, its id, and its file."""

    number: int
    id: str
    path: Path


class Spool:
    """One file for each message. A message that ``put`` has returned for survives ``kill -9`` and a power cut.

    Several processes may share a folder: each has a part of its own in it, under a lock that ends with the process. A
    new one also takes over what processes that have ended left in other parts. So nothing is delivered twice, and
    nothing is forgotten.

    Args:
        folder: made if missing, for the user alone.
        most_bytes: that may be kept, in blocks of the disk. A message beyond that is refused, because those that are
            in the spool were promised and the new one was not.

    Raises:
        OutputError: the folder cannot be written, or too many processes use it.
    """

    def __init__(self, folder: str | Path, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._guard = threading.Lock()
        self._locked: list[int] = []
        try:
            Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder = self._own_part(Path(folder))
            (self.folder / _UNFINISHED).unlink(missing_ok=True)
            self._adopt(Path(folder))
            self._waiting = deque(_kept_in(self.folder))
            self._size = sum(_blocks(kept.path.stat().st_size) for kept in self._waiting)
            self._number = self._waiting[-1].number + 1 if self._waiting else 0
            self._write(self.folder / _UNFINISHED, b"")  # to know now that it can be written
            (self.folder / _UNFINISHED).unlink()
        except OSError as error:
            self.close()
            raise OutputError(
                f"spool {folder}: {error.strerror}; name a folder that can be written"
            ) from None

    def __len__(self) -> int:
        with self._guard:
            return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether the next message would be refused."""
        with self._guard:
            return self._size + BLOCK_BYTES > self._most_bytes

    def put(self, id: str, body: bytes) -> None:
        """Keep a message. When this returns, it is on the disk.

        Raises:
            TryAgain: the spool or the disk is full, or cannot be written.
        """
        with self._guard:
            size, count = self._size + _blocks(len(body)), len(self._waiting)
        if size > self._most_bytes:
            raise TryAgain(f"the spool {self.folder} is full ({count} messages)")
        kept = Kept(self._number, id, self.folder / f"{self._number:016d}.{id}.json")
        try:
            self._write(self.folder / _UNFINISHED, body)
            os.replace(self.folder / _UNFINISHED, kept.path)
            _sync_folder(self.folder)
        except OSError as error:
            raise TryAgain(f"the spool {self.folder} cannot be written: {error.strerror}") from None
        with self._guard:
            self._number += 1
            self._waiting.append(kept)
            self._size += _blocks(len(body))

    def first(self) -> tuple[Kept, bytes] | None:
        """The oldest message and its body; None when nothing waits.

        Raises:
            OSError: it is there and cannot be read.
        """
        while True:
            with self._guard:
                if not self._waiting:
                    return None
                kept = self._waiting[0]
            try:
                return kept, kept.path.read_bytes()
            except FileNotFoundError:
                log.warning("%s: was removed by somebody before it was delivered", kept.path)
                self._forget(kept, 0)

    def remove(self, kept: Kept) -> None:
        """The oldest message has been taken."""
        try:
            size = kept.path.stat().st_size
            kept.path.unlink()
        except OSError as error:
            log.warning(
                "%s: cannot be removed (%s); it will be delivered again, with the same id",
                kept.path,
                error.strerror,
            )
            size = 0
        self._forget(kept, size)

    def close(self) -> None:
        """Leave the spool to others. A second call does nothing."""
        for fd in self._locked:
            os.close(fd)
        self._locked.clear()

    def _forget(self, kept: Kept, size: int) -> None:
        with self._guard:
            if self._waiting and self._waiting[0] == kept:
                self._waiting.popleft()
            self._size = max(0, self._size - _blocks(size)) if self._waiting else 0

    def _own_part(self, folder: Path) -> Path:
        for part in map(str, range(MOST_PROCESSES)):
            (folder / part).mkdir(exist_ok=True, mode=0o700)
            if self._take(folder / part):
                return folder / part
        raise OutputError(f"spool {folder}: {MOST_PROCESSES} processes use it; give this one its own folder")

    def _adopt(self, folder: Path) -> None:
        """Put behind our own messages what other processes left when they ended."""
        number = max((kept.number for kept in _kept_in(self.folder)), default=-1) + 1
        for part in sorted(folder.iterdir()):
            if not part.name.isdecimal() or part == self.folder or not self._take(part):
                continue
            for kept in _kept_in(part):
                os.replace(kept.path, self.folder / f"{number:016d}.{kept.id}.json")
                number += 1
            os.close(self._locked.pop())

    def _take(self, part: Path) -> bool:
        """Lock a part, if nobody has it."""
        fd = os.open(part / "lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            lock(fd)
        except OSError:
            os.close(fd)
            return False
        self._locked.append(fd)
        return True

    @staticmethod
    def _write(path: Path, body: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        with open(fd, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(fd)


def _kept_in(part: Path) -> Iterator[Kept]:
    """The messages in a part, oldest first. What has another name is not ours, and stays as it is."""
    for name in sorted(os.listdir(part)):
        if found := _NAME.fullmatch(name):
            yield Kept(int(found[1]), found[2], part / name)


def _blocks(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _sync_folder(folder: Path) -> None:
    """Have the new name itself on the disk, where folders can be synced at all (not on Windows)."""
    if hasattr(os, "O_DIRECTORY"):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
