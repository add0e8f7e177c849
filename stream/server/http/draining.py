"""Draining: that the end has begun, for everything that stays open."""

from __future__ import annotations

import asyncio


class Draining:
    """Set once, when the station is asked to end. What stays open waits for it, tells its peer, and leaves.

    Used on the event loop.
    """

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether the end has begun."""
        return self._begun.is_set()

    def begin(self) -> None:
        """The end begins. A second call does nothing."""
        self._begun.set()

    async def wait(self) -> None:
        """Return when the end has begun."""
        await self._begun.wait()
