"""The Python client behind something that hands connections on: to nobody for a while, then to another station."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from stream.client import StreamClient
from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.access.access import Access
from stream.server.http.app import make_app
from tests.server.socket.conftest import LENIENT
from tests.support.bare_station import BareStation
from tests.support.command import DEADLINE_SECONDS
from tests.support.served import ServedApp, served
from tests.support.stream_peer import Offline, as_s16, from_s16, noise

RATE = 16_000
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Front:
    """Hands each connection to the station of ``target``, and answers 503 while there is none."""

    def __init__(self, target: ServedApp) -> None:
        self.target: ServedApp | None = target
        self.refused = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Front:
        self._server = await asyncio.start_server(self._hand_on, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.target is None:
            self.refused += 1
            with suppress(OSError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(UNAVAILABLE)
                await writer.drain()
            writer.close()
            return
        inner_reader, inner_writer = await asyncio.open_connection(*self.target.address)
        self._open |= {writer, inner_writer}
        with suppress(OSError):
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        self._open -= {writer, inner_writer}
        for each in (writer, inner_writer):
            each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _until(messages: AsyncIterator[dict[str, Any]], kind: str) -> dict[str, Any]:
    while (message := await anext(messages))["type"] != kind:
        pass
    return message


def test_it_waits_for_a_station_and_begins_again_where_that_one_knows_nothing(model: Model) -> None:
    sound = as_s16(noise(6, seed=8))
    second = 2 * RATE

    async def go(first: ServedApp, other: ServedApp) -> tuple[list[dict[str, Any]], int]:
        async with Front(first) as front, StreamClient(front.url, rate=RATE, keep_seconds=2) as client:
            messages = aiter(client)
            for at in range(0, 3 * second, second):
                await client.send(sound[at : at + second])
            await _until(messages, "lag")
            front.target = None
            front.cut()
            begun = asyncio.create_task(_until(messages, "begun_again"))
            for at in range(3 * second, 5 * second, second):
                await client.send(sound[at : at + second])
            while not front.refused:
                await asyncio.sleep(0.01)
            front.target = other
            position = (await begun)["position"]
            await client.send(sound[5 * second :])
            await client.flush()
            return [message async for message in messages], position

    async def bounded(first: ServedApp, other: ServedApp) -> tuple[list[dict[str, Any]], int]:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await go(first, other)

    apps = [make_app(BareStation(model), Access(), LENIENT) for _ in range(2)]
    with served(apps[0]) as first, served(apps[1]) as other:
        messages, position = asyncio.run(bounded(first, other))
    assert 0 < position < 5 * RATE
    offline = Offline(model, [Chunk(from_s16(sound[2 * position :]), position, RATE)])
    end = messages[-1]
    assert (end["type"], end["position"], end["lost"]) == ("end", 6 * RATE, 0)
    assert end["checksum"] == offline.checksum
