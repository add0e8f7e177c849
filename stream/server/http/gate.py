"""The gate: what stands before every request, whatever it asks for."""

from __future__ import annotations

import asyncio

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.server.access.access import Access
from stream.server.http.answers import refusal_answer
from stream.server.limits import Limits
from stream.server.refusals import Refused

ALWAYS_ANSWERED = ("/healthz", "/readyz")
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
            await self._app(scope, self._patient(receive), _with_headers(send))
        finally:
            self._open -= 1

    def _patient(self, receive: Receive) -> Receive:
        ended = False

        async def wrapped() -> Message:
            nonlocal ended
            if ended:  # now this waits for the client to leave, which may take as long as it likes
                return await receive()
            try:
                async with asyncio.timeout(self._limits.body_seconds):
                    message = await receive()
            except TimeoutError:
                raise Refused(
                    "slow_body",
                    f"nothing came for {self._limits.body_seconds:g} s; send it again",
                    status=408,
                ) from None
            ended = not message.get("more_body", False)
            return message

        return wrapped


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            have = {name.lower() for name, _ in message.get("headers", ())}
            extra = [(name, value) for name, value in _HEADERS if name not in have]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return wrapped


async def _refuse(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refused.code})
        return
    await refusal_answer(refused)(scope, receive, send)
