"""Files that training and export write: whole or not at all."""

from __future__ import annotations

from pathlib import Path

from stream import atomic


def write_bytes(path: str | Path, data: bytes) -> None:
    """``stream.atomic.write_bytes`` for what ``-o`` names.

    Raises:
        OutputError: the file cannot be written; nothing is left behind.
    """
    atomic.write_bytes(path, data, way_out="choose another place with -o")
