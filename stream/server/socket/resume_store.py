"""Where streams wait whose connection broke, outside the process that ran them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from stream.decisions.spec import DetectorSpec
from stream.errors import SnapshotInvalid
from stream.server.socket.client_messages import Hello


class SavedStream(msgspec.Struct, frozen=True, kw_only=True):
    """All that a stream needs to go on in another process, as plain values.

    Attributes:
        stream: its name.
        identity: who it belongs to.
        digests: SHA-256 of the secrets of its resume tokens: the valid ones.
        spent: the same of tokens that were used.
        hello: as the client said it, without tokens.
        model_sha256: which model ran it.
        rules: in force.
        position: of the next sample, at the client's rate.
        heard_until: one past the last sample that came; None where none did.
        snapshot: packed, of the seat: see ``stream.snapshot.pack``. Empty where the stream has ended.
        sequence, acknowledged, kept: of its outbox.
        counts: rows, left out, events, lost samples, repaired samples so far.
        checksum: state of the checksum of its rows.
    """

    stream: str
    identity: str
    digests: tuple[bytes, ...]
    spent: tuple[bytes, ...]
    hello: Hello
    model_sha256: str
    rules: DetectorSpec
    position: int
    heard_until: int | None
    snapshot: bytes
    sequence: int
    acknowledged: int
    kept: tuple[tuple[int, bytes], ...]
    counts: tuple[int, int, int, int, int]
    checksum: tuple[int, int]

    def pack(self) -> bytes:
        """As bytes, for a store in another process."""
        return _ENCODER.encode(self)

    @classmethod
    def unpack(cls, data: bytes) -> SavedStream:
        """What ``pack`` gave.

        Raises:
            SnapshotInvalid: these bytes are something else.
        """
        try:
            return _DECODER.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise SnapshotInvalid(f"saved stream of {len(data)} bytes cannot be read: {error}") from None


_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[SavedStream] = msgspec.msgpack.Decoder(SavedStream)


class ResumeStore(Protocol):
    """Keeps saved streams for a while. A shared one lets a stream go on in another process.

    Its methods raise OutputError where it cannot be reached.

    Attributes:
        shared: whether other processes see it. The station then saves its streams from time to time.
    """

    shared: bool

    async def put(self, stream: str, saved: bytes, seconds: float) -> None:
        """Keep ``saved`` under the name of its stream, in place of what was there, for ``seconds``."""
        ...

    async def take(self, stream: str) -> bytes | None:
        """What is kept, at most once: two that ask at the same time do not both get it."""
        ...

    async def drop(self, stream: str) -> None:
        """Keep it no longer."""
        ...


class MemoryStore:
    """A store in this process, for stations in one process and for tests.

    Args:
        most_bytes: of all streams together; beyond, the oldest are dropped.
        clock: monotonic seconds.
    """

    shared = False

    def __init__(self, most_bytes: int = 64 << 20, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes, self._clock = most_bytes, clock
        self._saved: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0

    async def put(self, stream: str, saved: bytes, seconds: float) -> None:
        """See `ResumeStore`."""
        self._remove(stream)
        self._saved[stream] = (self._clock() + seconds, saved)
        self._bytes += len(saved)
        while self._bytes > self._most_bytes:
            self._remove(next(iter(self._saved)))
        now = self._clock()
        for name in [name for name, (until, _) in self._saved.items() if until <= now]:
            self._remove(name)

    async def take(self, stream: str) -> bytes | None:
        """See `ResumeStore`."""
        found: Any = self._remove(stream)
        return None if found is None or found[0] <= self._clock() else found[1]

    async def drop(self, stream: str) -> None:
        """See `ResumeStore`."""
        self._remove(stream)

    def _remove(self, stream: str) -> tuple[float, bytes] | None:
        found = self._saved.pop(stream, None)
        if found is not None:
            self._bytes -= len(found[1])
        return found
