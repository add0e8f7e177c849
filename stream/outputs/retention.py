"""Retention: how long clips are kept, and how much room they may take; the oldest go first."""

from __future__ import annotations

import csv
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.errors import UsageError
from stream.outputs.clip_record import is_clip
from stream.quantities import duration_seconds, size_bytes

log = logging.getLogger(__name__)

REVIEWS = "review.csv"  # in the folder: what a person said of the clips


@dataclass(frozen=True, slots=True)
class Keep:
    """What may stay. None = no limit.

    Attributes:
        seconds: age of a clip.
        size: of all clips together, bytes.
        text: as it was written, for people.
    """

    seconds: float | None = None
    size: int | None = None
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.text


def parse_keep(text: Any, option: str = "--keep") -> Keep:
    """``7d``, ``2GB``, or both, as ``7d,2GB``.

    Raises:
        UsageError: it is neither.
    """
    parts = [part.strip() for part in str(text).split(",")]
    ages = [age for part in parts if (age := _quantity(duration_seconds, part))]
    sizes = [size for part in parts if (size := _quantity(size_bytes, part))]
    if not len(ages) + len(sizes) == len(parts) or len(ages) > 1 or len(sizes) > 1:
        raise UsageError(
            f"{option} {text}: want an age such as 7d or 12h, a size such as 2GB or 500MB, or both: 7d,2GB"
        )
    return Keep(ages[0] if ages else None, round(sizes[0]) if sizes else None, str(text))


def _quantity(parse: Callable[[str], float], text: str) -> float:
    """0 for what is none. A number without a unit could be either."""
    if not text[-1:].isalpha():
        return 0.0
    try:
        return parse(text)
    except ValueError:
        return 0.0


class Retention:
    """Removes clips of ours from a folder: what `is_clip`, is a file and no link, and was not reviewed.

    Args:
        folder: files below it are left alone.
        keep: what may stay. A single clip that is larger than all may be stays until the next one.
        wall: seconds since 1970, that files' times are compared with.
    """

    def __init__(self, folder: Path, keep: Keep, wall: Callable[[], float]) -> None:
        self._folder, self._keep, self._wall = folder, keep, wall
        self._clips: list[tuple[float, str, int]] | None = None  # time, name, bytes; sorted
        self._complained = False

    def add(self, path: Path) -> None:
        """A clip was written."""
        if self._clips is not None and (found := self._look(path.name)) is not None:
            self._clips.append(found)
            self._clips.sort()

    def prune(self) -> int:
        """Remove what is too old or too much; how many clips. The first call looks at every file of the folder."""
        try:
            if self._clips is None:
                names = [name for name in os.listdir(self._folder) if name.endswith(".flac")]
                self._clips = sorted(found for name in names if (found := self._look(name)) is not None)
            return self._removed(self._clips)
        except OSError as error:
            self._complain(error)
            return 0

    def _removed(self, clips: list[tuple[float, str, int]]) -> int:
        if not self._may_be_many(clips):
            return 0
        reviewed = reviewed_names(self._folder)
        may_go = [clip for clip in clips if clip[1] not in reviewed]
        size = sum(clip[2] for clip in may_go)
        removed = 0
        for place, clip in enumerate(may_go):
            newest = place == len(may_go) - 1
            if not (self._too_old(clip) or (self._too_much(size) and not newest)):
                break
            size -= clip[2]
            clips.remove(clip)
            try:
                if self._look(clip[1]) == clip:  # still the file that it was
                    (self._folder / clip[1]).unlink()
                    removed += 1
            except OSError as error:
                self._complain(error)
        return removed

    def _may_be_many(self, clips: list[tuple[float, str, int]]) -> bool:
        return bool(clips) and (self._too_old(clips[0]) or self._too_much(sum(clip[2] for clip in clips)))

    def _too_old(self, clip: tuple[float, str, int]) -> bool:
        return self._keep.seconds is not None and clip[0] < self._wall() - self._keep.seconds

    def _too_much(self, size: int) -> bool:
        return self._keep.size is not None and size > self._keep.size

    def _look(self, name: str) -> tuple[float, str, int] | None:
        """Time, name and size of a clip of ours; None for everything else."""
        path = self._folder / name
        try:
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode) or not is_clip(path):
                return None
        except OSError:  # gone, or not for us to read
            return None
        return found.st_mtime, name, found.st_size

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            log.warning("%s: old clips cannot be removed: %s", self._folder, error.strerror)


def reviewed_names(folder: Path) -> set[str]:
    """Names of the clips that a person has judged: they are data, and stay.

    Raises:
        OSError: the list cannot be read.
    """
    try:
        with open(folder / REVIEWS, encoding="utf-8-sig", errors="replace", newline="") as file:
            return {cell for row in csv.reader(file) for cell in row}  # in whichever column names are
    except FileNotFoundError:
        return set()
    except csv.Error as error:
        raise OSError(0, f"{REVIEWS} cannot be read: {error}") from None
