"""When a recording began: field recorders write it into the name, others leave it to the date of the file."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

# AudioMoth 20260131_235959.WAV, Song Meter STATION_20260131_235959.wav, phones 2026-01-31T23-59-59Z and the like.
_NAMED = re.compile(
    r"(?<!\d)(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})[T _-]?(\d{2})[-_.:h]?(\d{2})[-_.:m]?(\d{2})(?!\d)\s*(Z)?"
)


def recorded_at(path: str, modified_ns: int, seconds: float) -> float:
    """Seconds since 1970 at which a recording began.

    Args:
        path: a date and time in its file name is taken, in this machine's time zone, or UTC with a Z behind it.
        modified_ns: when the file was last written, nanoseconds since 1970: taken for the end of the recording,
            where the name says nothing.
        seconds: how long the recording is.
    """
    found = _NAMED.search(os.path.basename(path))
    if found is not None:
        try:
            year, month, day, hour, minute, second = map(int, found.groups()[:6])
            zone = UTC if found[7] else None
            return datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp()
        except (ValueError, OverflowError, OSError):  # such as month 13: only digits
            pass
    return modified_ns / 1e9 - seconds
