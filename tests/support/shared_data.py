"""Where the real recordings are, if they are here at all. Core tests never need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_data() -> Path | None:
    """The folder of recordings named by STREAM_CLASSIFY_DATA, else one beside the repository; None if absent."""
    named = os.environ.get("STREAM_CLASSIFY_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None


def need_data(name: str) -> Path:
    """The folder ``name`` of the recordings, or skip the test with a word."""
    root = shared_data()
    if root is None or not (root / name).is_dir():
        pytest.skip(
            f"recordings '{name}' are not here; set STREAM_CLASSIFY_DATA to the folder that holds them"
        )
    return root / name
