"""StreamEndpoint: ``/v1/stream``, and what is to be done from time to time for all who are connected to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from stream.server.http.answers import refusal_answer
from stream.server.refusals import Refused
from stream.server.socket.client_messages import VERSION
from stream.server.socket.codes import ACCESS_CLOSES, StreamEnds
from stream.server.socket.connection import CLOSE_SECONDS, THE_END, Connection
from stream.server.socket.server_messages import Ready, Reconnect, StreamLimits

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from stream.server.access.access import Access
    from stream.server.http.draining import Draining
    from stream.server.limits import Limits
    from stream.server.socket.all_streams import Streams
    from stream.server.socket.live_stream import LiveStream

ROUND_SECONDS = 0.5
CHECKPOINT_SECONDS = 2.0  # between two states of a stream in a store that others see
_FLUSH_LOOKS = 500  # 5 s
_AT_A_TIME = 32  # streams that are saved together


class StreamEndpoint:
    """An ASGI application for WebSockets.

    Args:
        streams: that are heard.
        access: who may send sound.
        limits: the station's.
        draining: says when the end has begun.
    """

    def __init__(self, streams: Streams, access: Access, limits: Limits, draining: Draining) -> None:
        self.streams = streams
        self._access, self._limits, self._draining = access, limits, draining
        self._open: set[Connection] = set()
        self._chores: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        asked = HTTPConnection(scope)
        try:
            self._access.check_origin(asked)
        except Refused as refused:
            await _refuse_handshake(refused, scope, receive, send)
            return
        self._begin_chores()
        connection = Connection(scope, receive, send, self._limits)
        self._open.add(connection)
        try:
            await connection.accept()
            try:
                stream = await self._admit(connection, asked)
            except StreamEnds as ends:
                _count(scope, ends)
                await connection.refuse(ends)
                return
            if stream is not None:
                await self._serve(connection, stream)
        except OSError:
            pass  # the peer left
        finally:
            self._open.discard(connection)
            if connection.ending is not None and connection.ending is not THE_END:
                _count(scope, connection.ending)

    async def drain(self) -> None:
        """Save every stream, and tell its client to go on elsewhere."""
        for connection in self._open:
            connection.hurry()
        streams = self.streams.all
        for at in range(0, len(streams), _AT_A_TIME):
            await asyncio.gather(*map(self._move, streams[at : at + _AT_A_TIME]))

    async def _admit(self, connection: Connection, asked: HTTPConnection) -> LiveStream | None:
        try:
            hello = await connection.hello()
        except StreamEnds:
            self._refuse_at_the_end()
            raise
        self._refuse_at_the_end()
        if hello is None:
            return None
        if hello.version != VERSION:
            raise StreamEnds("unsupported_version", f"version {hello.version}: this station speaks {VERSION}")
        try:
            identity = self._access.identify(asked, "listen", token=hello.token)
        except Refused as refused:
            raise StreamEnds(
                refused.code, str(refused), close=ACCESS_CLOSES.get(refused.status, 4403)
            ) from None
        return await self.streams.open(hello, identity.name)

    def _refuse_at_the_end(self) -> None:
        if self._draining.begun:
            raise StreamEnds("draining", "the station stops; connect again, perhaps to another")

    async def _serve(self, connection: Connection, stream: LiveStream) -> None:
        token = stream.tokens.renew()
        stream.connection = connection
        try:
            if self.streams.store.shared:
                await self.streams.save(
                    stream
                )  # so that this token is known elsewhere, whatever happens here
            await connection.serve(stream, self._ready(stream, token), token)
        finally:
            if stream.connection is connection:
                stream.connection = None
                self.streams.left(stream, keep=_worth_keeping(connection, stream))

    def _ready(self, stream: LiveStream, token: str) -> Ready:
        limits, card = self._limits, stream.model.card
        spec = card.features
        behind = (card.stride - 1) * spec.hop_length
        return Ready(
            version=VERSION,
            stream=stream.name,
            model=card.name,
            model_sha256=stream.model.sha256,
            labels=stream.labels,
            sample_rate=stream.sample_rate,
            hop=stream.hop,
            delay=(spec.span - spec.span // 2 + behind - behind // 2 + card.delay * stream.hop)
            / spec.sample_rate,
            rules=stream.rules,
            resume=token,
            resumed=stream.resumed,
            position=stream.position,
            last_sequence=stream.outbox.sequence,
            limits=StreamLimits(
                message_bytes=limits.message_bytes,
                idle_seconds=limits.idle_seconds,
                lead_seconds=limits.lead_seconds,
                backlog_seconds=limits.backlog_seconds,
                resume_seconds=limits.resume_seconds,
            ),
        )

    async def _move(self, stream: LiveStream) -> None:
        """Save one stream, and let its client go."""
        connection = stream.connection
        if connection is not None:
            connection.deaf = True
        for _ in range(_FLUSH_LOOKS):
            if not stream.flushed or stream.over or stream.failure is not None:
                break
            await asyncio.sleep(0.01)
        if not await self.streams.save(stream):
            stream.flush()  # it cannot go on elsewhere: its events end here
            return
        self.streams.forget(stream)
        if connection is None:
            return
        if stream.over:
            connection.end(THE_END)
        else:
            connection.reconnect(Reconnect(resume=connection.token, position=stream.position))

    def _begin_chores(self) -> None:
        if not self._chores:
            loop = asyncio.get_running_loop()
            self._chores = [loop.create_task(self._rounds()), loop.create_task(self._drain_at_the_end())]
            if self.streams.store.shared:
                self._chores.append(loop.create_task(self._checkpoints()))

    async def _drain_at_the_end(self) -> None:
        with self._draining.holding():  # streams whose connection is broken are saved, too
            await self._draining.wait()
            await self.drain()

    async def _rounds(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            now = loop.time()
            for connection in self._open:
                self._look_after(connection, now)
            self.streams.expire(now)

    async def _checkpoints(self) -> None:
        """Save all streams again and again, so that they can go on elsewhere if this process dies."""
        while not self._draining.begun:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            await self.streams.drop_finished()
            moved = [each for each in self.streams.all if each.position != each.saved and not each.flushed]
            for at in range(0, len(moved), _AT_A_TIME):
                await asyncio.gather(*map(self.streams.save, moved[at : at + _AT_A_TIME]))

    def _look_after(self, connection: Connection, now: float) -> None:
        since = connection.closing_since
        stream = connection.stream
        if since is None and stream is not None:
            idle = now - connection.last_heard
            stuck = connection.sending_since is not None and now - connection.sending_since > ROUND_SECONDS
            if idle > self._limits.idle_seconds:
                connection.end(StreamEnds("idle_timeout", f"nothing came for {idle:.0f} s; a ping is enough"))
            elif stuck and stream.outbox.overfull:
                connection.end(StreamEnds("slow_reader", "replies are not read: too many events wait"))
        if since is None:
            return
        if now - since > CLOSE_SECONDS:
            if connection.ending is None:
                connection.end(THE_END)
            elif now - since > 2 * CLOSE_SECONDS:
                connection.abort()


def _worth_keeping(connection: Connection, stream: LiveStream) -> bool:
    """Whether a client may come back for the stream."""
    if stream.failure is not None or connection.left_on_purpose or (stream.over and not stream.outbox.kept):
        return False
    return connection.ending is None or connection.ending.resumable


def _count(scope: Scope, ends: StreamEnds) -> None:
    app = scope.get("app")
    if app is not None:  # else the endpoint is served without the station's application
        app.state.metrics.refused.labels(ends.code).inc()


async def _refuse_handshake(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    if "websocket.http.response" in scope.get("extensions", {}):
        await refusal_answer(refused)(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.close", "code": 1008, "reason": refused.code})
