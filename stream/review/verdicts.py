"""Verdicts: what a person said of clips, in a CSV file beside them that is also a manifest for training.

A row is a clip. ``label``, ``onset`` and ``offset`` are what is true of it, as `export.data` reads strong labels: the
class and where in the clip it is, or nothing at all for a clip that holds none of the classes. ``verdict`` and
``event`` tell what was reported and what the person said to that.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stream.atomic import write_bytes
from stream.errors import OutputError
from stream.outputs.clip_record import ClipRecord
from stream.outputs.retention import REVIEWS
from stream.outputs.wall_time import rfc3339
from stream.printable import printable

Said = Literal["right", "wrong", "other"]
COLUMNS = ("filename", "label", "onset", "offset", "verdict", "event", "peak", "group", "reviewed")
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said of one clip.

    Attributes:
        said: "right", "wrong" (none of the classes), or "other" (another class).
        label: what it is; "" for none of the classes.
    """

    said: Said
    label: str


class Verdicts:
    """The verdicts of one folder. Each answer is on the disk when a call returns.

    Args:
        folder: of the clips.
        wall: seconds since 1970.

    Raises:
        OutputError: the file there cannot be read, or is something else.
    """

    def __init__(self, folder: str | Path, wall: Callable[[], float] = time.time) -> None:
        self.path = Path(folder) / REVIEWS
        self._wall = wall
        self._rows = self._read()

    def of(self, name: str) -> Verdict | None:
        """What was said of the clip with this file name; None if nothing was."""
        row = self._rows.get(name)
        return None if row is None else _verdict(row)

    @property
    def all(self) -> dict[str, Verdict]:
        """Everything that was said, by names of files."""
        return {name: found for name, row in self._rows.items() if (found := _verdict(row)) is not None}

    def events(self) -> dict[str, tuple[Verdict, float, float]]:
        """By names of files: what was said, and onset and offset in seconds, 0 where none of the classes is there.

        Raises:
            OutputError: a time is no number.
        """
        found = {}
        for name, verdict in self.all.items():
            times = [self._rows[name].get(column, "") for column in ("onset", "offset")]
            try:
                onset, offset = (float(time) if verdict.label else 0.0 for time in times)
            except ValueError:
                raise OutputError(
                    f"{self.path}: {printable(name)}: {times} are no times in seconds; correct the line"
                ) from None
            found[name] = verdict, onset, offset
        return found

    def put(self, name: str, record: ClipRecord, verdict: Verdict | None) -> None:
        """Keep what was said of a clip; None takes it back.

        Raises:
            OutputError: it cannot be written; what was there before stays.
        """
        rows = self._read()  # somebody else may have written meanwhile
        if verdict is None:
            rows.pop(name, None)
        else:
            rows[name] = {**rows.get(name, {}), **self._row(name, record, verdict)}
        self._write(rows)
        self._rows = rows

    def _row(self, name: str, record: ClipRecord, verdict: Verdict) -> Row:
        event = record.event
        end = record.duration if record.event_end is None else min(record.event_end, record.duration)
        there = verdict.label != ""
        # Clips of the same minutes hold the same sound: training must not test on what it learnt from.
        moment = f"{int(record.start // 600)}" if event.t_wall is None else event.t_wall[:15]
        return {
            "filename": name,
            "label": verdict.label,
            "onset": f"{record.event_start:.3f}" if there else "",
            "offset": f"{max(end, record.event_start + 0.001):.3f}" if there else "",
            "verdict": verdict.said,
            "event": event.label,
            "peak": f"{event.peak:.4f}",
            "group": f"{event.source} {moment}",
            "reviewed": rfc3339(self._wall()),
        }

    def _read(self) -> dict[str, Row]:
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.path}: cannot be read: {error}; mend it, or move it away") from None
        try:
            reader = csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True)
            rows = list(reader)
        except csv.Error as error:
            raise OutputError(f"{self.path}: cannot be read: {error}; mend it, or move it away") from None
        if text.strip() and not {"filename", "label", "verdict"} <= set(reader.fieldnames or ()):
            raise OutputError(f"{self.path}: is no list of reviews; move it away")
        return {
            row["filename"]: {name: value for name, value in row.items() if isinstance(name, str)}
            for row in rows
        }

    def _write(self, rows: dict[str, Row]) -> None:
        more = dict.fromkeys(name for row in rows.values() for name in row if name not in COLUMNS)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [*COLUMNS, *more], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
        write_bytes(self.path, text.getvalue().encode("utf-8", "replace"))


def is_reviewed(place: str | Path) -> bool:
    """Whether a place is a list of reviews, or a folder that holds one."""
    return (_folder(place) / REVIEWS).is_file()


def reviewed_files(place: str | Path, said: Said | None = None, label: str | None = None) -> list[Path]:
    """Clips that were judged and are still there, by a list of reviews or the folder that holds it.

    Args:
        place: a folder or ``review.csv``.
        said: only those of which this was said; None for all.
        label: only those that are this class.

    Raises:
        OutputError: the list cannot be read.
    """
    folder = _folder(place)
    return [
        folder / name
        for name, verdict in Verdicts(folder).all.items()
        if said in (None, verdict.said) and label in (None, verdict.label) and (folder / name).is_file()
    ]


def reviewed_events(place: str | Path) -> list[tuple[Path, Verdict, float, float]]:
    """As `reviewed_files`, each with the verdict, and onset and offset of the event within the clip, in seconds.

    Both are 0 where the clip holds none of the classes.

    Raises:
        OutputError: the list cannot be read.
    """
    reviews = Verdicts(_folder(place))
    return [
        (_folder(place) / name, *said)
        for name, said in reviews.events().items()
        if (_folder(place) / name).is_file()
    ]


def _folder(place: str | Path) -> Path:
    path = Path(place)
    return path.parent if path.name == REVIEWS else path


def _verdict(row: Row) -> Verdict | None:
    for said in get_args(Said):
        if row["verdict"] == said:
            return Verdict(said, row["label"])
    return None
