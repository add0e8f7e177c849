"""``/v1/stream``: sound from outside over a WebSocket, and what is heard in it back.

client_messages.py, server_messages.py  what is said, as types
codes.py            why a stream ends, with close codes
sound_formats.py    binary messages to samples
overrides.py        rules that a client asks for
outbox.py           replies that wait, and those that may have to be sent again
checksum.py         what proves that all rows are those of an offline pass
live_stream.py      one stream, over one connection or several in turn
connection.py       one WebSocket
flow.py             how far a sender may be ahead of real time
all_streams.py      all of them; resume_tokens.py and resume_store.py, how they go on after a broken connection
endpoint.py         the route
server_protocol.py  what uvicorn lacks
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, WebSocketRoute

from stream.server.socket.all_streams import Streams
from stream.server.socket.endpoint import StreamEndpoint

if TYPE_CHECKING:
    from stream.server.access.access import Access
    from stream.server.http.draining import Draining
    from stream.server.limits import Limits

__all__ = ["StreamEndpoint", "Streams", "routes"]


def routes(streams: Streams, access: Access, limits: Limits, draining: Draining) -> list[BaseRoute]:
    """What serves ``/v1/stream``."""
    endpoint = StreamEndpoint(streams, access, limits, draining)
    return [WebSocketRoute("/v1/stream", endpoint, name="stream")]
