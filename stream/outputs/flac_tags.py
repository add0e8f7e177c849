"""Tags of FLAC files: the Vorbis comment block, written into room that was left for it, and read from any file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from stream._version import __version__

MAGIC = b"fLaC"
PADDING, VORBIS_COMMENT = 1, 4  # types of metadata blocks
LONGEST_METADATA_BYTES = 1 << 22  # that is read of a file of anybody
_LAST = 0x80  # in the type of the last block

Tag = tuple[str, str]
Block = tuple[int, bytes]


def write_tags(file: BinaryIO, tags: Sequence[Tag]) -> None:
    """Replace the tags of a FLAC file in place. The other blocks and the sound stay where they are.

    Args:
        file: open for reading and writing.
        tags: names (ASCII, in capitals by custom) and values.

    Raises:
        ValueError: it is no FLAC file, or the tags need more room than its old tags and padding take.
    """
    blocks, size = _read_blocks(file)
    kept = [block for block in blocks if block[0] not in (PADDING, VORBIS_COMMENT)]
    kept.append((VORBIS_COMMENT, _encoded(tags)))
    left = size - sum(4 + len(data) for _, data in kept)
    if left < 0 or 0 < left < 4:  # a block of padding takes four bytes itself
        raise ValueError(f"tags: {-left} bytes too long for the room that was left for them")
    if left:
        kept.append((PADDING, bytes(left - 4)))
    file.seek(len(MAGIC))
    for place, (kind, data) in enumerate(kept):
        file.write(bytes([kind | (_LAST if place == len(kept) - 1 else 0)]) + len(data).to_bytes(3, "big"))
        file.write(data)


def read_tags(path: str | Path) -> dict[str, str]:
    """The tags of a file by their names in capitals, the first value of each; {} for what is no FLAC file.

    Links are not followed.

    Raises:
        OSError: it cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        try:
            blocks, _ = _read_blocks(file)
        except ValueError:
            return {}
    for kind, data in blocks:
        if kind == VORBIS_COMMENT:
            return _decoded(data)
    return {}


def _read_blocks(file: BinaryIO) -> tuple[list[Block], int]:
    """Type and content of each metadata block, and the bytes they take in all."""
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("not a FLAC file")
    blocks: list[Block] = []
    size = 0
    while True:
        head = file.read(4)
        length = int.from_bytes(head[1:], "big")
        size += 4 + length
        if len(head) < 4 or size > LONGEST_METADATA_BYTES:
            raise ValueError("its metadata breaks off, or is too long")
        data = file.read(length)
        if len(data) < length:
            raise ValueError("its metadata breaks off")
        blocks.append((head[0] & ~_LAST, data))
        if head[0] & _LAST:
            return blocks, size


def _encoded(tags: Sequence[Tag]) -> bytes:
    texts = [f"stream-classify {__version__}", *(f"{name}={value}" for name, value in tags)]
    vendor, *comments = (_counted(text.encode("utf-8", "replace")) for text in texts)
    return vendor + len(comments).to_bytes(4, "little") + b"".join(comments)


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _decoded(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 4 + int.from_bytes(data[:4], "little")
    count = int.from_bytes(data[at : at + 4], "little")
    at += 4
    while count > 0 and at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        name, _, value = data[at + 4 : at + 4 + length].decode("utf-8", "replace").partition("=")
        found.setdefault(name.upper(), value)
        at += 4 + length
        count -= 1
    return found
