"""Events from now on, as server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from stream.printable import printable_json
from stream.server.http.draining import Draining
from stream.server.http.history_pages import HeardRecord
from stream.server.hub_message import HubMessage
from stream.server.watcher import Watcher

SSE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0  # proxies close what is silent for a minute
RETRY_MS = 2000


async def pieces(
    watcher: Watcher,
    draining: Draining,
    missed: Sequence[HeardRecord],
    *,
    heartbeat: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[bytes]:
    """The body of a stream of events.

    Each message has an ``id``: milliseconds since 1970 at which it was sent, for ``Last-Event-ID``. Comments keep the
    connection awake. The last message is ``end``, which says why; none comes when the client left.

    Args:
        watcher: of the hub. Not closed here.
        draining: ends it.
        missed: events of the history, told first, as ``heard``.
        heartbeat: seconds of silence before a comment.
    """
    yield b"retry: %d\n\n" % RETRY_MS
    for record in missed:
        yield _message("heard", printable_json(msgspec.json.encode(record)))
    end = asyncio.ensure_future(draining.wait())
    following = _following(watcher)
    try:
        async with aclosing(following):
            waiting: asyncio.Future[HubMessage | None] | None = None
            try:
                while not end.done():
                    waiting = waiting or asyncio.ensure_future(anext(following, None))
                    both: set[asyncio.Future[Any]] = {waiting, end}
                    await asyncio.wait(both, timeout=heartbeat, return_when=asyncio.FIRST_COMPLETED)
                    if waiting.done():
                        message, waiting = waiting.result(), None
                        if message is None:
                            break
                        yield _message(message.kind, message.json)
                    elif not end.done():
                        yield b": still here\n\n"
            finally:
                if waiting is not None:
                    waiting.cancel()
                    await asyncio.wait({waiting})
        reason = "the station is about to end; connect again later" if end.done() else watcher.reason
        yield _message("end", msgspec.json.encode({"reason": reason or "the station ended it"}))
    finally:
        end.cancel()


async def _following(watcher: Any) -> AsyncGenerator[HubMessage]:
    async for message in watcher:
        yield message


def _message(kind: str, data: bytes) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (time.time() * 1000, kind.encode(), data)
