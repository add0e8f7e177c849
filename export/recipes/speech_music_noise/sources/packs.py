"""Sounds that packages keep inside one file: resources of Qt programs (``.rcc``) and sounds of OpenTTD (``.cat``)."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

COMPRESSED, DIRECTORY, OTHER_COMPRESSION = 1, 2, 4  # flags of an entry of a Qt resource file
WITH_TIMES = 2  # from this version of the format on, an entry also holds the time of its file
LONGEST_NAME = 60  # of a sound in a .cat file: some hold its whole history


def unpack_resources(path: Path, folder: Path, suffixes: set[str]) -> None:
    """Write the files with one of the ``suffixes`` of a Qt resource file below ``folder``, by their names in it.

    Source: Qt's ``rcc`` (qtbase, src/tools/rcc/rcc.cpp): a tree of entries, the names, the data. What is compressed
    with Zstandard is left out; recordings, which are compressed already, are stored as they are.
    """
    content = path.read_bytes()
    magic, version, tree, data, names = struct.unpack_from(">4sIIII", content)
    if magic != b"qres":
        return
    size = 14 + (8 if version >= WITH_TIMES else 0)

    def walk(entry: int, where: PurePosixPath) -> Iterator[tuple[PurePosixPath, bytes]]:
        name, flags, first, second = struct.unpack_from(">IHII", content, tree + entry * size)
        if entry:
            (length,) = struct.unpack_from(">H", content, names + name)
            start = names + name + 6
            where = where / content[start : start + 2 * length].decode("utf-16-be")
        if flags & DIRECTORY:
            for child in range(second, second + first):
                yield from walk(child, where)
        elif where.suffix.lower() in suffixes and not flags & OTHER_COMPRESSION:
            (length,) = struct.unpack_from(">I", content, data + second)
            found = content[data + second + 4 : data + second + 4 + length]
            yield where, zlib.decompress(found[4:]) if flags & COMPRESSED else found

    _write(folder, walk(0, PurePosixPath()))


def unpack_sounds(path: Path, folder: Path) -> None:
    """Write every sound of a ``.cat`` file as ``folder/NUMBER-NAME.wav``.

    A table of offsets and sizes, then for each sound its name, a RIFF file with its samples.
    """
    content = path.read_bytes()
    table = (
        int.from_bytes(content[:4], "little") & 0x7FFF_FFFF
    )  # bytes of the table: the first sound follows it
    count = table // 8 if table % 8 == 0 and table < len(content) else 0

    def sounds() -> Iterator[tuple[PurePosixPath, bytes]]:
        for number in range(count):
            offset, size = struct.unpack_from("<II", content, 8 * number)
            start = offset & 0x7FFF_FFFF
            name = content[start + 1 : start + 1 + content[start]].rstrip(b"\0").decode("latin-1")
            begin = content.find(b"RIFF", start, start + 1 + content[start] + 8)
            if begin >= 0:
                stem = re.sub(r"[^A-Za-z0-9]+", "-", name)[:LONGEST_NAME].strip("-")
                yield PurePosixPath(f"{number:02d}-{stem}.wav"), content[begin : begin + size]

    _write(folder, sounds())


def _write(folder: Path, files: Iterator[tuple[PurePosixPath, bytes]]) -> None:
    for name, data in files:
        target = folder.joinpath(*(part for part in name.parts if part not in ("/", "..", ".")))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
