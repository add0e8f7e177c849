"""WAV files whose header does not say how much sound there is: past 4 GiB, or of a recorder that was killed.

The lengths in a WAV's header have 32 bits. Writers put the length modulo 2^32 there, or the largest number, or leave
the 0 of the beginning when they are ended. libsndfile believes all of these.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRAP = 1 << 32
_UNKNOWN_LENGTH = 0x7FFFF000  # writers to a pipe put this or more as the length, as they cannot know it
_MOST_CHUNKS = 1000  # to look at
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_SUBTYPES = {
    (_PCM, 8): "PCM_U8",
    (_PCM, 16): "PCM_16",
    (_PCM, 24): "PCM_24",
    (_PCM, 32): "PCM_32",
    (_FLOAT, 32): "FLOAT",
    (_FLOAT, 64): "DOUBLE",
    (_ALAW, 8): "ALAW",
    (_MULAW, 8): "ULAW",
}


@dataclass(frozen=True, slots=True)
class Sound:
    """Where the samples of a WAV are, and how they are written.

    Attributes:
        start, length: in the file, bytes.
        sample_rate: Hz.
        channels: interleaved.
        subtype: as libsndfile calls it.
    """

    start: int
    length: int
    sample_rate: int
    channels: int
    subtype: str


def misstated_sound(path: Path) -> Sound | None:
    """The sound of a WAV or RF64 whose stated length is wrong, to the end of the file; None for all other files."""
    with open(path, "rb") as file:
        head = file.read(12)
        size = os.fstat(file.fileno()).st_size
        if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
            return None
        at, format_chunk, long_length = 12, b"", None
        for _ in range(_MOST_CHUNKS):
            file.seek(at)
            chunk = file.read(8)
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] in (b"data", b""):
                break
            body = file.read(min(length, 40))
            if chunk[:4] == b"fmt ":
                format_chunk = body
            elif chunk[:4] == b"ds64" and len(body) >= 16:
                long_length = int.from_bytes(body[8:16], "little")
            at += 8 + length + length % 2
        if chunk[:4] != b"data":
            return None
        start = at + 8
        if long_length is not None and length == 0xFFFFFFFF:
            length = long_length
        riff_fits = int.from_bytes(head[4:8], "little") == size - 8
        actual = _actual_length(file, start, length, size - start, riff_fits)
    if actual is None or len(format_chunk) < 16:
        return None
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", format_chunk[:16])
    if code == _EXTENSIBLE and len(format_chunk) >= 26:
        code = int.from_bytes(format_chunk[24:26], "little")
    subtype = _SUBTYPES.get((code, bits))
    if subtype is None or not channels or not rate:
        return None
    return Sound(start, actual - actual % (channels * bits // 8), rate, channels, subtype)


def _actual_length(
    file: io.BufferedReader, start: int, stated: int, there: int, riff_fits: bool
) -> int | None:
    """Bytes of sound where the header is wrong about them, else None.

    Args:
        stated: length in the header.
        there: bytes from ``start`` to the end of the file.
        riff_fits: the header knows the size of the whole file, so that it was finished.
    """
    if riff_fits or stated == there:
        return None
    if stated > there:
        # Cut off, or written to a pipe: libsndfile gives what is there and says so, except of RF64.
        return there if stated >= _WRAP - 1 else None
    wrapped = stated + (there - stated) // _WRAP * _WRAP
    if (wrapped == stated >= _UNKNOWN_LENGTH) or not _are_chunks(
        file, start + wrapped + wrapped % 2, start + there
    ):
        return there
    return wrapped if wrapped > stated else None


def _are_chunks(file: io.BufferedReader, at: int, end: int) -> bool:
    """Whether chunks, with names and lengths, fill the file from ``at`` to its end; a little padding does not count."""
    for _ in range(_MOST_CHUNKS):
        if end - at < 512:  # such as an ID3v1 tag
            return True
        file.seek(at)
        head = file.read(8)
        if not (head[:4].isascii() and head[:4].decode("ascii").isprintable()):
            return False
        length = int.from_bytes(head[4:8], "little")
        at += 8 + length + length % 2
        if at > end + 1:
            return False
    return False


class Slice(io.RawIOBase):
    """A part of a file as a file of its own.

    Args:
        start, length: of the part, bytes.
    """

    def __init__(self, path: Path, start: int, length: int) -> None:
        self._file = open(path, "rb")  # noqa: SIM115
        self._start, self._length, self._at = start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: max(0, self._length - self._at)]
        self._file.seek(self._start + self._at)
        count = self._file.readinto(view)
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
