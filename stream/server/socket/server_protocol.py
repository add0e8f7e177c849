"""uvicorn's WebSocket protocol, with a short way for sound and replies, a way to cut a connection, and an answer to
text that is not UTF-8.

Through ASGI a message is put into a queue, reading is paused, a task is woken, and reading goes on: some hundred
microseconds, for each of ten messages a second of each stream. The short way is a function call. It is for whole binary
messages while nothing else waits, and for replies while the peer takes them; all else goes the usual way.
"""

from __future__ import annotations

import socket
from asyncio import BaseTransport
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import apply_mask  # type: ignore[attr-defined]  # in C where it was built
from websockets.protocol import State

from stream.server.socket.connection import ABORT, NOT_UTF8, SHORT_WAY

_WHOLE_BINARY = 0x82  # the first byte of a frame that is a whole binary message
_WHOLE_TEXT = b"\x81"

SEND_BYTES = 64 << 10


class StreamProtocol(WebSocketsSansIOProtocol):
    """For ``uvicorn.Config(ws=…)``.

    Attributes:
        hear: is given whole binary messages as they come, and says whether more may come at once; None = they go the
            usual way. Where it says no, an empty message goes the usual way, and reading waits for it to be received.
    """

    hear: Callable[[bytes], bool] | None = None
    _rest: bytearray  # of what came: the beginning of a frame
    _missing = 0  # bytes until it is worth another look
    _cuts = True  # frames apart; no more where one is too large, which the parser finds out

    def connection_made(self, transport: BaseTransport) -> None:
        """There is a connection. What the system keeps for a slow reader is bounded: it is memory, and cannot be sent
        again."""
        super().connection_made(transport)
        self._rest = bytearray()
        with suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)

    def handle_connect(self, event: Any) -> None:
        """A handshake."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort
            scope["extensions"][SHORT_WAY] = self

    def data_received(self, data: bytes) -> None:
        """Something came. The parser beneath is given whole frames, so nobody else needs to know where it stands."""
        if not (self.handshake_initiated and self._cuts):
            super().data_received(data)
            return
        if self._rest:
            self._rest += data
            self._missing -= len(data)
            if self._missing > 0:
                return
            data, self._rest = bytes(self._rest), bytearray()
        at, size = 0, len(data)
        self._missing = 1
        while size - at >= 2:
            length, begin = data[at + 1], at + 6
            masked, length = length & 0x80, length & 0x7F
            if length == 126:
                length, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 8
            elif length == 127:
                length, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 14
            if not masked or length > (self.config.ws_max_size or length):
                self._cuts = False
                super().data_received(data[at:])
                return
            end = begin + length
            if begin > size or end > size:
                self._missing = max(begin, end if begin <= size else 0) - size
                break
            if data[at] == _WHOLE_BINARY and self.hear is not None and self._nothing_waits():
                if not self.hear(apply_mask(data[begin:end], data[begin - 4 : begin])):
                    self.curr_msg_data_type, self.frames = "bytes", [b""]
                    super().send_receive_event_to_app()
            else:
                super().data_received(data[at:end])
            at = end
        if at < size:
            self._rest = bytearray(data[at:])

    def _nothing_waits(self) -> bool:
        return not self.frames and self.queue.empty() and not self.read_paused and not self.close_sent

    def say(self, texts: Sequence[bytes]) -> bool:
        """Send text messages at once. False where the peer does not take them now, or has left: send them as usual."""
        if not self.writable.is_set() or self.close_sent or self.disconnected:
            return False
        if self.conn.state is not State.OPEN or self.transport.is_closing():
            return False
        parts: list[bytes] = []
        for text in texts:
            size = len(text)
            if size < 126:
                head = size.to_bytes(1, "big")
            else:
                head = (
                    b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
                )
            parts += (_WHOLE_TEXT, head, text)
        self.transport.write(b"".join(parts))
        return True

    def send_receive_event_to_app(self) -> None:
        """A message is whole."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = [NOT_UTF8.encode()]
        super().send_receive_event_to_app()
