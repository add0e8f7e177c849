"""Feed: the readings of a source, taken once for all who watch it, and not on the event loop."""

from __future__ import annotations

import asyncio
import time
import uuid

from stream.telemetry import Readings, Telemetry

FRESH_SECONDS = 0.05  # readings that are younger are shared


class Feed:
    """Reads one telemetry for any number of watchers.

    Attributes:
        telemetry: of the source.
        epoch: a name of its own. Column numbers go on within it.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self.epoch = uuid.uuid4().hex[:12]
        self._lock = asyncio.Lock()
        self._readings: Readings | None = None
        self._read_at = 0.0

    async def read(self) -> Readings:
        """How things stand."""
        async with self._lock:
            if self._readings is None or time.monotonic() - self._read_at > FRESH_SECONDS:
                self._readings = await asyncio.to_thread(self.telemetry.read)
                self._read_at = time.monotonic()
            return self._readings


class Feeds:
    """The feeds of all sources by name; a source that has begun anew has a new one."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}

    def of(self, name: str, telemetry: Telemetry) -> Feed:
        """The feed of a source."""
        feed = self._feeds.get(name)
        if feed is None or feed.telemetry is not telemetry:
            feed = self._feeds[name] = Feed(telemetry)
        return feed

    def keep(self, names: list[str]) -> None:
        """Forget all others."""
        for name in self._feeds.keys() - set(names):
            del self._feeds[name]
