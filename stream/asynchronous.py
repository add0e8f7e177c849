"""Steps that block, for ``async for``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_thread(steps: Generator[T], stop: Callable[[], object]) -> AsyncGenerator[T, None]:
    """Each step in a thread, so that the event loop goes on. Leaving the loop ends the steps.

    Args:
        steps: taken one at a time, each when the one before has been used.
        stop: makes a step that waits return soon; called from the event loop.
    """
    waiting: asyncio.Future[T | None] | None = None
    try:
        while True:
            waiting = asyncio.ensure_future(asyncio.to_thread(next, steps, None))
            step = await asyncio.shield(waiting)
            if step is None:
                return
            yield step
    finally:
        stop()
        if waiting is not None and not waiting.done():  # cancelled: let the thread leave the step first
            with suppress(Exception):
                await waiting
        await asyncio.shield(asyncio.to_thread(steps.close))
