"""Which file names mean sound: for telling a file from a device, and for finding recordings in a folder."""

from __future__ import annotations

from pathlib import Path

_LIBSNDFILE = "wav wave w64 rf64 flac ogg oga opus mp3 aif aiff aifc au snd caf"
_PYAV = "m4a mp4 aac wma webm mka mkv amr"

AUDIO_SUFFIXES = frozenset(f".{name}" for name in f"{_LIBSNDFILE} {_PYAV}".split())
"""Of recordings that can be decoded, in lower case."""

RAW_SUFFIXES = frozenset({".raw", ".pcm"})
"""Of samples without a header, which only standard input takes, with their format."""


def looks_like_path(text: str) -> bool:
    """Whether ``text`` means a file even if there is none: it has a folder separator or an audio suffix."""
    return "/" in text or "\\" in text or Path(text).suffix.lower() in AUDIO_SUFFIXES | RAW_SUFFIXES
