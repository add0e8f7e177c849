"""Segments of an HLS playlist that are encrypted with AES-128: the key is public to listeners, at its own address."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Protocol

from stream.capture.pyav import import_av, reason

_LARGEST_BYTES = 64 << 20  # a segment is some seconds of sound, with its picture


class _Readable(Protocol):
    def read(self, n: int) -> bytes: ...


def decrypted(file: _Readable, key: str, iv: str) -> bytes:
    """The whole of an encrypted segment in the clear.

    FFmpeg's own decryption is asked for it, by way of a file, because Python has none.

    Args:
        file: AES-128 in CBC mode with padding (RFC 8216, section 4.3.2.4).
        key, iv: hexadecimal.

    Raises:
        OSError: it is too long, or cannot be decrypted.
    """
    parts: list[bytes] = []
    left = _LARGEST_BYTES
    while part := file.read(1 << 16):
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise OSError(errno.EFBIG, f"an encrypted segment has more than {_LARGEST_BYTES >> 20} MiB")
    av = import_av("an encrypted playlist")
    with tempfile.TemporaryDirectory(prefix="stream-classify-") as folder:
        (Path(folder) / "segment").write_bytes(b"".join(parts))
        options = {"key": key, "iv": iv, "protocol_whitelist": "file,crypto"}
        # The format "data" is the bytes as they are, cut in packets.
        try:
            with av.open(f"crypto:file:{folder}/segment", format="data", options=options) as container:
                return b"".join(bytes(packet) for packet in container.demux() if packet.size)
        except av.FFmpegError as error:
            raise OSError(errno.EINVAL, f"a segment cannot be decrypted ({reason(error)})") from None
