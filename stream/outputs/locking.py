"""A lock on an open file, so that two instances do not write to it."""

from __future__ import annotations


def lock(fd: int) -> None:
    """Lock the file until ``fd`` is closed or the process ends, however it ends.

    Raises:
        OSError: somebody else has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: a second writer is refused by the share mode of most tools, not here
        return
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
