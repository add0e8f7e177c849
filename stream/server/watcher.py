"""Watcher: what a hub has for one reader, who may be slow."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from stream.outputs.schema import SCHEMA_VERSION, ScoresRecord
from stream.server.hub_message import LOSSY, HubKind, HubMessage, LostRecord

ROUNDING_SECONDS = 1e-6  # of times in records


class Watcher:
    """An asynchronous iterator of `HubMessage`, in the order in which they were published. `Hub.watch` makes it.

    The iteration ends when it is closed from either side, behind what was waiting.

    Args:
        loop: in which it is iterated.
        left: called when the reader closes it.
        kinds, sources, room, event_room, scores_hz: see `Hub.watch`.

    Attributes:
        lost: scores and levels that were dropped, in all.
        reason: why the hub ended it; "" while it did not.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        left: Callable[[Watcher], None],
        *,
        kinds: frozenset[HubKind],
        sources: frozenset[str] | None,
        room: int,
        event_room: int,
        scores_hz: float | None = None,
    ) -> None:
        self.kinds, self.sources = kinds, sources
        self.lost = 0
        self.reason = ""
        self._loop, self._left = loop, left
        self._room, self._event_room = room, event_room
        self._period = None if scores_hz is None else 1.0 / scores_hz
        self._next_at: dict[str, float] = {}  # source -> stream seconds of its next row
        self._minor: deque[tuple[int, HubMessage]] = deque()
        self._major: deque[tuple[int, HubMessage]] = deque()
        self._count = 0
        self._untold = 0
        self._ended = False
        self._waking = False
        self._lock = threading.Lock()
        self._ready = asyncio.Event()

    def put(self, message: HubMessage) -> bool:
        """Take a message that is meant for it, from any thread. False: it is to be given no more."""
        if message.kind not in self.kinds:
            return True
        if self.sources is not None and message.source not in self.sources:
            return True
        with self._lock:
            if self._ended:
                return False
            if message.kind in LOSSY:
                if self._is_too_soon(message):
                    return True
                self._minor.append((self._count, message))
                if len(self._minor) > self._room:
                    self._minor.popleft()
                    self.lost += 1
                    self._untold += 1
            else:
                if len(self._major) >= self._event_room:
                    self._end(f"too slow: {len(self._major)} events and changes wait; read faster")
                    self._wake()
                    return False
                self._major.append((self._count, message))
            self._count += 1
            return self._wake()

    def end(self, reason: str) -> None:
        """The hub has no more for it."""
        with self._lock:
            self._end(reason)
            self._wake()

    def close(self) -> None:
        """Watch no more, from the reader's side. A second call does nothing."""
        self._left(self)
        with self._lock:
            self._ended = True
            self._minor.clear()
            self._major.clear()
        self._ready.set()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> HubMessage:
        while True:
            with self._lock:
                message = self._take()
                ended = self._ended
                if message is None:
                    self._waking = False
                    self._ready.clear()
            if message is not None:
                return message
            if ended:
                raise StopAsyncIteration
            await self._ready.wait()

    def _take(self) -> HubMessage | None:
        """The oldest message."""
        if self._untold:
            lost, self._untold = self._untold, 0
            return HubMessage("status", "", LostRecord(schema=SCHEMA_VERSION, messages=lost))
        minor, major = self._minor, self._major
        if minor and (not major or minor[0][0] < major[0][0]):
            return minor.popleft()[1]
        return major.popleft()[1] if major else None

    def _is_too_soon(self, message: HubMessage) -> bool:
        record = message.record
        if self._period is None or not isinstance(record, ScoresRecord):
            return False
        due, t = self._next_at.get(message.source, record.t), record.t
        if abs(t - due) > self._period:  # behind a gap, or the source has begun anew
            due = t
        elif t < due - ROUNDING_SECONDS:
            return True
        self._next_at[message.source] = due + self._period
        return False

    def _end(self, reason: str) -> None:
        self._ended = True
        self.reason = self.reason or reason

    def _wake(self) -> bool:
        """Wake the reader, once for all that comes before it looks. False: its loop is gone."""
        if self._waking:
            return True
        self._waking = True
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:  # the loop was closed
            self._ended = True
            return False
        return True
