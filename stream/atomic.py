"""Write a file so that an interruption leaves the old one or the new one, never half of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from stream.errors import OutputError


def write_bytes(path: str | Path, data: bytes, *, way_out: str = "make room, or name another place") -> None:
    """Write all of a file; see `whole_file`."""
    with whole_file(path, way_out=way_out) as file:
        file.write(data)


@contextmanager
def whole_file(path: str | Path, *, way_out: str = "make room, or name another place") -> Iterator[IO[bytes]]:
    """A temporary file beside ``path`` to write into; at the end it is synced and renamed, after an error removed.

    Args:
        path: its folder is made if it is not there.
        way_out: the end of the message of an error.

    Raises:
        OutputError: the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    draft = path.with_name(f"{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(draft, flags, 0o666), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}; {way_out}") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
