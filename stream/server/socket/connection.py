"""Connection: one WebSocket, from its hello to its close."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from stream.printable import printable
from stream.server.socket.client_messages import (
    Acknowledge,
    ClientMessage,
    Flush,
    Hello,
    Lost,
    NewRules,
    Ping,
)
from stream.server.socket.codes import NORMAL, StreamEnds
from stream.server.socket.flow import Flow
from stream.server.socket.outbox import encoded
from stream.server.socket.server_messages import Failure, Pong, Reconnect, StreamError, StreamStatus

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from stream.server.limits import Limits
    from stream.server.socket.live_stream import LiveStream

log = logging.getLogger(__name__)
_DECODER: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
ABORT = "stream_classify.abort"
"""In ``scope["extensions"]``: a function that cuts the connection at once. Closing it as usual would wait, for ever,
for a peer that takes nothing more."""
SHORT_WAY = "stream_classify.short_way"
"""In ``scope["extensions"]``: a `StreamProtocol`, for messages that need not wait for their turn in a task."""
NOT_UTF8 = "\ufffd"
"""What text that is not UTF-8 is received as. It is no JSON, so no message is taken for it."""
TEXT_BYTES = 64 << 10
MESSAGE_SECONDS = (
    0.002  # of real time that any message stands for at least: who sends 500 a second is in time
)
CLOSE_SECONDS = 5.0  # that a peer gets to take its last replies
_FINAL = (NORMAL, 1002, 1007, 1009)  # the client is done, or broke the protocol
_GONE = OSError  # what `send` raises where the peer left
_BEHIND_LOOKS = 0.02  # seconds between two looks at the backlog
THROTTLED = StreamStatus(
    state="throttled", detail="sound comes faster than real time; it is read as fast as time passes"
)
BEHIND = StreamStatus(state="behind", detail="the station does not keep up; it reads no more until it does")
LISTENING = StreamStatus(state="listening", detail="")


THE_END = StreamEnds("end", "", close=NORMAL)


class Connection:
    """What goes on over one WebSocket. A task reads, another writes.

    Args:
        scope, receive, send: of ASGI.
        limits: the station's.

    Attributes:
        stream: that is heard; None before the hello was granted.
        last_heard: when the last message came, on the loop's clock.
        token: to resume the stream with.
        gone: the peer is.
        left_on_purpose: it closed, and said that it is done.
        deaf: sound that comes is no part of the stream any more.
        sending_since: since when a reply is on its way that the peer does not take yet; None where there is none.
        closing_since: since when the end is on its way; None before.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self._receive, self._send, self._limits = receive, send, limits
        self._abort = scope.get("extensions", {}).get(ABORT)
        self._short_way = scope.get("extensions", {}).get(SHORT_WAY)
        self._loop = asyncio.get_running_loop()
        self.stream: LiveStream | None = None
        self.last_heard = self._loop.time()
        self.sending_since: float | None = None
        self.closing_since: float | None = None
        self.gone = False
        self.left_on_purpose = False
        self.deaf = False
        self._ending: StreamEnds | None = None  # why this side ends it
        self._farewell: Reconnect | None = None
        self._patience: asyncio.Timeout | None = None
        self.token = ""
        self._waiter: asyncio.Future[None] | None = None
        self._unsaid: deque[bytes] = deque()  # taken from the outbox, and not yet sent
        self._state = LISTENING
        self._first = True  # no message came since ready

    async def accept(self) -> None:
        """Shake hands. What is refused after this is refused in words."""
        await self._receive()
        await self._send({"type": "websocket.accept"})

    async def hello(self) -> Hello | None:
        """The first message; None where the peer left.

        Raises:
            StreamEnds: it is none, or does not come in time.
        """
        try:
            async with asyncio.timeout(self._limits.hello_seconds) as self._patience:
                message = await self._next()
        except TimeoutError:
            raise StreamEnds(
                "hello_timeout", f"no hello within {self._limits.hello_seconds:g} s of connecting"
            ) from None
        if message is None:
            return None
        text = message.get("text")
        if text is None:
            raise StreamEnds("no_hello", "sound before the hello: send the JSON object first")
        decoded = decode_text(text)
        if not isinstance(decoded, Hello):
            raise StreamEnds("no_hello", "want a message of type hello first")
        return decoded

    async def serve(self, stream: LiveStream, ready: msgspec.Struct, token: str) -> None:
        """Answer ``ready``, and hear the stream until the connection ends."""
        self.stream, self.token = stream, token
        stream.connection = self
        limits, now = self._limits, self._loop.time()
        bounds = limits.lead_seconds, limits.flood_seconds, limits.resume_seconds + limits.lead_seconds
        self._flow = Flow(*bounds, now)
        self._talk = Flow(*bounds, now, "messages")
        writer = self._loop.create_task(self._write(encoded(ready)), name=f"writer of stream {stream.name}")
        try:
            await self._read(stream)
        except StreamEnds as ends:
            self.end(ends)
        finally:
            await writer

    async def refuse(self, ends: StreamEnds) -> None:
        """Say why there is no stream, and close."""
        self.closing_since = self._loop.time()
        await self._last_words(ends, resume=None)

    def end(self, ends: StreamEnds) -> None:
        """Close, once what waits was sent, and say why. From anywhere on the loop; the first reason counts."""
        if self._ending is None:
            self._ending = ends
            self.closing_since = self._loop.time()
            self.wake()

    def hurry(self) -> None:
        """Wait for the hello no longer."""
        if self._patience is not None and self.stream is None:
            with suppress(RuntimeError):  # it came
                self._patience.reschedule(self._loop.time())

    def reconnect(self, farewell: Reconnect) -> None:
        """Tell the client to go on elsewhere, and close; nothing where it is told something else already."""
        if self._ending is None:
            self._farewell = farewell
        self.end(StreamEnds("draining", "the station stops; connect again"))

    def abort(self) -> None:
        """Cut the connection: the peer takes nothing more."""
        self.gone = True
        if self._abort is not None:
            self._abort()
        self.wake()

    def wake(self) -> None:
        """The writer has something to do. What can be said at once is."""
        waiter, stream = self._waiter, self.stream
        if waiter is None or waiter.done():
            return
        if self._short_way is not None and stream is not None and self._ending is None and not self.gone:
            while stream.connection is self and (messages := stream.next_replies()):
                if not self._short_way.say(messages):
                    self._unsaid.extend(messages)
                    break
            else:
                if stream.failure is None and not stream.over:
                    return
        waiter.set_result(None)

    @property
    def ending(self) -> StreamEnds | None:
        """Why this side ends the connection."""
        return self._ending

    async def _next(self) -> Any:
        """The next message, None where the peer left."""
        message = await self._receive()
        self.last_heard = self._loop.time()
        if message["type"] == "websocket.receive":
            return message
        self.gone = True
        self.left_on_purpose = self._ending is None and message.get("code") in _FINAL
        self.wake()
        return None

    async def _read(self, stream: LiveStream) -> None:
        """Take messages until one side ends."""
        way = self._short_way
        while True:
            if way is not None and not self._first:
                way.hear = self._hear_at_once
            message = await self._next()
            if way is not None:
                way.hear = None
            if message is None:
                return
            if self._ending is not None:
                continue  # the close comes soon
            if self._first:
                self._first = False
                stream.tokens.arrived()
            data = message.get("bytes")
            if data is None:
                self._control(stream, decode_text(message["text"]))
                pause = self._talk.came(MESSAGE_SECONDS, self.last_heard)
                if pause:
                    await self._pause(stream, pause)
            elif not self.deaf:
                wait = self._hear(stream, bytes(data))
                if wait is not None:
                    await self._pause(stream, wait)

    def _hear(self, stream: LiveStream, data: bytes) -> float | None:
        """Take sound. How many seconds to read nothing; None where more may come."""
        if len(data) > self._limits.message_bytes:
            raise StreamEnds(
                "message_too_large",
                f"message of {len(data)} bytes: want at most {self._limits.message_bytes}",
            )
        now = self.last_heard
        wait = self._flow.came(stream.hear(data), now)
        talked = self._talk.came(MESSAGE_SECONDS, now)
        if talked > wait:
            wait = talked
        return wait if wait or stream.behind > self._limits.backlog_seconds else None

    def _hear_at_once(self, data: bytes) -> bool:
        """Sound on the short way, while ``_read`` waits. Whether more may come; it looks again if not."""
        self.last_heard = self._loop.time()
        stream = self.stream
        if stream is None or self._ending is not None or self.deaf:
            return True
        try:
            return self._hear(stream, data) is None
        except StreamEnds as ends:
            self.end(ends)
            return True

    def _control(self, stream: LiveStream, message: ClientMessage) -> None:
        if isinstance(message, Acknowledge):
            stream.outbox.acknowledge(message.sequence)
            if stream.over and not stream.outbox.kept:
                self.end(THE_END)
        elif self.deaf:
            pass
        elif isinstance(message, Lost):
            stream.lose(message.samples)
        elif isinstance(message, NewRules):
            stream.change_rules(message.rules)
        elif isinstance(message, Ping):
            stream.outbox.tell(Pong(message.id))
        elif isinstance(message, Flush):
            stream.flush()
        else:
            raise StreamEnds("second_hello", "a stream has one hello; open another connection")
        self.wake()

    async def _pause(self, stream: LiveStream, wait: float) -> None:
        """Read nothing for a while: the sender is too fast, or the station too slow."""
        until = self._loop.time() + wait
        self._tell(stream, THROTTLED if wait else BEHIND)
        while self._ending is None and not self.gone:
            left = until - self._loop.time()
            if left <= 0 and stream.behind <= self._limits.backlog_seconds:
                break
            await asyncio.sleep(min(left, 0.25) if left > 0 else _BEHIND_LOOKS)
            self.last_heard = self._loop.time()
        if not (self._flow.throttled or self._talk.throttled):
            self._tell(stream, LISTENING)

    def _tell(self, stream: LiveStream, state: StreamStatus) -> None:
        if state is not self._state:
            self._state = state
            stream.outbox.tell(state)
            self.wake()

    async def _write(self, ready: bytes) -> None:
        """Send replies until one side ends."""
        stream = self.stream
        assert stream is not None
        message: bytes | None = ready
        try:
            while not self.gone:
                if message is not None:
                    await self._say(message)
                elif self._ending is not None:
                    break
                elif stream.failure is not None:
                    self.end(stream.failure)
                    continue
                elif stream.over and self.closing_since is None:
                    self.closing_since = self._loop.time()  # the client closes, or is closed
                else:
                    self._waiter = self._loop.create_future()
                    await self._waiter
                message = self._unsaid.popleft() if self._unsaid else None
                if message is None and stream.connection is self and not self.gone:
                    message = stream.next_reply()
            if not self.gone and self._ending is not None:
                await self._last_words(self._ending, self.token)
        except _GONE:
            self.gone = True

    async def _last_words(self, ends: StreamEnds, resume: str | None) -> None:
        last: msgspec.Struct | None = self._farewell
        if last is None and ends.close != NORMAL:
            error = Failure(ends.code, " ".join(printable(str(ends)).split()))
            last = StreamError(error=error, resume=resume if ends.resumable else None)
        try:
            if last is not None:
                await self._say(encoded(last))
            await self._send({"type": "websocket.close", "code": ends.close, "reason": ends.code})
        except _GONE:
            self.gone = True

    async def _say(self, message: bytes) -> None:
        self.sending_since = self._loop.time()
        await self._send({"type": "websocket.send", "text": message.decode()})
        self.sending_since = None


def decode_text(text: str) -> ClientMessage:
    """A text message of a client.

    Raises:
        StreamEnds: it is no message, with what is wrong.
    """
    if text == NOT_UTF8:
        raise StreamEnds("bad_text", "text that is not UTF-8")
    if len(text) > TEXT_BYTES:
        raise StreamEnds("message_too_large", f"text of {len(text)} characters: want at most {TEXT_BYTES}")
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError as error:
        raise StreamEnds("bad_message", str(error)) from None
    except (msgspec.MsgspecError, UnicodeEncodeError, ValueError) as error:
        raise StreamEnds("bad_message", f"text that is no JSON object: {error}") from None
    except RecursionError:
        raise StreamEnds(
            "bad_message", "text that is no JSON object: too many brackets in brackets"
        ) from None
