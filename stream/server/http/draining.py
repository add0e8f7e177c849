"""Draining: that the end has begun, for everything that stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Draining:
    """Set once, when the station is asked to end. What stays open waits for it, tells its peer, and leaves.

    Used on the event loop.

    Attributes:
        holders: how many have something to do when the end begins, and are not done with it.
    """

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self.holders = 0

    @property
    def begun(self) -> bool:
        """Whether the end has begun."""
        return self._begun.is_set()

    def begin(self) -> None:
        """The end begins. A second call does nothing."""
        self._begun.set()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """The end waits for this block, as long as it may."""
        self.holders += 1
        try:
            yield
        finally:
            self.holders -= 1

    async def wait(self, seconds: float | None = None) -> None:
        """Return when the end has begun, or after ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._begun.wait()
