"""Quantities with their units, as people write them: "-20dBFS", "5m", "2GB"."""

from __future__ import annotations

import re

_NUMBER = r"\s*([+-]?\d+(?:\.\d+)?)\s*"
_LEVEL = re.compile(_NUMBER + r"(?:dBFS|dB)?\s*", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(_NUMBER + r"(s|m|min|h|d|w)?\s*", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZE = re.compile(_NUMBER + r"([kmgt]i?b)\s*", re.ASCII | re.IGNORECASE)
_BYTES = {
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


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
    """A time in seconds: "90", "90s", "5m", "1.5h", "2d" or "1w".

    Raises:
        ValueError: it is none, or is negative.
    """
    found = _DURATION.fullmatch(text)
    if found is None or float(found[1]) < 0:
        raise ValueError(f"{text!r}: want a time such as 30s, 5m, 2h or 1d")
    return float(found[1]) * _SECONDS[found[2] or "s"]


def size_bytes(text: str) -> int:
    """A size in bytes: "500MB", "2GB" or "1GiB".

    Raises:
        ValueError: it is none, or is negative.
    """
    found = _SIZE.fullmatch(text)
    if found is None or float(found[1]) < 0:
        raise ValueError(f"{text!r}: want a size such as 500MB or 2GB")
    return round(float(found[1]) * _BYTES[found[2].lower()])
