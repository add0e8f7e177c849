"""A WebSocket without a network: an ASGI application's side of it, and ours, in one event loop."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

Message = dict[str, Any]
DEADLINE = 120.0


class Gone(Exception):
    """The connection is over; ``code`` is the close code, None where it broke."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Mailbox:
    """Messages that one side puts in and the other takes out, with a deadline."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, message: Message) -> None:
        self.messages.append(message)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self, seconds: float = DEADLINE) -> Message:
        while not self.messages:
            self._waiter = asyncio.get_running_loop().create_future()
            done, _ = await asyncio.wait([self._waiter], timeout=seconds)
            assert done, "nothing came"
        return self.messages.popleft()


class Wire:
    """One connection to an application.

    Attributes:
        taking: cleared while this side reads nothing, so that the application's sends wait.
        under_way: messages of ours that the application has not received.
    """

    def __init__(self, app: Any) -> None:
        self.under_way, self._came = Mailbox(), Mailbox()
        self.taking = True
        self._held = Mailbox()  # told when something is taken again
        self._cut = False
        self.under_way.put({"type": "websocket.connect"})
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
        self.task.add_done_callback(self._left)

    def say(self, message: Message | bytes | str) -> None:
        if isinstance(message, bytes):
            self.under_way.put({"type": "websocket.receive", "bytes": message})
        else:
            text = json.dumps(message) if isinstance(message, dict) else message
            self.under_way.put({"type": "websocket.receive", "text": text})

    async def next(self) -> Message:
        """What the application said next; Gone where it closed. An error of the application is raised here."""
        message = await self._came.take()
        if message["type"] == "left":
            raise self.task.exception() or Gone(None)
        if message["type"] == "websocket.close":
            self._end(message["code"])
            raise Gone(message["code"])
        decoded: Message = json.loads(message["text"])
        return decoded

    def hold(self) -> None:
        """Read nothing until `release`."""
        self.taking = False

    def release(self) -> None:
        """Read on."""
        self.taking = True
        self._held.put({})

    def cut(self, lost: int = 0) -> list[Message]:
        """Break the connection; of what is under way, the last ``lost`` messages are gone.

        Returns:
            What the application had said that was not read: a peer may still find it.
        """
        for _ in range(min(lost, len(self.under_way.messages))):
            self.under_way.messages.pop()
        self._end(1006)
        return [json.loads(each["text"]) for each in self._came.messages if "text" in each]

    def _end(self, code: int) -> None:
        self._cut = True
        self.release()
        self.under_way.put({"type": "websocket.disconnect", "code": code})

    def _left(self, task: asyncio.Task[None]) -> None:
        self._came.put({"type": "left"})

    async def _receive(self) -> Message:
        return await self.under_way.take(3600)

    async def _send(self, message: Message) -> None:
        while not self.taking:
            await self._held.take()
        if self._cut:
            raise OSError("the peer left")
        if message["type"] != "websocket.accept":
            self._came.put(message)
