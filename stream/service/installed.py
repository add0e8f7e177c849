"""The unit file on the disk: written whole, and over nothing that somebody else wrote."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from stream.atomic import write_bytes
from stream.errors import OutputError, UsageError
from stream.printable import printable
from stream.service.unit_text import MARKER, Scope, Unit

_NAME = re.compile(r"[A-Za-z0-9:_.-]{1,200}")


def unit_file(name: str, scope: Scope, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the unit of this name lies, or would.

    Raises:
        UsageError: a name that units cannot have.
    """
    stem = name.removesuffix(".service")
    if not _NAME.fullmatch(stem) or stem.startswith("."):
        raise UsageError(
            f"--name {printable(name)}: want letters, digits and any of :_.-, such as stream-classify-porch"
        )
    if scope == "system":
        folder = Path("/etc/systemd/system")
    else:
        folder = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    return folder / f"{stem}.service"


def marked(unit: Unit) -> str:
    """The text of a unit as it is written."""
    return f"{MARKER}\n{unit}"


def is_ours(path: Path) -> bool | None:
    """Whether we wrote the file; None where there is none.

    Raises:
        OutputError: it cannot be read.
    """
    try:
        if path.is_symlink():  # such as to /dev/null, which is how a unit is masked
            return False
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip("\n") == MARKER
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{printable(str(path))}: cannot be read: {error.strerror}") from None


def write_unit(path: Path, text: str, *, force: bool) -> None:
    """Write a unit.

    Raises:
        UsageError: somebody else's unit is there, and ``force`` is not given.
        OutputError: it cannot be written; what was there stays.
    """
    if is_ours(path) is False and not force:
        raise UsageError(
            f"{printable(str(path))}: is there and was not written by this command; look at it, then --force "
            "writes over it, or --name gives another"
        )
    write_bytes(path, text.encode(), way_out="--user needs your own folder, --system needs root (sudo)")


def remove_unit(path: Path, *, force: bool) -> None:
    """Remove a unit, and the link by which it was enabled.

    Raises:
        UsageError: there is none, or it is somebody else's and ``force`` is not given.
        OutputError: it cannot be removed.
    """
    ours = is_ours(path)
    if ours is None:
        raise UsageError(f"{printable(str(path))}: there is no such unit; give its --name, or --system")
    if not ours and not force:
        raise UsageError(
            f"{printable(str(path))}: was not written by this command; --force removes it all the same"
        )
    try:
        for link in path.parent.glob(f"*.wants/{path.name}"):
            if link.is_symlink():
                link.unlink()
        path.unlink()
    except OSError as error:
        raise OutputError(f"{printable(str(path))}: cannot be removed: {error.strerror}") from None
