"""uvicorn's WebSocket protocol, with a way to cut a connection, and an answer to text that is not UTF-8."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from stream.server.socket.connection import ABORT, NOT_UTF8


class StreamProtocol(WebSocketsSansIOProtocol):
    """For ``uvicorn.Config(ws=…)``."""

    def handle_connect(self, event: Any) -> None:
        """A handshake."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort

    def send_receive_event_to_app(self) -> None:
        """A message is whole."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = [NOT_UTF8.encode()]
        super().send_receive_event_to_app()
