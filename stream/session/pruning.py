"""Pruning: the oldest minutes of a session go, where it must not grow for ever."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from stream.session import index

log = logging.getLogger(__name__)
_NUMBER = re.compile(r"[0-9]{6,9}")


class Pruning:
    """Removes the oldest segments of a session. The newest two stay: one is being written.

    A replay begins with the first snapshot that is left.

    Args:
        folder: of the session. Only segments' folders in it are touched.
        seconds: age of a segment's end beyond which it goes; None = any.
        size: of all segments together, in bytes, beyond which the oldest go; None = any.
        wall: seconds since 1970, which files' times are compared with.
    """

    def __init__(
        self, folder: Path, seconds: float | None, size: int | None, wall: Callable[[], float]
    ) -> None:
        self._folder, self._seconds, self._size, self._wall = folder, seconds, size, wall
        self._complained = False

    def prune(self) -> None:
        """Remove what is too old or too much."""
        if self._seconds is None and self._size is None:
            return
        try:
            names = sorted((name for name in os.listdir(self._folder) if _NUMBER.fullmatch(name)), key=int)
            segments = [(self._folder / name, *_age_and_size(self._folder / name)) for name in names]
            total = sum(size for _, _, size in segments)
            for path, written, size in segments[:-2]:
                old = self._seconds is not None and written < self._wall() - self._seconds
                if not old and (self._size is None or total <= self._size):
                    return
                (path / index.INDEX).unlink(missing_ok=True)  # without it, what is left is no segment
                shutil.rmtree(path)
                total -= size
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.warning("record %s: old minutes cannot be removed: %s", self._folder, error.strerror)


def _age_and_size(folder: Path) -> tuple[float, int]:
    """When its newest file was written, and the bytes of all."""
    found = [entry.stat(follow_symlinks=False) for entry in os.scandir(folder)]
    return max((each.st_mtime for each in found), default=0.0), sum(each.st_size for each in found)
