"""A file system that is soon full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DEADLINE_SECONDS = 20.0


@contextmanager
def small_disk(folder: Path, kibibytes: int = 16) -> Iterator[Path]:
    """A real one, mounted on ``folder`` for a block; the test is skipped where that takes rights that it lacks."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, timeout=DEADLINE_SECONDS).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("cannot mount a small file system here")
    try:
        yield folder
    finally:  # a test that failed may have left a file open there: --lazy takes the mount away all the same
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=DEADLINE_SECONDS)
