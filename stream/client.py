"""A client of a station's ``/v1/stream``: sound out, messages back, over a connection that may break.

    async with StreamClient("ws://127.0.0.1:8765", rate=16000) as client:
        asyncio.create_task(feed(client))            # await client.send(pcm) …, then await client.flush()
        async for message in client:                 # {"type": "scores", …}, {"type": "event", …} … {"type": "end", …}
            print(message)

    for message in listen("ws://127.0.0.1:8765", blocks, rate=16000):    # the same without asyncio
        print(message)

After a broken connection it connects again, goes on with the same stream, and sends what the station does not have. It
keeps that much of the sound; what was too old is told to the station as lost. Events come exactly once. Where the
station knows nothing of the stream any more, another one begins with the oldest sound that is kept, behind a message
{"type": "begun_again", "position": its first sample}; ids of events begin again as well.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from stream.errors import BackendMissing, StreamClassifyError, UsageError
from stream.installation import install_command

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

SAMPLE_BYTES = {"s16le": 2, "f32le": 4}
Message = dict[str, Any]
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# Codes after which another try makes sense, and after which another stream does.
_AGAIN = ("draining", "idle_timeout", "slow_reader", "full", "store_unavailable")
_ANEW = ("resume_unknown", "resume_expired", "resume_used")


class StreamRefused(StreamClassifyError):
    """The station does not take the stream, or ended it.

    Attributes:
        code: for programs, such as "wrong_token".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamClient:
    """One stream. Send sound in one task, and iterate over the messages in another.

    Args:
        url: of the station, such as "ws://127.0.0.1:8765"; "wss://" with TLS.
        rate: of the sound, Hz.
        format: "s16le" or "f32le", interleaved.
        channels: of the sound.
        token: who asks, where the station wants to know.
        keep_seconds: of sound that is kept for a station that did not get it.
        patience: seconds to go on trying to connect.
        hello: other fields of the hello, such as ``scores="all"``, ``labels=["speech"]``, ``model="small"`` or, for
            f32le in which NaN stands for a missing sample, ``missing="nan"``.

    Attributes:
        ready: the station's answer to the hello.
    """

    def __init__(
        self,
        url: str,
        *,
        rate: int,
        format: str = "s16le",
        channels: int = 1,
        token: str | None = None,
        keep_seconds: float = 30.0,
        patience: float = 60.0,
        **hello: Any,
    ) -> None:
        if format not in SAMPLE_BYTES:
            raise UsageError(f"format {format!r}: want {' or '.join(SAMPLE_BYTES)}")
        self.url = url.rstrip("/") + "/v1/stream"
        about = {"type": "hello", "version": 1, "rate": rate, "format": format, "channels": channels}
        self._hello = {**about, "token": token, **hello}
        self._frame = SAMPLE_BYTES[format] * channels
        self._keep, self._patience = round(keep_seconds * rate), patience
        self._kept: deque[tuple[int, bytes]] = deque()  # first sample, sound; in order
        self._next = self._cursor = int(hello.get("start") or 0)  # the next to be given, the next to be sent
        self._received = 0
        self._flushed = False
        self._sending = asyncio.Lock()
        self._socket: ClientConnection | None = None
        self._begun_again: int | None = None
        self.ready: Message = {}

    async def __aenter__(self) -> StreamClient:
        await self._connect()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def send(self, sound: bytes) -> None:
        """Samples that follow the last ones. Waits while the station reads no faster."""
        if len(sound) % self._frame:
            raise UsageError(f"{len(sound)} bytes: want a multiple of {self._frame}")
        self._kept.append((self._next, sound))
        self._next += len(sound) // self._frame
        while self._kept and self._next - self._kept[0][0] > self._keep + len(sound) // self._frame:
            self._kept.popleft()
        await self._pump()

    async def lose(self, samples: int) -> None:
        """As many samples were lost before they could be sent."""
        self._next += samples
        await self._pump()

    async def change_rules(self, **rules: Any) -> None:
        """Change rules of the detector: ``threshold=0.7``, or ``**{"class": {"speech": {"threshold": 0.8}}}``."""
        await self._say({"type": "rules", "rules": rules})

    async def flush(self) -> None:
        """No more sound: the last messages come, then ``end``."""
        self._flushed = True
        await self._pump()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Messages up to ``end``, each once.

        Raises:
            StreamRefused: the station ended the stream, or cannot be reached for longer than ``patience``.
        """
        from websockets.exceptions import ConnectionClosed

        await self._pump()
        while True:
            assert self._socket is not None
            try:
                message = json.loads(await self._socket.recv())
            except ConnectionClosed:
                self._socket = None
                await self._connect()
                await self._pump()
                if self._begun_again is not None:
                    yield {"type": "begun_again", "position": self._begun_again}
                    self._begun_again = None
                continue
            if message["type"] == "error" and message["error"]["code"] not in _AGAIN:
                raise StreamRefused(**message["error"])
            if message["type"] == "lag":
                while self._kept and self._end(self._kept[0]) <= message["kept"]:
                    self._kept.popleft()
            if "sequence" in message:
                await self._say({"type": "ack", "sequence": message["sequence"]})
                if message["sequence"] <= self._received:
                    continue
                self._received = message["sequence"]
            yield message
            if message["type"] == "end":
                return

    def _end(self, kept: tuple[int, bytes]) -> int:
        return kept[0] + len(kept[1]) // self._frame

    async def _pump(self) -> None:
        """Send what the station does not have, in order."""
        async with self._sending:
            for start, sound in list(self._kept):
                if self._socket is None or start + len(sound) // self._frame <= self._cursor:
                    continue
                await self._skip_to(start)
                socket = self._socket
                rest = sound[(self._cursor - start) * self._frame :]
                if not await self._send(rest) or self._socket is not socket:
                    return
                self._cursor = start + len(sound) // self._frame
            await self._skip_to(self._next)
            if self._flushed:
                await self._say({"type": "flush"})

    async def _skip_to(self, sample: int) -> None:
        """Tell the station that sound before ``sample`` does not exist any more."""
        socket = self._socket
        gap = {"type": "gap", "samples": sample - self._cursor}
        if sample > self._cursor and await self._say(gap) and self._socket is socket:
            self._cursor = sample

    async def _say(self, message: Message) -> bool:
        return await self._send(json.dumps(message))

    async def _send(self, data: bytes | str) -> bool:
        """False where the connection is broken; whoever iterates makes another."""
        from websockets.exceptions import ConnectionClosed

        if self._socket is None:
            return False
        try:
            await self._socket.send(data)
        except ConnectionClosed:
            return False
        return True

    async def _connect(self) -> None:
        """Say hello, again and again with longer pauses."""
        pause = _FIRST_PAUSE
        give_up = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                if await self._try():
                    return
                problem = "it ended the connection"
            except OSError as error:
                problem = error.strerror or str(error) or type(error).__name__
            if asyncio.get_running_loop().time() + pause > give_up:
                raise StreamRefused("unreachable", f"{self.url} cannot be reached: {problem}")
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def _try(self) -> bool:
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
        except ImportError as error:
            raise BackendMissing(
                f"a client needs websockets, which is not here ({error}); run: {install_command('server')}",
                backend="websockets",
            ) from None
        hello = dict(self._hello)
        if self.ready:
            hello |= {"resume": self.ready["resume"], "received": self._received, "start": None}
        try:
            socket = await connect(self.url, compression=None, max_size=None, close_timeout=1)
        except InvalidURI as error:
            raise StreamRefused("no_station", f"{self.url}: {error}") from None
        except InvalidHandshake as error:
            if isinstance(error, InvalidStatus) and error.response.status_code < 500:
                raise StreamRefused(
                    "no_station", f"{self.url} is no station, or lets nobody in: {error}"
                ) from None
            return False  # a proxy whose station is away, or a connection that broke at once
        try:
            await socket.send(json.dumps(hello))
            answer = json.loads(await socket.recv())
        except ConnectionClosed:
            return False
        if answer["type"] == "ready":
            self.ready, self._socket, self._cursor = answer, socket, answer["position"]
            return True
        await socket.close()
        code = answer["error"]["code"]
        if self.ready and code in _ANEW:
            self._begin_again()
        elif code not in _AGAIN:
            raise StreamRefused(**answer["error"])
        return False

    def _begin_again(self) -> None:
        """The station knows nothing of the stream any more: another one, from the oldest sound that is still here."""
        self._begun_again = self._kept[0][0] if self._kept else self._next
        self._hello["start"] = self._begun_again
        self.ready, self._received = {}, 0


def listen(url: str, blocks: Iterable[bytes], **options: Any) -> Iterator[Message]:
    """The messages about ``blocks`` of sound, one after the other.

    Args:
        url: of the station.
        blocks: of samples, such as a microphone's; waited for in a thread.
        options: as for `StreamClient`.

    Raises:
        StreamRefused: the station does not take the stream.
    """
    source = iter(blocks)

    async def feed(client: StreamClient) -> None:
        while (block := await asyncio.to_thread(next, source, None)) is not None:
            await client.send(block)
        await client.flush()

    with asyncio.Runner() as runner:
        client = runner.run(_opened(url, options))
        messages = aiter(client)
        feeding = runner.get_loop().create_task(feed(client))
        try:
            while (message := runner.run(_next(messages, feeding))) is not None:
                yield message
        finally:
            feeding.cancel()
            runner.run(client.__aexit__())


async def _opened(url: str, options: dict[str, Any]) -> StreamClient:
    return await StreamClient(url, **options).__aenter__()


async def _next(messages: AsyncIterator[Message], feeding: asyncio.Task[None]) -> Message | None:
    """The next message, None at the end; what keeps the sound from coming is raised here."""
    message = asyncio.ensure_future(anext(messages, None))
    if not feeding.done():
        await asyncio.wait({message, feeding}, return_when=asyncio.FIRST_COMPLETED)
    if feeding.done() and feeding.exception() is not None:
        message.cancel()
        feeding.result()
    return await message
