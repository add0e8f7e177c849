"""What is known about a recording before it is opened, and about a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from stream.printable import unicode_text

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SPLIT_NAMES: dict[str, Split] = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Interval:
    """A sound within a recording: [onset, offset) in seconds."""

    label: str
    onset: float
    offset: float


@dataclass(frozen=True, slots=True)
class Recording:
    """One audio file and its labels.

    Attributes:
        path: the file.
        origin: where it was named, for messages: "manifest.csv, row 12" or the folder.
        group: speaker or source recording; no split ever divides a group.
        labels: classes of the whole recording; () = none of them.
        events: strong labels; None when only whole-recording labels are known.
        split: set by the data's author or by the splitter.
        fold: the author's fold, as text.
    """

    path: Path
    origin: str
    group: str
    labels: tuple[str, ...]
    events: tuple[Interval, ...] | None = None
    split: Split | None = None
    fold: str | None = None

    @property
    def where(self) -> str:
        """File and row, for error messages."""
        return unicode_text(f"{self.path.name} ({self.origin})")


@dataclass(frozen=True, slots=True)
class Dataset:
    """Recordings with the classes they are labelled with.

    Attributes:
        root: the folder or manifest that was read.
        recordings: all of them, in a fixed order.
        labels: class names in output order.
        backgrounds: recordings of no particular class, for gaps and added noise.
        ignored: files in class folders that are not audio by their suffix.
    """

    root: Path
    recordings: tuple[Recording, ...]
    labels: tuple[str, ...]
    backgrounds: tuple[Path, ...] = field(default=())
    ignored: tuple[Path, ...] = field(default=())

    @property
    def strong(self) -> bool:
        """True when onsets and offsets are known."""
        return any(recording.events is not None for recording in self.recordings)

    @property
    def multi_label(self) -> bool:
        """True when some recording carries several classes at a time."""
        return self.strong or any(len(recording.labels) > 1 for recording in self.recordings)

    def part(self, split: Split) -> tuple[Recording, ...]:
        return tuple(r for r in self.recordings if r.split == split)

    def digest(self) -> str:
        """Sixteen hex digits of every label, split, name, size and time of change."""
        lines = [repr((r.labels, r.events, r.split, r.group)) for r in self.recordings]
        return hashlib.sha256(
            "\n".join([*lines, files_digest(r.path for r in self.recordings)]).encode()
        ).hexdigest()[:16]


def files_digest(paths: Iterable[Path]) -> str:
    """Hex digest of files by name, size and time of change; a missing file counts as empty."""
    total = hashlib.sha256()
    for path in paths:
        try:
            info = path.stat()
            total.update(f"{path}\0{info.st_size}\0{info.st_mtime_ns}\n".encode(errors="surrogateescape"))
        except OSError:
            total.update(f"{path}\0missing\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def frame_targets(events: Iterable[Interval], labels: tuple[str, ...], centres: np.ndarray) -> np.ndarray:
    """(T, C) float32, 1 where the centre (T,) of a frame, in seconds, lies within an event of the class."""
    targets = np.zeros((len(centres), len(labels)), dtype=np.float32)
    for event in events:
        inside = (centres >= event.onset) & (centres < event.offset)
        targets[inside, labels.index(event.label)] = 1.0
    return targets
