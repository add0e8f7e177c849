"""Ctrl-C while something blocks: a server that does not answer, a slow disk, a large model."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

from stream.cli.say import say

T = TypeVar("T")
INTERRUPTED = 130  # exit code, as shells have it
_LOOK_SECONDS = 0.1


def interruptible(work: Callable[[], T]) -> T:
    """What ``work`` returns or raises. Ctrl-C meanwhile ends the program: to be called while there is nothing to lose.

    Python delivers a signal between two of its own steps, so a library that waits in C would hold it back. Here the
    wait is another thread's, which nothing waits for if the program ends.

    Args:
        work: called once, in another thread.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def call() -> None:
        try:
            done.append(work())
        except BaseException as error:  # raised again where it is waited for
            failed.append(error)

    thread = threading.Thread(target=call, name="opening", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_LOOK_SECONDS)
    except KeyboardInterrupt:
        say("stream-classify: stopped before anything was heard")
        # At once: a library that is torn down while its thread is in the middle of it may crash.
        os._exit(INTERRUPTED)
    if failed:
        raise failed[0]
    return done[0]
