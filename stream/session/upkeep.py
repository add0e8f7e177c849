"""Upkeep: what a recording needs beside writing, in a thread of its own: syncing, FLAC, and what may be kept."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stream.session import index
from stream.session.segment_writer import SegmentWriter
from stream.session.sound_file import to_flac

log = logging.getLogger(__name__)
SYNC_SECONDS = 1.0


class Upkeep:
    """Syncs the segment that is being written once a second, and makes FLAC of those that are finished.

    Args:
        tidy: called after each segment that was finished; deletes what is too old or too much.
    """

    def __init__(self, tidy: Callable[[], None] | None = None) -> None:
        self._tidy = tidy
        self._current: SegmentWriter | None = None
        self._finished: deque[SegmentWriter] = deque()
        self._ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="session upkeep", daemon=True)
        self._thread.start()

    def begin(self, segment: SegmentWriter) -> None:
        """This one is being written from now on."""
        with self._changed:
            self._current = segment

    def finished(self, segment: SegmentWriter) -> None:
        """Nothing more is written to this one."""
        with self._changed:
            self._current = None
            self._finished.append(segment)
            self._changed.notify()

    def end(self, seconds: float) -> None:
        """Finish what waits, for at most so long; what is not done stays a WAV, which is as good."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(seconds)

    def _work(self) -> None:
        next_sync = time.monotonic() + SYNC_SECONDS
        while True:
            with self._changed:
                while not self._finished and not self._ending and time.monotonic() < next_sync:
                    self._changed.wait(max(0.0, next_sync - time.monotonic()))
                done = self._finished.popleft() if self._finished else None
                current, ending = self._current, self._ending
            if done is not None:
                self._put_away(done)
            elif ending:
                return
            elif current is not None:
                current.sync()
            if time.monotonic() >= next_sync:
                next_sync = time.monotonic() + SYNC_SECONDS

    def _put_away(self, segment: SegmentWriter) -> None:
        folder: Path = segment.folder
        segment.sync()
        segment.close()
        with suppress(OSError, ValueError):  # it stays a WAV
            rate = segment.beginning.sample_rate
            to_flac(folder / index.SOUND_WAV, folder / index.SOUND_FLAC, rate)
        if self._tidy is not None:
            self._tidy()
