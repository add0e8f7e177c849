"""CSV and TSV manifests: whole-clip labels, or strong labels in the DCASE form.

Commas, tabs, semicolons and bars between cells are told apart by the header. Clip labels need a file column
(filename, file, path, fname ...) and a label column (label, labels, category, class, scene_label ...). Several
labels are joined by ``;`` or ``|`` (``,`` too in labels and event_labels); an empty label means none of the
classes. Optional: split (train, validation, test), fold, and a group column (groups.py). Strong labels also need
onset and offset, or start and end, in seconds; a row with an empty label names a recording without events.
The manifests of the data sets in export/README.md work as they are.
"""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from export.data.class_folders import SUFFIXES, audio_files
from export.data.groups import group_of
from export.data.recording import SPLIT_NAMES, Dataset, Interval, Recording, Split
from stream.errors import DataError
from stream.printable import printable

FILE_COLUMNS = (
    "filename", "file", "path", "slice_file_name", "audio_filename", "fname", "file_name", "audio_file", "audio",
)  # fmt: skip
LABEL_COLUMNS = ("label", "labels", "category", "class", "event_labels", "event_label", "scene_label")
_LISTS_OF_LABELS = ("labels", "event_labels")  # where a comma stands between labels
_STRONG = ("filename", "onset", "offset", "event_label")
_TIMES = (("onset", "offset"), ("start", "end"), ("start_time", "end_time"))
META_FOLDER = re.compile("meta|ground_truth|evaluation_setup|annotation", re.IGNORECASE)

Row = tuple[str, dict[str, str]]


def read_manifest(path: Path, split: Split | None = None) -> Dataset:
    """The recordings a manifest lists; ``split`` is that of rows which name none.

    Raises:
        DataError: a column is missing, a file does not exist, a number or split cannot be read, a file is
            listed twice with different labels. The message names file and row.
    """
    rows = _rows(path)
    columns = rows[0][1]
    label = _label_column(path, rows)
    times = next((pair for pair in _TIMES if set(pair) <= set(columns)), None)
    # UrbanSound8K's start and end are those of the excerpt in its source; the file is the excerpt
    strong = times is not None and "slice_file_name" not in columns
    audio = _AudioFinder(path)
    recordings = (
        _strong(rows, label, times, audio, split) if strong and times else _weak(rows, label, audio, split)
    )
    names = {label for r in recordings for label in r.labels}
    if not names:
        raise DataError(f"{path}: no row has a label; fill the label column")
    return Dataset(path, tuple(recordings), tuple(sorted(names)))


def is_manifest(path: Path) -> bool:
    """True for a text file with a file column and a label column."""
    try:
        columns = set(_rows(path)[0][1])
    except DataError:
        return False
    return bool(columns.intersection(FILE_COLUMNS)) and bool(
        columns.intersection((*LABEL_COLUMNS, "sentence"))
    )


def _label_column(path: Path, rows: list[Row]) -> str:
    columns = rows[0][1]
    for name in LABEL_COLUMNS:
        if name in columns:
            return name
    if "sentence" in columns:  # Common Voice: a class only where it is one of a few words
        said = {row["sentence"] for _, row in rows}
        if 2 * len(said) <= len(rows):
            return "sentence"
        raise DataError(
            f"{path}: has {len(said)} different sentences in {len(rows)} rows, which are no classes; "
            "name the column to learn (gender, locale) label"
        )
    raise DataError(f"{path}: has no label column; want one of {', '.join(LABEL_COLUMNS)}")


def _rows(path: Path) -> list[Row]:
    table = _table(path, _text(path))
    if table and _headerless(table[0][1]):
        table.insert(0, (0, list(_STRONG)))
    if len(table) < 2:
        raise DataError(f"{path}: is empty; want a header and one row per recording")
    header = [name.strip().lower() for name in table[0][1]]
    for name in header:
        if name and header.count(name) > 1:
            raise DataError(
                f"{path.name}, row {table[0][0]}: two columns are named {name!r}; rename one of them"
            )
    rows: list[Row] = []
    for number, cells in table[1:]:
        while len(cells) > len(header) and not cells[-1].strip():
            cells.pop()
        if len(cells) > len(header):
            raise DataError(f"{path.name}, row {number}: {len(cells)} cells under {len(header)} columns")
        padded = [cell.strip() for cell in cells] + [""] * (len(header) - len(cells))
        rows.append((f"{path.name}, row {number}", dict(zip(header, padded, strict=True))))
    return rows


