"""What is behind http and https addresses, as files for the decoder: certificates checked, and never without an end.

FFmpeg could fetch them itself. But its HLS reader does not check the certificates of what a playlist names, its parsers
collect zeros in memory for as long as a server sends them, and a wait for a server cannot be interrupted.
"""

from __future__ import annotations

import errno
import http.client
import io
import ssl
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPHandler,
    HTTPPasswordMgrWithDefaultRealm,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)

from stream._version import __version__
from stream.capture.network.encrypted import decrypted
from stream.capture.pyav import Soundless
from stream.certificates import authorities_file

_WRITE = 2  # AVIO_FLAG_WRITE
_ENCRYPTED = "crypto+"  # what FFmpeg puts before the address of a segment that is encrypted


class Transport:
    """Opens addresses for ``av.open(io_open=transport)``: that of a stream, and those that a playlist names.

    Args:
        url: the stream's; its user and password are told to its own server, when that asks.
        timeout: seconds without an answer, or without more data, that count as a failure.
        verify: refuse servers whose certificate is not valid for their name.

    Attributes:
        size: bytes of the stream itself, None while it is not opened or where the server does not say.
        problem: what ended a file before its time. To the decoder that is an end like any other, so that it gives out
            what came before.
    """

    def __init__(self, url: str, timeout: float, *, verify: bool = True) -> None:
        self._url, self._timeout = url, timeout
        self._opener = _opener(url, verify)
        self.soundless = Soundless()
        self._files: list[HttpFile] = []
        self.size: int | None = None
        self.problem: OSError | None = None

    def __call__(self, url: str, flags: int, options: dict[str, str]) -> HttpFile | io.BytesIO:
        """The file behind ``url``. What a playlist names and cannot be had is empty, with `problem`.

        Raises:
            OSError, HTTPException: the stream itself cannot be had.
        """
        try:
            if url.startswith(_ENCRYPTED):
                file = self._open(url.removeprefix(_ENCRYPTED), flags, options)
                clear = decrypted(file, options["key"], options["iv"])
                file.close()
                return io.BytesIO(clear)
            return self._open(url, flags, options)
        except (OSError, http.client.HTTPException) as error:
            if url == self._url:
                raise
            # PyAV prints what is raised here more than once, and the decoder goes on with the next segment.
            self.problem = error if isinstance(error, OSError) else OSError(errno.EIO, repr(error))
            return io.BytesIO()

    def _open(self, url: str, flags: int, options: dict[str, str]) -> HttpFile:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or flags & _WRITE:
            raise OSError(
                errno.EPERM,
                f"a playlist may name http and https addresses only, not {parts.scheme or 'a file'}",
            )
        clean = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        first = int(options.get("offset", 0))  # a segment that is a part of a longer file
        end = int(options["end_offset"]) if "end_offset" in options else None
        file = HttpFile(self, clean, first, end)
        self._files = [each for each in self._files if not each.closed] + [file]
        if url == self._url:
            self.size = file.size
        return file

    def close(self) -> None:
        """Leave all servers. Not every file is closed by the decoder."""
        for file in self._files:
            file.close()

    def fetch(self, url: str, first: int, end: int | None) -> http.client.HTTPResponse:
        """The answer to a request, from byte ``first`` on."""
        headers = {"User-Agent": f"stream-classify/{__version__}", "Accept": "*/*"}
        if first or end is not None:
            headers["Range"] = f"bytes={first}-{'' if end is None else end - 1}"
        try:
            answer: Any = self._opener.open(Request(url, headers=headers), timeout=self._timeout)
        except HTTPError as refusal:
            refusal.close()  # it is an answer as well
            raise
        return answer  # type: ignore[no-any-return]


class HttpFile:
    """A file behind an address, as ``av.open`` reads one. Made by `Transport`.

    Attributes:
        size: bytes in all, None where the server does not say.
    """

    def __init__(self, transport: Transport, url: str, first: int, end: int | None) -> None:
        self._transport, self._url, self._first, self._end = transport, url, first, end
        self._answer = transport.fetch(url, first, end)
        self._broken = False
        self._came = 0  # where the answer stands
        self._at = 0  # where to read next
        length = self._answer.headers.get("Content-Length", "")
        self.size = (
            int(length) if length.isdigit() and not self._answer.headers.get("Content-Encoding") else None
        )
        self._ranges = self._answer.status == 206 or "bytes" in self._answer.headers.get("Accept-Ranges", "")

    def seekable(self) -> bool:
        return self._ranges and self.size is not None

    def read(self, n: int) -> bytes:
        """Up to ``n`` bytes, as soon as there are any; b"" at the end, or where `Transport.problem` says why."""
        try:
            return b"" if self._broken else self._read(n)
        except OSError as error:
            self._transport.problem = error
            self._broken = True
            return b""

    def _read(self, n: int) -> bytes:
        if self.size is not None and self._at >= self.size:
            return b""
        if self._at != self._came:
            self._go()
        try:
            data = self._answer.read1(n)
        except http.client.HTTPException as error:
            raise OSError(errno.EIO, f"the connection broke: {error!r}") from None
        if not data and self.size is not None and self._at < self.size:
            raise OSError(errno.EIO, f"the connection broke after {self._at} of {self.size} bytes")
        self._at += len(data)
        self._came = self._at
        self._transport.soundless.came(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Where to read next; the server is asked when that happens."""
        if whence == 2:
            if self.size is None:
                raise OSError(errno.ESPIPE, "the length is not known")
            offset += self.size
        elif whence == 1:
            offset += self._at
        self._at = max(0, offset)
        return self._at

    def tell(self) -> int:
        return self._at

    @property
    def closed(self) -> bool:
        return self._answer.closed

    def close(self) -> None:
        self._answer.close()

    def _go(self) -> None:
        self._answer.close()
        answer = self._transport.fetch(self._url, self._first + self._at, self._end)
        if answer.status != 206:
            answer.close()
            raise OSError(errno.ESPIPE, "the server gives files only from the beginning")
        self._answer, self._came = answer, self._at


def _opener(url: str, verify: bool) -> OpenerDirector:
    context = ssl.create_default_context(cafile=authorities_file())
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    handlers: list[Any] = [_HttpHandler(), HTTPSHandler(context=context)]
    parts = urlsplit(url)
    if parts.username:
        known = HTTPPasswordMgrWithDefaultRealm()
        server = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/", "", ""))
        known.add_password(None, server, unquote(parts.username), unquote(parts.password or ""))
        handlers += [HTTPBasicAuthHandler(known), HTTPDigestAuthHandler(known)]
    return build_opener(*handlers)


class _Connection(http.client.HTTPConnection):
    """One that understands the old way of internet radio (Shoutcast), too: "ICY" where "HTTP/1.0" belongs."""

    class response_class(http.client.HTTPResponse):  # http.client's name
        def begin(self) -> None:
            fp: Any = self.fp
            if self.headers is None and fp.peek(3)[:3] == b"ICY":
                fp.read(3)
                self.fp = io.BufferedReader(_Joined(b"HTTP/1.0", fp))
            super().begin()


class _HttpHandler(HTTPHandler):
    def http_open(self, request: Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, request)


class _Joined(io.RawIOBase):
    """Some bytes, and then a file."""

    def __init__(self, head: bytes, file: io.BufferedReader) -> None:
        self._head, self._file = head, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or self._file.read1(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def said(error: BaseException) -> str:
    """What is wrong with an address, in words; "" for other errors."""
    if isinstance(error, HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return ""
