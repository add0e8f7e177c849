"""The gate: what stands before every request, whatever it asks for."""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.server.access.access import Access
from stream.server.http.answers import refusal_answer
from stream.server.limits import Limits
from stream.server.refusals import Refused

log = logging.getLogger(__name__)
ALWAYS_ANSWERED = ("/healthz", "/readyz")
LINGER_BYTES, LINGER_SECONDS = 16 << 20, 0.5  # of a body that is refused
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Gate:
    """Checks the host, believes trusted proxies, bounds how much is answered at one time and how slow a body may be."""

    def __init__(self, app: ASGIApp, access: Access, limits: Limits) -> None:
        self._app, self._access, self._limits = app, access, limits
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        self._access.proxies.believe(scope)
        try:
            self._check_size(scope)
            self._access.check_host(HTTPConnection(scope))
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
                return
            if self._open >= self._limits.requests and scope["path"] not in ALWAYS_ANSWERED:
                raise Refused(
                    "busy",
                    "too many requests at one time; try again",
                    status=503,
                    headers={"Retry-After": "1"},
                )
        except Refused as refused:
            scope["app"].state.metrics.refused.labels(refused.code).inc()
            await _refuse(refused, scope, receive, send)
            return
        self._open += 1
        try:
            exchange = _Exchange(scope, receive, send, self._limits)
            await self._app(scope, exchange.receive, exchange.send)
        except _SlowReader:
            log.info("%s: nobody took the answer for %g s", scope["path"], self._limits.reader_seconds)
        except asyncio.CancelledError:
            if not scope["app"].state.draining.begun:
                raise
            log.info("%s: cut off by the end of the station", scope["path"])
        finally:
            self._open -= 1

    def _check_size(self, scope: Scope) -> None:
        """The server bounds headers only while they are not complete, and may be given more at one time."""
        lines = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if lines + len(scope.get("raw_path", b"")) + len(scope["query_string"]) > self._limits.header_bytes:
            most = self._limits.header_bytes
            raise Refused("headers_too_large", f"address and headers take more than {most} bytes", status=431)


class _Exchange:
    """One request and its answer, neither of which may take forever."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self._receive, self._send, self._limits = receive, send, limits
        names = {name for name, _ in scope["headers"]}
        self._body_came = not names & {b"content-length", b"transfer-encoding"}
        self._patience = b"expect" not in names  # who asks before sending is told not to

    async def receive(self) -> Message:
        if self._body_came:  # now this waits for the client to leave, which may take as long as it likes
            return await self._receive()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                message = await self._receive()
        except TimeoutError:
            self._patience = False
            raise Refused(
                "slow_body", f"nothing came for {self._limits.body_seconds:g} s; send it again", status=408
            ) from None
        self._body_came = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            have = {name.lower() for name, _ in message.get("headers", ())}
            extra = [(name, value) for name, value in _HEADERS if name not in have]
            if not self._body_came:
                await self._linger()
            if not self._body_came:
                extra.append((b"connection", b"close"))
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        try:
            async with asyncio.timeout(self._limits.reader_seconds):
                await self._send(message)
        except TimeoutError:
            raise _SlowReader from None

    async def _linger(self) -> None:
        """Take a little of a body that is not wanted: many clients look for the answer only when they have sent it."""
        left = LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while self._patience and not self._body_came and left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    self._body_came = not message.get("more_body", False)
        except TimeoutError:
            return


class _SlowReader(OSError):
    """A client takes nothing of its answer."""


async def _refuse(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refused.code})
        return
    await refusal_answer(refused)(scope, receive, send)
