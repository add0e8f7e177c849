"""What a station changes in its process: how many connections it may have, and what its log says."""

from __future__ import annotations

import logging

from stream.cli.say import say

SPARE_FILES = 256  # beside connections: models, histories, devices, clips


def allow_connections(wanted: int) -> None:
    """Let the process have so many connections at a time, or say how many it may have.

    Many systems allow 1024 open files a process at first, and more to those who ask.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        say(
            f"stream-classify: this system allows {allowed} open files, so there will be no more than "
            f"{max(0, allowed - SPARE_FILES)} connections; raise it: ulimit -n {needed}"
        )


def set_up_server_log(*, verbose: bool, access_log: bool) -> None:
    """The server's lines among ours: errors, with ``verbose`` all, with ``access_log`` one for each request.

    Without them no peer can make the log grow by what it sends.
    """
    if not verbose:
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    if access_log:
        logging.getLogger("uvicorn.access").setLevel(logging.INFO)
