"""Wall time: when what an output tells was captured, however late it is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.messages import Event, Result


class CaptureTimes:
    """Turns capture times, which are seconds of a monotonic clock, into seconds since 1970.

    Both clocks are read at the moment of asking, and their difference tells how long ago the capture was. So a sink
    that is seconds behind gives the time of the sound, and an adjusted wall clock is followed.

    Args:
        monotonic: the clock of ``captured_at``.
        wall: seconds since 1970.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        # Of events that are on. A time is worked out once, so that all records of an event agree.
        self._onsets: dict[tuple[str, str, int], float | None] = {}

    def of(self, captured_at: float | None) -> float:
        """Seconds since 1970 of a capture time; of now, where there is none."""
        now = self._wall()
        return now if captured_at is None else now - (self._monotonic() - captured_at)

    def onset(self, event: Event, result: Result) -> float | None:
        """Seconds since 1970 at which ``event``, one of ``result``, began; None for recordings.

        Ask for each event message, whether or not it is written: the answer for the complete event is the one for
        its beginning.
        """
        key = (result.stream, result.model, event.id)
        if event.offset is not None and key in self._onsets:
            return self._onsets.pop(key)
        began = None
        if result.captured_at is not None:
            began = self.of(result.captured_at) - (result.end - event.onset) / event.sample_rate
        if event.offset is None:
            self._onsets[key] = began
        return began


def rfc3339(seconds: float) -> str:
    """Seconds since 1970 in UTC, to the millisecond: 2023-11-14T22:13:20.125Z."""
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def file_stamp(seconds: float) -> str:
    """Seconds since 1970 in UTC, for names of files: 20231114T221320.125Z."""
    return rfc3339(seconds).replace("-", "").replace(":", "")


def local_time(seconds: float) -> str:
    """Seconds since 1970 as the wall clock here shows them: 14:03:21."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))
