"""An application behind a socket: uvicorn with TLS, our signals, and an end that loses nothing.

The first SIGTERM or SIGINT begins the end: ``/readyz`` says no, what stays open tells its clients and leaves, within
``drain_seconds``; then the station ends its events and closes its outputs. The second leaves at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from stream.errors import UsageError
from stream.server.limits import Limits
from stream.server.refusals import error_json
from stream.server.socket.server_protocol import StreamProtocol

log = logging.getLogger(__name__)
TICK_SECONDS = 0.1  # between two looks at what was asked for,
LEAVING_SECONDS = 0.01  # and at whether all have left, once they were told to
CLOSE_SECONDS = 2  # that connections get behind the drain, before they are cut
BACKLOG = 512


def bind(host: str, port: int, option: str = "--port") -> socket.socket:
    """A listening socket.

    Raises:
        UsageError: the address is taken, is not this machine's, or may not be used.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=False)
    except OSError as error:
        known = error.errno is not None and not isinstance(error, socket.gaierror)
        reason = os.strerror(error.errno or 0) if known else error.strerror or str(error)
        way = f"stop what listens there, or choose another port with {option}"
        if isinstance(error, socket.gaierror):
            way = "give an address of this machine, such as 127.0.0.1 or 0.0.0.0"
        elif isinstance(error, PermissionError):
            way = f"ports below 1024 are the administrator's; choose a higher one with {option}"
        raise UsageError(f"{host} port {port}: cannot listen there: {reason}; {way}") from None


def check_tls(certificate: str | Path, key: str | Path) -> None:
    """Refuse a certificate that cannot be used, before anything is started.

    Raises:
        UsageError: a file cannot be read or is not PEM, the two do not belong together, or the key has a password.
    """

    def password() -> str:
        raise UsageError(f"--tls-key {key}: has a password; take it off: openssl pkey -in KEY -out NEW")

    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        try:
            open(path, "rb").close()
        except OSError as error:
            raise UsageError(f"{option} {path}: cannot be read: {error.strerror}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(f"--tls-key {key}: is not the key of {certificate}") from None
        raise UsageError(
            f"--tls-cert {certificate}, --tls-key {key}: are not a certificate and its key in PEM"
        ) from None


def serve(app: Starlette, listener: socket.socket, **options: Any) -> None:
    """Serve until a signal ends it. Returns when all is closed.

    Args:
        app: of `make_app`.
        listener: of `bind`.
        options: of `make_server`.
    """
    server = make_server(app, **options)
    hangup = getattr(signal, "SIGHUP", None)
    before = None if hangup is None else signal.signal(hangup, server.handle_reload)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        if hangup is not None:
            signal.signal(hangup, before)


def make_server(
    app: Starlette,
    *,
    tls: tuple[str, str] | None = None,
    access_log: bool = False,
    reload: Callable[[], None] | None = None,
    alive: Callable[[], None] = lambda: None,
) -> DrainingServer:
    """uvicorn, set up for a station; ``run`` or ``await serve`` it with a socket of `bind`.

    Args:
        app: of `make_app`.
        tls: certificate chain and key, files in PEM.
        access_log: log every request.
        reload: what SIGHUP does; called in a thread.
        alive: called on the event loop ten times a second while it serves, for a watchdog.
    """
    limits: Limits = app.state.limits
    config = uvicorn.Config(
        app,
        http=_protocol(limits.header_seconds),
        ws=StreamProtocol,
        ws_max_size=2 * limits.message_bytes,  # what is only somewhat too large is refused in words
        ws_per_message_deflate=False,  # sound does not shrink, and a bomb of zeros would grow
        lifespan="on",
        log_config=None,  # ours
        access_log=access_log,
        proxy_headers=False,  # believed in `stream.server.access.proxies`
        server_header=False,
        limit_concurrency=limits.connections,
        backlog=BACKLOG,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        h11_max_incomplete_event_size=limits.header_bytes,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    return DrainingServer(config, app, reload, alive)


class DrainingServer(uvicorn.Server):
    """uvicorn's server with our end."""

    def __init__(
        self,
        config: uvicorn.Config,
        app: Starlette,
        reload: Callable[[], None] | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._app, self._reload, self._alive = app, reload, alive
        self._asked = self._reload_asked = False
        self._told = asyncio.Event()  # so that the end need not wait for a look
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadline: float | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None  # the station's own part

    def drain(self) -> None:
        """Begin the end. From any thread, or a signal handler."""
        self._asked = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has closed: the end is over
                self._loop.call_soon_threadsafe(self._told.set)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal. The first begins the end, the second is the end."""
        if self._asked:
            os._exit(128 + sig)
        self.drain()

    def handle_reload(self, sig: int, frame: FrameType | None) -> None:
        """SIGHUP: read files again, from the event loop."""
        self._reload_asked = True

    async def main_loop(self) -> None:
        """Look again and again until the end is over: uvicorn's, which would be late to see that it began, and was."""
        self._loop = asyncio.get_running_loop()
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            if self._deadline is not None:
                await asyncio.sleep(LEAVING_SECONDS)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._told.wait()

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second, more often near the end."""
        self._alive()
        if self._reload_asked and self._reload is not None:
            self._reload_asked = False
            self._reloading = asyncio.create_task(asyncio.to_thread(self._reload))
        if self._asked and self._deadline is None:
            self._deadline = time.monotonic() + self._app.state.limits.drain_seconds
            log.info("draining: clients are told to connect again later")
            self._app.state.draining.begin()
            self._ending = asyncio.create_task(asyncio.to_thread(self._app.state.station.drain))
        if self._deadline is not None:
            busy = self.server_state.tasks or self._app.state.draining.holders
            if not busy or time.monotonic() >= self._deadline:
                return True
        return await super().on_tick(counter)


def _protocol(header_seconds: float) -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol, which would wait forever for the end of a request's headers."""

    class PatientProtocol(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect_headers()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:  # there is a beginning of headers, and no more
                self._expect_headers()

        def handle_events(self) -> None:
            super().handle_events()
            if self.conn.their_state is not h11.IDLE:
                self._forget()

        def handle_websocket_upgrade(self, event: Any) -> None:
            self._forget()
            super().handle_websocket_upgrade(event)

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _expect_headers(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(header_seconds, self._give_up)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _give_up(self) -> None:
            if not self.transport.is_closing():
                self.transport.close()

        def send_400_response(self, msg: str) -> None:
            self.transport.write(_BAD_REQUEST)
            self.transport.close()

    return PatientProtocol


_BODY = error_json("bad_request", "this is no request of HTTP/1.1, or its headers are too large")
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)
