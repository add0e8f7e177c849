"""When a recording began: field recorders write it into the name, others leave it to the date of the file."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

# AudioMoth 20260131_235959.WAV, Song Meter STATION_20260131_235959.wav, phones 2026-01-31T23-59-59Z and the like.
_NAMED = re.compile(
    r"(?<!\d)(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})[T _-]?(\d{2})[-_.:h]?(\d{2})[-_.:m]?(\d{2})(?!\d)\s*(Z)?"
)


def named_time(path: str) -> float | None:
    """Seconds since 1970 that a file name says, in this machine's time zone, or in UTC with a Z behind it.

    None if it says none.
    """
    found = _NAMED.search(os.path.basename(path))
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        zone = UTC if found[7] else None
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp()
    except (ValueError, OverflowError, OSError):  # such as month 13: only digits
        return None


def recorded_at(named: float | None, modified_ns: int, seconds: float) -> float:
    """Seconds since 1970 at which a recording began.

    Args:
        named: what its name says.
        modified_ns: when the file was last written, nanoseconds since 1970: taken for the end of the recording,
            where the name says nothing.
        seconds: how long the recording is.
    """
    return modified_ns / 1e9 - seconds if named is None else named