def _text(path: Path) -> str:
    """The text of a manifest."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; want a CSV or TSV manifest") from None
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if path.suffix.lower() in SUFFIXES:
            raise DataError(
                f"{path}: is a recording; give the folder of the class folders, or a manifest"
            ) from None
        if encoding == "utf-16" or b"\0" in data[:1000]:
            raise DataError(f"{path}: is not text; want a CSV or TSV manifest") from None
        row = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path.name}, row {row}: byte 0x{data[error.start]:02x} is not UTF-8; save the manifest as UTF-8"
        ) from None


def _table(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """(line, cells) of every row that is not blank."""
    # not splitlines(): it also divides at U+2028, U+0085 and form feeds, which are text here
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((line for line in lines if line.strip()), "")
    mark = _delimiter(first)
    if mark == "\t":  # a quote is a character like any other, unless it encloses the whole cell
        rows = [(n, [_unquoted(cell) for cell in line.split(mark)]) for n, line in enumerate(lines, 1)]
    else:
        rows = _csv_rows(path, lines, mark)
    return [(number, cells) for number, cells in rows if any(cell.strip() for cell in cells)]


def _csv_rows(path: Path, lines: list[str], mark: str) -> list[tuple[int, list[str]]]:
    """(first line, cells) of every row; DataError where a quote swallows the rows after it."""
    rows: list[tuple[int, list[str]]] = []
    limit = csv.field_size_limit(2**31 - 1)
    reader = csv.reader((line + "\n" for line in lines), delimiter=mark, strict=True)
    number, width = 1, 0
    try:
        for cells in reader:
            width = width or len(cells)
            inner = [line for cell in cells for line in cell.split("\n")[1:]]
            if any(line.count(mark) >= width - 1 > 0 for line in inner):
                raise csv.Error("a quote is opened and not closed")
            rows.append((number, cells))
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path.name}, row {number}: {error}; close the quote, or double quotes that are text"
        ) from None
    finally:
        csv.field_size_limit(limit)
    return rows


def _delimiter(header: str) -> str:
    """The character between cells: the one that shows most known columns, else most cells."""
    known = {*FILE_COLUMNS, *LABEL_COLUMNS, "split", "fold", "onset", "offset"}

    def seen(mark: str) -> tuple[int, int]:
        cells = [_unquoted(cell.strip()).strip().lower() for cell in header.split(mark)]
        return len(known.intersection(cells)), len(cells)

    return max((",", "\t", ";", "|"), key=seen)


def _unquoted(cell: str) -> str:
    inner = cell[1:-1]
    closed = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if closed else cell


def _headerless(cells: list[str]) -> bool:
    """True for older strong labels of DCASE, which have no header."""
    try:
        return len(cells) == 4 and float(cells[1]) <= float(cells[2])
    except ValueError:
        return False


def _weak(rows: list[Row], label: str, audio: _AudioFinder, split: Split | None) -> list[Recording]:
    seen: dict[Path, Recording] = {}
    for origin, row in rows:
        name, path = audio.find(origin, row)
        labels = split_labels(row[label], commas=label in _LISTS_OF_LABELS)
        recording = Recording(
            path,
            origin,
            group_of(name, labels, row),
            labels,
            split=_split(origin, row) or split,
            fold=row.get("fold") or None,
        )
        before = seen.setdefault(path, recording)
        if (before.labels, before.split, before.fold) != (labels, recording.split, recording.fold):
            raise DataError(
                f"{origin}: {printable(name)} was already listed in {before.origin}; join its labels with ';'"
            )
    return list(seen.values())


def _strong(
    rows: list[Row], label_column: str, times: tuple[str, str], audio: _AudioFinder, split: Split | None
) -> list[Recording]:
    found: dict[Path, tuple[str, str, dict[str, str], list[Interval]]] = {}
    for origin, row in rows:
        name, path = audio.find(origin, row)
        events = found.setdefault(path, (origin, name, row, []))[3]
        label = row[label_column]
        if label and label.lower() != "nan":
            events.append(Interval(label, *_times(origin, row, times)))
    return [
        Recording(
            path,
            origin,
            group_of(name, (), row),
            tuple(sorted({e.label for e in events})),
            tuple(dict.fromkeys(events)),
            _split(origin, row) or split,
            row.get("fold") or None,
        )
        for path, (origin, name, row, events) in found.items()
    ]


def split_labels(text: str, *, commas: bool = False) -> tuple[str, ...]:
    """Sorted, distinct label names of one cell."""
    for mark in "|," if commas else "|":
        text = text.replace(mark, ";")
    return tuple(sorted({part.strip() for part in text.split(";")} - {""}))


class _AudioFinder:
    """Finds the audio of a manifest where published data sets keep it."""

    def __init__(self, manifest: Path) -> None:
        self._manifest = manifest
        root = manifest.parent
        for up in list(manifest.parents)[:3]:  # meta/, FSD50K.ground_truth/, metadata/train/
            if META_FOLDER.search(up.name):
                root = up.parent
        self._root = root
        self._index: dict[str, list[Path]] | None = None

    def find(self, origin: str, row: Mapping[str, str]) -> tuple[str, Path]:
        """The name in the row and the file; DataError if there is none, or several of that name."""
        name = next((row[column] for column in FILE_COLUMNS if row.get(column)), "")
        if not name:
            raise DataError(f"{origin}: no file name; want a column {', '.join(FILE_COLUMNS)}")
        for candidate in self._candidates(name, row.get("fold", "")):
            if _is_file(candidate):
                return name, candidate
        found = self._by_name(name)
        if len(found) == 1:
            return name, found[0]
        if found:
            raise DataError(
                f"{origin}: {printable(name)} is in {found[0].parent} and in {found[1].parent}; add its folder"
            )
        raise DataError(
            f"{origin}: {printable(name)} does not exist beside {self._manifest.name}, in audio/ or in ../audio/; "
            "correct the row"
        )

    def _candidates(self, name: str, fold: str) -> Iterable[Path]:
        folder = self._manifest.parent
        for base in (folder, folder / "audio", folder / "clips", folder.parent / "audio", folder.parent):
            yield base / name
            if fold:
                yield base / f"fold{fold}" / name

    def _by_name(self, name: str) -> list[Path]:
        """Audio files of this name, or this name before the suffix, anywhere in the data set."""
        if self._index is None:
            self._index = defaultdict(list)
            for path in audio_files(self._root):
                self._index[path.name].append(path)
                self._index[path.stem].append(path)
        plain = PurePath(name).name
        found = self._index.get(plain, [])
        # DESED: metadata/train/weak.tsv names the files of audio/train/weak/
        parts = {*self._manifest.relative_to(self._root).parts[1:-1], self._manifest.stem}
        ranked = sorted(found, key=lambda path: -len(parts.intersection(path.parts)))
        if len(ranked) > 1 and len(parts.intersection(ranked[0].parts)) > len(
            parts.intersection(ranked[1].parts)
        ):
            return ranked[:1]
        return ranked


def _is_file(path: Path) -> bool:
    """False also for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _split(origin: str, row: Mapping[str, str]) -> Split | None:
    text = row.get("split", "").lower()
    if not text:
        return None
    if text not in SPLIT_NAMES:
        raise DataError(f"{origin}: split {text!r}: must be train, validation or test")
    return SPLIT_NAMES[text]


def _times(origin: str, row: Mapping[str, str], columns: tuple[str, str]) -> tuple[float, float]:
    begin, end = (row[column] for column in columns)
    try:
        onset, offset = float(begin.replace(",", ".")), float(end.replace(",", "."))
    except ValueError:
        raise DataError(f"{origin}: {columns[0]} {begin!r}, {columns[1]} {end!r}: must be seconds") from None
    if not (math.isfinite(onset) and math.isfinite(offset) and 0 <= onset < offset):
        raise DataError(
            f"{origin}: {columns[0]} {onset:g}, {columns[1]} {offset:g}: need 0 <= {columns[0]} < {columns[1]}"
        )
    return onset, offset
