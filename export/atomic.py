"""Write a file so that an interruption leaves the old one or the new one, never half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from stream.errors import OutputError


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write through a temporary file beside ``path``: synced, then renamed.

    Raises:
        OutputError: the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=path.name, suffix=".tmp", delete=False
        ) as file:
            draft = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, 0o666 & ~_umask())  # a temporary file is private; this one is to be read by others
        os.replace(draft, path)
    except OSError as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error}; choose another place with -o") from None


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
