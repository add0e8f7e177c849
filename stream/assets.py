"""Where the bundled files are: inside the wheel, or beside the packages in a checkout."""

from __future__ import annotations

from pathlib import Path

from stream.errors import ModelError


def asset(name: str) -> Path:
    """Path of a bundled file; ModelError if this installation lacks it."""
    here = Path(__file__).resolve().parent
    for folder in (here / "_assets", here.parent / "assets"):
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"bundled file {name}: missing from this installation; reinstall stream-classify")
