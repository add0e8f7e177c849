"""What an HLS playlist names, fetched with the certificate checked: FFmpeg's own reader does not check it."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPSHandler, Request, build_opener

from stream.capture.network.certificates import authorities_file

_PLAYLISTS = {"hls", "dash", "concat", "imf"}  # FFmpeg's readers that open what a file names
_READ_AND_WRITE = 2  # AVIO_FLAG_WRITE

Open = Callable[[str, int, dict[str, str]], Any]


def no_playlists(known: set[str]) -> dict[str, str]:
    """FFmpeg's setting under which a playlist is no sound.

    Args:
        known: the names of its containers, ``av.formats_available``.
    """
    return {"format_whitelist": ",".join(sorted(known - _PLAYLISTS))}


def verified_opener(timeout: float) -> Open:
    """A function for ``av.open(io_open=...)``: the file behind an http or https address, for reading.

    Args:
        timeout: seconds without an answer, or without more data, that count as a failure.

    Returns:
        ``(url, flags, options)`` -> an object with ``read``. It raises ``OSError`` where the server cannot be reached
        or is not who it says, and for every other sort of address.
    """
    https = HTTPSHandler(context=ssl.create_default_context(cafile=authorities_file()))
    opener = build_opener(https)

    def open_url(url: str, flags: int, options: dict[str, str]) -> Any:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or flags & _READ_AND_WRITE:
            raise OSError(
                f"a playlist may name http and https addresses only, not {parts.scheme or 'a file'}"
            )
        request = Request(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))
        request.add_header("User-Agent", "stream-classify")
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            request.add_unredirected_header(
                "Authorization", "Basic " + base64.b64encode(pair.encode()).decode()
            )
        if "offset" in options:  # a segment that is a part of a longer file
            last = str(int(options["end_offset"]) - 1) if "end_offset" in options else ""
            request.add_header("Range", f"bytes={options['offset']}-{last}")
        return opener.open(request, timeout=timeout)

    return open_url
