"""An answer that takes its time, and holds something meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from stream.server.http.answers import NO_STORE

# A proxy in between would otherwise keep pieces back until there are many.
_HEADERS = {**NO_STORE, "X-Accel-Buffering": "no"}


class HeldAnswer(StreamingResponse):
    """Pieces as they come. When the client leaves, they are asked for no more, and what was held is let go.

    Args:
        pieces: of the body.
        held: closed at the end, however it comes.
        media: type.
    """

    def __init__(self, pieces: AsyncGenerator[bytes], held: AsyncExitStack, media: str) -> None:
        super().__init__(pieces, headers=_HEADERS, media_type=media)
        self._pieces, self._held = pieces, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            try:
                await super().__call__(scope, receive, send)
            finally:
                await self._pieces.aclose()

    def __repr__(self) -> Any:
        return f"HeldAnswer({self.media_type})"
