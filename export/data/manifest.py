"""CSV and TSV manifests: whole-clip labels, or strong labels in the DCASE form.

Clip labels need a file column (filename, file, path, slice_file_name) and a label column (label, category,
class, event_labels). Several labels are joined by ``;`` or ``|`` (``,`` too in event_labels); an empty label
means none of the classes. Optional: split (train, validation, test), fold, and a group column (groups.py).
Strong labels need filename, onset and offset in seconds, and event_label; a row with an empty event_label names a
recording without events. ESC-50's and UrbanSound8K's own files work as they are.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from export.data.groups import group_of
from export.data.recording import Dataset, Interval, Recording, Split
from stream.errors import DataError

FILE_COLUMNS = ("filename", "file", "path", "slice_file_name", "audio_filename")
LABEL_COLUMNS = ("label", "labels", "category", "class", "event_labels")
SPLIT_NAMES: dict[str, Split] = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_STRONG = ("filename", "onset", "offset", "event_label")

Row = tuple[str, dict[str, str]]


def read_manifest(path: Path) -> Dataset:
    """The recordings a manifest lists.

    Raises:
        DataError: a column is missing, a file does not exist, a number or split cannot be read, a file is
            listed twice with different labels. The message names file and row.
    """
    rows = _rows(path)
    strong = {"onset", "offset"} <= set(rows[0][1]) and "event_label" in rows[0][1]
    recordings = _strong(path, rows) if strong else _weak(path, rows)
    names = {label for r in recordings for label in r.labels}
    if not names:
        raise DataError(f"{path}: no row has a label; fill the label column")
    return Dataset(path, tuple(recordings), tuple(sorted(names)))


def _rows(path: Path) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}; want a CSV or TSV manifest") from None
    lines = text.splitlines()
    tab = path.suffix.lower() == ".tsv" or (bool(lines) and "\t" in lines[0])
    table = list(csv.reader(lines, delimiter="\t" if tab else ","))
    if table and _headerless(table[0]):
        table.insert(0, list(_STRONG))
    if len(table) < 2:
        raise DataError(f"{path}: is empty; want a header and one row per recording")
    header = [name.strip().lower() for name in table[0]]
    rows: list[Row] = []
    for number, cells in enumerate(table[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header):
            raise DataError(f"{path.name}, row {number}: {len(cells)} cells under {len(header)} columns")
        padded = [cell.strip() for cell in cells] + [""] * (len(header) - len(cells))
        rows.append((f"{path.name}, row {number}", dict(zip(header, padded, strict=True))))
    if not rows:
        raise DataError(f"{path}: all rows are empty; want a header and one row per recording")
    return rows


def _headerless(cells: list[str]) -> bool:
    """True for older strong labels of DCASE, which have no header."""
    try:
        return len(cells) == 4 and float(cells[1]) <= float(cells[2])
    except ValueError:
        return False


def _weak(path: Path, rows: list[Row]) -> list[Recording]:
    columns = rows[0][1]
    label_column = next((name for name in LABEL_COLUMNS if name in columns), None)
    if label_column is None:
        raise DataError(f"{path}: has no label column; want one of {', '.join(LABEL_COLUMNS)}")
    recordings: list[Recording] = []
    seen: dict[Path, Recording] = {}
    for origin, row in rows:
        name, audio = _file(path, origin, row)
        labels = split_labels(row[label_column], commas=label_column == "event_labels")
        recording = Recording(
            audio,
            origin,
            group_of(name, labels, row),
            labels,
            split=_split(origin, row),
            fold=row.get("fold") or None,
        )
        if audio in seen:
            raise DataError(
                f"{origin}: {name} was already listed in {seen[audio].origin}; join its labels with ';'"
            )
        seen[audio] = recording
        recordings.append(recording)
    return recordings


def _strong(path: Path, rows: list[Row]) -> list[Recording]:
    found: dict[Path, tuple[str, str, dict[str, str], list[Interval]]] = {}
    for origin, row in rows:
        name, audio = _file(path, origin, row)
        events = found.setdefault(audio, (origin, name, row, []))[3]
        label = row["event_label"]
        if label and label.lower() != "nan":
            events.append(Interval(label, *_times(origin, row)))
    return [
        Recording(
            audio,
            origin,
            group_of(name, (), row),
            tuple(sorted({e.label for e in events})),
            tuple(events),
            _split(origin, row),
            row.get("fold") or None,
        )
        for audio, (origin, name, row, events) in found.items()
    ]


def split_labels(text: str, *, commas: bool = False) -> tuple[str, ...]:
    """Sorted, distinct label names of one cell."""
    for mark in "|," if commas else "|":
        text = text.replace(mark, ";")
    return tuple(sorted({part.strip() for part in text.split(";")} - {""}))


def _file(path: Path, origin: str, row: Mapping[str, str]) -> tuple[str, Path]:
    name = next((row[column] for column in FILE_COLUMNS if row.get(column)), "")
    if not name:
        raise DataError(f"{origin}: no file name; want a column {', '.join(FILE_COLUMNS)}")
    for candidate in _candidates(path.parent, name, row.get("fold", "")):
        if candidate.is_file():
            return name, candidate
    raise DataError(
        f"{origin}: {name} does not exist beside {path.name}, in audio/ or in ../audio/; correct the row"
    )


def _candidates(folder: Path, name: str, fold: str) -> Iterable[Path]:
    """Paths at which published data sets keep the audio of a manifest."""
    for base in (folder, folder / "audio", folder.parent / "audio", folder.parent):
        yield base / name
        if fold:
            yield base / f"fold{fold}" / name


def _split(origin: str, row: Mapping[str, str]) -> Split | None:
    text = row.get("split", "").lower()
    if not text:
        return None
    if text not in SPLIT_NAMES:
        raise DataError(f"{origin}: split {text!r}: must be train, validation or test")
    return SPLIT_NAMES[text]


def _times(origin: str, row: Mapping[str, str]) -> tuple[float, float]:
    try:
        onset, offset = float(row["onset"]), float(row["offset"])
    except ValueError:
        raise DataError(
            f"{origin}: onset {row['onset']!r}, offset {row['offset']!r}: must be seconds"
        ) from None
    if not (math.isfinite(onset) and math.isfinite(offset) and 0 <= onset < offset):
        raise DataError(f"{origin}: onset {onset:g}, offset {offset:g}: need 0 <= onset < offset")
    return onset, offset
