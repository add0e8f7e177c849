"""A lock on an open file, so that two instances do not write to it."""

from __future__ import annotations

import sys


def lock(fd: int) -> None:
    """Lock the file until ``fd`` is closed or the process ends, however it ends.

    Raises:
        OSError: somebody else has it.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
