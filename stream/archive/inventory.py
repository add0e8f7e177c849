"""Which recordings an archive holds: from folders, patterns and lists of files."""

from __future__ import annotations

import csv
import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.capture.suffixes import AUDIO_SUFFIXES
from stream.errors import UnreadableAudio, UsageError
from stream.printable import unicode_text

LISTS = frozenset({".txt", ".lst", ".m3u", ".csv", ".tsv"})
COLUMNS = ("filename", "file", "path", "file_name", "fname", "audio", "wav")


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to listen to.

    Attributes:
        path: as the operating system takes it.
        name: the path as text that can be written anywhere, which it is called by in results.
        size: bytes.
        modified_ns: nanoseconds since 1970.
    """

    path: str
    name: str
    size: int
    modified_ns: int


def find_recordings(paths: Sequence[str]) -> list[Recording]:
    """All recordings that ``paths`` mean, each once, in the order of their names.

    Args:
        paths: audio files; folders, with all audio files below them; patterns such as ``night/**/*.flac``, for
            shells that do not expand them; lists of files, one a line or a table with a column of file names, whose
            relative names are looked for beside the list; "-" for a list on standard input.

    Raises:
        UsageError: no path, a pattern or list that means nothing, a list without a column of file names.
        UnreadableAudio: a path that does not exist, or cannot be read.
    """
    if not paths:
        raise UsageError("no recordings: give files, folders, patterns or lists")
    found: dict[str, Recording] = {}
    for text in paths:
        before = len(found)
        any_file = False
        for file in _files(text):
            any_file = True
            recording = _recording(file)
            found.setdefault(os.path.realpath(file), recording)
        if not any_file and len(found) == before:
            raise UsageError(
                f"{unicode_text(text)}: holds no recordings; give audio files or a folder of them"
            )
    return sorted(found.values(), key=lambda each: each.name)


def _recording(path: str) -> Recording:
    try:
        about = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableAudio(
            f"{unicode_text(path)}: {reason}; leave it out, or mend it", path=path
        ) from None
    return Recording(path, unicode_text(path), about.st_size, about.st_mtime_ns)


def _files(text: str) -> Iterator[str]:
    if not text.strip():
        raise UsageError("'': an empty path, perhaps an unset variable of the shell; leave it out")
    if text == "-":
        yield from _listed(sys.stdin, "standard input", os.getcwd())
    elif os.path.isdir(text):
        yield from _below(text)
    elif os.path.splitext(text)[1].lower() in LISTS and os.path.isfile(text):
        yield from _read_list(text)
    elif not os.path.exists(text) and glob.has_magic(text):
        for each in sorted(glob.glob(text, recursive=True)):
            if os.path.isdir(each):
                continue  # "**" means folders too
            if Path(each).suffix.lower() in AUDIO_SUFFIXES or "*" not in os.path.basename(text):
                yield each
    else:
        yield text


def _below(folder: str) -> Iterator[str]:
    """Audio files in a folder and the folders below it; hidden ones are left out, links to folders not followed."""

    def refuse(error: OSError) -> None:
        where = unicode_text(str(error.filename))
        raise UnreadableAudio(f"{where}: {error.strerror}; leave it out, or allow it to be read", path=where)

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in AUDIO_SUFFIXES:
                yield os.path.join(place, name)


def _read_list(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as lines:
            if Path(path).suffix.lower() in (".csv", ".tsv"):
                yield from _tabled(lines, path)
            else:
                yield from _listed(lines, path, os.path.dirname(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"list {unicode_text(path)}: cannot be read ({reason}); write it as UTF-8 text"
        ) from None


def _listed(lines: Iterable[str], name: str, folder: str) -> Iterator[str]:
    for line in lines:
        entry = line.strip()
        if entry and not entry.startswith("#"):
            yield os.path.join(folder, entry)


def _tabled(lines: Iterable[str], path: str) -> Iterator[str]:
    delimiter = "\t" if path.lower().endswith(".tsv") else ","
    rows = csv.DictReader(lines, delimiter=delimiter)
    column = next((name for name in rows.fieldnames or () if name.strip().lower() in COLUMNS), None)
    if column is None:
        raise UsageError(
            f"list {unicode_text(path)}: no column of file names in its first line; call it filename"
        )
    for row in rows:
        if entry := (row[column] or "").strip():
            yield os.path.join(os.path.dirname(path), entry)
