"""Which recordings belong together: the speaker or the source a file was cut from.

A column of the manifest says so, else the file name does:

    SPEAKER_nohash_N.wav        Speech Commands: the part before ``_nohash_``
    FSID-CLASS-OCCURRENCE-SLICE UrbanSound8K: the first number
    FOLD-SOURCE-TAKE-TARGET     ESC-50: the second number (its take is a letter)
    LABEL_SPEAKER_N.wav         Free Spoken Digits: the middle, when the first part is the label

Any other file is a group of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

GROUP_COLUMNS = (
    "group",
    "speaker",
    "speaker_id",
    "client_id",
    "source",
    "src_file",
    "fsid",
    "recording",
    "identifier",
)

_ESC = re.compile(r"^\d-(\d+)-[A-Z]-\d+$")
_URBAN = re.compile(r"^(\d+)-\d+-\d+-\d+$")
_DIGITS = re.compile(r"^(.+)_([^_]+)_\d+$")


def group_of(filename: str, labels: tuple[str, ...], row: Mapping[str, str]) -> str:
    """Name of the group of a file; ``row`` is its line of the manifest with lower-case column names."""
    for column in GROUP_COLUMNS:
        if row.get(column):
            return row[column]
    stem = PurePath(filename).stem
    if "_nohash_" in stem:
        return stem.split("_nohash_")[0]
    for pattern in (_ESC, _URBAN):
        if found := pattern.match(stem):
            return found[1]
    found = _DIGITS.match(stem)
    if found and labels == (found[1],):
        return found[2]
    return filename
