"""Write a file so that an interruption leaves the old one or the new one, never half of it."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from stream.errors import OutputError


def write_bytes(path: str | Path, data: bytes, *, way_out: str = "make room, or name another place") -> None:
    """Write through a temporary file beside ``path``: synced, then renamed.

    Args:
        path: its folder is made if it is not there.
        data: all that the file will hold.
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
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}; {way_out}") from None
