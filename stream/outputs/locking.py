"""A lock on an open file, so that two instances do not write to it."""

from __future__ import annotations

import os
import sys


def lock(fd: int) -> None:
    """Lock the file until ``fd`` is closed or the process ends, however it ends.

    Raises:
        OSError: somebody else has it.
    """
    if sys.platform == "win32":
        import msvcrt

        here = os.lseek(fd, 0, os.SEEK_CUR)
        os.lseek(
            fd, 1 << 62, os.SEEK_SET
        )  # behind all that is there: what is locked cannot be read by others
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        os.lseek(fd, here, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
