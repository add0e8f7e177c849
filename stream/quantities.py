"""Quantities with their units, as people write them: "-20dBFS", "5m"."""

from __future__ import annotations

import re

_NUMBER = r"\s*([+-]?\d+(?:\.\d+)?)\s*"
_LEVEL = re.compile(_NUMBER + r"(?:dBFS|dB)?\s*", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(_NUMBER + r"(s|m|min|h|d)?\s*", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def level_dbfs(text: str) -> float:
    """A level in dBFS: "-20dBFS", "-20 dB" or "-20".

    Raises:
        ValueError: it is none.
    """
    found = _LEVEL.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r}: want a level such as -20dBFS")
    return float(found[1])


def duration_seconds(text: str) -> float:
    """A time in seconds: "90", "90s", "5m", "1.5h" or "2d".

    Raises:
        ValueError: it is none, or is negative.
    """
    found = _DURATION.fullmatch(text)
    if found is None or float(found[1]) < 0:
        raise ValueError(f"{text!r}: want a time such as 30s, 5m, 2h or 1d")
    return float(found[1]) * _SECONDS[found[2] or "s"]
