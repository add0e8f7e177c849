"""A WebSocket without a network: an ASGI application's side of it, and ours, in one event loop."""

from __future__ import annotations

import asyncio
import json
from typing import Any

Message = dict[str, Any]
DEADLINE = 120.0


class Gone(Exception):
    """The connection is over; ``code`` is the close code, None where it broke."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Wire:
    """One connection to an application.

    Attributes:
        taking: cleared while this side reads nothing, so that the application's sends wait.
        under_way: messages of ours that the application has not received.
    """

    def __init__(self, app: Any) -> None:
        self.under_way: asyncio.Queue[Message] = asyncio.Queue()
        self._came: asyncio.Queue[Message | None] = asyncio.Queue()
        self.taking = asyncio.Event()
        self.taking.set()
        self._cut = False
        self.under_way.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/v1/stream",
            "query_string": b"",
            "headers": [],
            "client": ("127.0.0.1", 1),
            "extensions": {},
        }
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    def say(self, message: Message | bytes | str) -> None:
        if isinstance(message, bytes):
            self.under_way.put_nowait({"type": "websocket.receive", "bytes": message})
        else:
            text = json.dumps(message) if isinstance(message, dict) else message
            self.under_way.put_nowait({"type": "websocket.receive", "text": text})

    async def next(self) -> Message:
        """What the application said next; Gone where it closed, or the connection broke."""
        async with asyncio.timeout(DEADLINE):
            message = await self._came.get()
        if message is None:
            raise Gone(None)
        if message["type"] == "websocket.close":
            self._end(message["code"])
            raise Gone(message["code"])
        decoded: Message = json.loads(message["text"])
        return decoded

    def cut(self, lost: int = 0) -> list[Message]:
        """Break the connection; of what is under way, the last ``lost`` messages are gone.

        Returns:
            What the application had said that was not read: a peer may still find it.
        """
        for _ in range(min(lost, self.under_way.qsize())):
            self.under_way._queue.pop()  # type: ignore[attr-defined]  # the newest
        self._end(1006)
        came = [self._came.get_nowait() for _ in range(self._came.qsize())]
        return [json.loads(each["text"]) for each in came if each is not None and "text" in each]

    def close(self, code: int = 1000) -> None:
        self._end(code)

    def _end(self, code: int) -> None:
        self._cut = True
        self.taking.set()
        self.under_way.put_nowait({"type": "websocket.disconnect", "code": code})

    async def _receive(self) -> Message:
        return await self.under_way.get()

    async def _send(self, message: Message) -> None:
        await self.taking.wait()
        if self._cut:
            raise OSError("the peer left")
        if message["type"] != "websocket.accept":
            self._came.put_nowait(message)
