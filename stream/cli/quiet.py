"""Keep off the screen what PortAudio and ALSA print by themselves, several lines for each device that is not there."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_CHATTER = re.compile(rb"Expression '|ALSA lib |\s*$")
_real_stderr: int | None = None  # a copy of file descriptor 2, while that is set aside


def quieten_portaudio() -> None:
    """From now on in this process, what PortAudio's calls print is filtered."""
    from stream.capture.device.portaudio import wrap_calls

    wrap_calls(without_chatter, restore_stderr)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Keep the chatter of C libraries off standard error; other lines written there come a moment later."""
    global _real_stderr
    with ExitStack() as stack:
        try:
            caught = stack.enter_context(tempfile.TemporaryFile())
            _real_stderr = os.dup(2)
        except OSError:
            # No room for a file, or no standard error: then unfiltered.
            yield
            return
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            restore_stderr()
            caught.seek(0)
            for line in caught:
                if not _CHATTER.match(line):
                    os.write(2, line)


def restore_stderr() -> None:
    """Give file descriptor 2 back, also when the call that it was set aside for hangs forever."""
    global _real_stderr
    saved, _real_stderr = _real_stderr, None
    if saved is not None:
        os.dup2(saved, 2)
        os.close(saved)
