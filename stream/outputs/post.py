"""Post: one HTTP request that ends, whatever the server does, and goes to no other server than it was meant for."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from stream._version import __version__
from stream.certificates import authorities_file
from stream.outputs.web_address import plain, same_server

TIMEOUT_SECONDS = 10.0
MOST_REDIRECTS = 5
DRAINED_BYTES = 1 << 16  # of an answer that nobody reads


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    Attributes:
        status, reason: of HTTP.
        retry_after: the header's value, "" without one.
    """

    status: int
    reason: str
    retry_after: str = ""

    def pause_seconds(self, now: float) -> float:
        """How long the server asks to be left alone, from ``now`` (seconds since 1970) on; 0 if it does not."""
        if self.retry_after.isascii() and self.retry_after.isdecimal():
            return float(self.retry_after[:9])
        try:
            return max(0.0, parsedate_to_datetime(self.retry_after).timestamp() - now)
        except (ValueError, OverflowError):
            return 0.0


class Poster:
    """Posts JSON to one address.

    Redirects are followed within its server only, as the POST that they answer. Certificates are checked. User and
    password of the address are sent as Basic authentication.

    Args:
        url: as `check_url` accepts it.
        timeout: seconds from the connection to the end of the answer's head.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        self._headers = {"Content-Type": "application/json", "User-Agent": f"stream-classify/{__version__}"}
        if parts.username is not None:
            known = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(known.encode()).decode()}"
        self._url = plain(parts)
        self._timeout = timeout
        self._late = threading.Event()
        self._sockets: list[socket.socket] = []
        self._opener = build_opener(_Unfollowed, _Http(self._sockets), _Https(self._sockets))

    def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Send ``body``, and say what the server answers.

        Raises:
            OSError: there is no answer; the message says why, without the address.
        """
        self._sockets.clear()
        self._late.clear()
        late = threading.Timer(self._timeout, self._cut)
        late.daemon = True
        late.start()
        try:
            return self._ask(body, self._headers | headers)
        except (
            OSError,
            http.client.HTTPException,
            ValueError,
        ) as error:  # ValueError: heads that are nonsense
            why = TimeoutError() if self._late.is_set() else error
            raise OSError(_words(why, self._timeout)) from None
        finally:
            late.cancel()

    def _ask(self, body: bytes, headers: dict[str, str]) -> Answer:
        url, status = self._url, 0
        for _ in range(MOST_REDIRECTS):
            try:
                request = Request(url, body, headers, method="POST")
                reply: Any = self._opener.open(request, timeout=self._timeout)
            except HTTPError as refusal:  # an answer like any other
                reply = refusal
            if self._late.is_set():  # what was cut off looks like a head that has ended
                reply.close()
                raise TimeoutError
            with reply:
                status, told = reply.status, reply.headers
                answer = Answer(status, reply.reason or "", told.get("Retry-After", "").strip())
                with suppress(OSError, http.client.HTTPException, ValueError):
                    reply.read(DRAINED_BYTES)  # closing before would look like an error to the server
            if status not in (301, 302, 307, 308):
                return answer
            try:
                target = urljoin(url, told.get("Location", ""))
                if not same_server(url, target):
                    return Answer(status, "redirects to another server, which is not followed")
                url = plain(urlsplit(target))
            except ValueError:
                return Answer(status, "redirects to what is no address")
        return Answer(status, "redirects without end")

    def _cut(self) -> None:
        """Take the connection from whoever waits for it."""
        self._late.set()
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _words(error: Exception, timeout: float) -> str:
    """Why there is no answer."""
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not valid ({reason.verify_message.rstrip('.')}); "
            "name the authority to trust in SSL_CERT_FILE"
        )
    if isinstance(reason, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(reason, socket.gaierror):
        return f"its name is not known here ({reason.strerror})"
    if isinstance(reason, http.client.HTTPException | ConnectionError):
        return (reason.strerror if isinstance(reason, OSError) else "") or "the connection broke"
    return (reason.strerror if isinstance(reason, OSError) else "") or type(reason).__name__


class _Unfollowed(HTTPRedirectHandler):
    """A redirect is an answer; `Poster` decides what to do with it."""

    def http_error_302(self, *arguments: Any) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302  # type: ignore[assignment]


class _Connection(http.client.HTTPConnection):
    """Tells of its socket."""

    def __init__(self, host: str, *, sockets: list[socket.socket], **settings: Any) -> None:
        super().__init__(host, **settings)
        self._sockets = sockets

    def connect(self) -> None:
        super().connect()
        self._sockets.append(self.sock)


class _SecureConnection(http.client.HTTPSConnection):
    """Tells of its socket."""

    def __init__(self, host: str, *, sockets: list[socket.socket], **settings: Any) -> None:
        super().__init__(host, **settings)
        self._sockets = sockets

    def connect(self) -> None:
        super().connect()
        self._sockets.append(self.sock)


class _Http(HTTPHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._sockets = sockets

    def http_open(self, request: Request) -> http.client.HTTPResponse:
        kind: Any = _Connection
        return self.do_open(kind, request, sockets=self._sockets)


class _Https(HTTPSHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._sockets = sockets

    @cached_property
    def _authorities(self) -> ssl.SSLContext:
        """Made when it is needed: reading all certificates takes a while."""
        return ssl.create_default_context(cafile=authorities_file())

    def https_open(self, request: Request) -> http.client.HTTPResponse:
        kind: Any = _SecureConnection
        return self.do_open(kind, request, sockets=self._sockets, context=self._authorities)
