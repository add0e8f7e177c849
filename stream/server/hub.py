"""Hub: what the sources of a station say, handed to everyone who watches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection

from stream.server.hub_message import HubKind, HubMessage
from stream.server.watcher import Watcher

ROOM_MESSAGES = 512  # scores and levels that wait for a watcher; older ones are dropped
EVENT_ROOM_MESSAGES = 4096  # events, gaps and changes; with more of them waiting, a watcher is closed


class Hub:
    """Hands every message to the watchers that asked for its kind and source. From any thread.

    Nothing here waits: a slow watcher loses scores and levels, which is counted and told, and never an event, a gap or
    a change of state; when more of those wait than it has room for, it is closed and told why.
    """

    def __init__(self) -> None:
        self._watchers: tuple[Watcher, ...] = ()
        self._wanted: dict[str, frozenset[str] | None] = {}  # kind -> sources; None = all
        self._closed = ""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._watchers)

    def wants(self, kind: HubKind, source: str) -> bool:
        """Whether somebody watches this just now, so that nobody makes what nobody reads."""
        wanted = self._wanted  # replaced whole, so no lock is needed
        if kind not in wanted:
            return False
        sources = wanted[kind]
        return sources is None or source in sources

    def publish(self, message: HubMessage) -> None:
        """Hand a message on."""
        for watcher in self._watchers:
            if not watcher.put(message):
                self.leave(watcher)

    def watch(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        kinds: Collection[HubKind],
        sources: Collection[str] | None = None,
        room: int = ROOM_MESSAGES,
        event_room: int = EVENT_ROOM_MESSAGES,
        scores_hz: float | None = None,
    ) -> Watcher:
        """Watch from now on: iterate what this returns with ``async for``, and close it (it is a context manager).

        Args:
            loop: in which it is iterated.
            kinds: of messages.
            sources: by name; None = all, those that come later too.
            room: scores and levels that may wait.
            event_room: other messages that may wait.
            scores_hz: at most so many rows of scores for each second of a source's sound; None = all.
        """
        watcher = Watcher(
            loop,
            self.leave,
            kinds=frozenset(kinds),
            sources=None if sources is None else frozenset(sources),
            room=room,
            event_room=event_room,
            scores_hz=scores_hz,
        )
        with self._lock:
            if self._closed:
                watcher.end(self._closed)
            else:
                self._watchers = (*self._watchers, watcher)
                self._note_wanted()
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Hand this watcher no more."""
        with self._lock:
            self._watchers = tuple(each for each in self._watchers if each is not watcher)
            self._note_wanted()

    def close(self, reason: str = "the station stops") -> None:
        """End every watcher, behind what waits for it. A second call does nothing."""
        with self._lock:
            watchers, self._watchers = self._watchers, ()
            self._closed = self._closed or reason
            self._note_wanted()
        for watcher in watchers:
            watcher.end(reason)

    def _note_wanted(self) -> None:
        wanted: dict[str, frozenset[str] | None] = {}
        for watcher in self._watchers:
            for kind in watcher.kinds:
                before = wanted.get(kind, frozenset())
                wanted[kind] = None if before is None or watcher.sources is None else before | watcher.sources
        self._wanted = wanted
