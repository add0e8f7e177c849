"""However the network cuts what a client sends, and whichever way it goes inside, the stream hears the same."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.socket.connection import Connection
from stream.server.socket.server_protocol import StreamProtocol
from tests.benchmarks.load_clients import BINARY, CLOSE, PING, TEXT, frame
from tests.support.served import ServedApp
from tests.support.stream_peer import DEADLINE, Offline, as_s16, from_s16, noise

SOUND = as_s16(noise(3.0))
SIZE = 3200  # bytes of a message


class Wire:
    """A connection whose bytes a test cuts as it likes."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), DEADLINE)
        self.socket.sendall(
            b"GET /v1/stream HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._came = b""
        while b"\r\n\r\n" not in self._came:
            self._came += self._more()
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0]

    def _more(self) -> bytes:
        data = self.socket.recv(65536)
        assert data, "the station hung up"
        return data

    def until(self, *kinds: str) -> dict[str, Any]:
        """The next text message of one of these types; "close" for the end."""
        while True:
            while len(self._came) < 2 or len(self._came) < self._size():
                self._came += self._more()
            size, begin = self._size(), 4 if self._came[1] == 126 else 2
            kind, payload, self._came = self._came[0] & 15, self._came[begin:size], self._came[size:]
            if kind == CLOSE:
                assert "close" in kinds, payload
                return {"type": "close", "code": int.from_bytes(payload[:2], "big")}
            if kind == TEXT and (message := json.loads(payload))["type"] in kinds:
                return dict(message)

    def _size(self) -> int:
        short = self._came[1]
        assert short < 127
        return 4 + int.from_bytes(self._came[2:4], "big") if short == 126 else 2 + short


@pytest.fixture
def wire(station: ServedApp) -> Iterator[Wire]:
    wire = Wire(station.url)
    wire.socket.sendall(frame(TEXT, b'{"type":"hello","version":1,"rate":16000,"scores":"all"}'))
    wire.until("ready")
    yield wire
    wire.socket.close()


def heard(model: Model, chunks: list[Chunk]) -> str:
    return Offline(model, chunks).checksum


def messages() -> list[bytes]:
    return [frame(BINARY, SOUND[at : at + SIZE]) for at in range(0, len(SOUND), SIZE)]


def fragments(payload: bytes) -> bytes:
    """One message as three frames, with a ping between them."""
    first, last = frame(BINARY, payload[:1000]), frame(0, payload[2000:])
    middle = frame(0, payload[1000:2000])
    return (
        bytes([first[0] & 0x7F])
        + first[1:]
        + bytes([middle[0] & 0x7F])
        + middle[1:]
        + frame(PING, b"hi")
        + last
    )


@pytest.mark.parametrize("seed", range(6))
def test_any_cut_of_the_bytes(wire: Wire, model: Model, seed: int) -> None:
    """Frames that come in pieces or many at once, whole or as fragments, with pings and other messages between."""
    rng = np.random.default_rng(seed)
    chunks, at, data = [], 0, b""
    for i, message in enumerate(messages()):
        payload = SOUND[i * SIZE : (i + 1) * SIZE]
        turn = rng.random()
        if turn < 0.15:
            lost = int(rng.integers(1, 30_000))
            data += frame(TEXT, json.dumps({"type": "gap", "samples": lost}).encode())
            at += lost
        elif turn < 0.25:
            data += frame(PING, b"there?") + frame(TEXT, b'{"type":"ping","id":7}')
        data += fragments(payload) if rng.random() < 0.2 else message
        chunks.append(Chunk(from_s16(payload), at, 16000))
        at += len(payload) // 2
    data += frame(TEXT, b'{"type":"flush"}')
    cuts = np.sort(rng.integers(0, len(data), [3, 40, 400][seed % 3])).tolist()
    for low, high in zip([0, *cuts], [*cuts, len(data)], strict=True):
        wire.socket.sendall(data[low:high])
    assert wire.until("end")["checksum"] == heard(model, chunks)


def test_sound_that_is_wrong_is_refused_on_the_short_way(wire: Wire) -> None:
    wire.socket.sendall(frame(BINARY, SOUND[:SIZE]))
    wire.until("scores")
    wire.socket.sendall(frame(BINARY, b"odd"))
    assert wire.until("error")["error"]["code"] == "bad_sound"
    assert wire.until("close")["code"] >= 4000


@pytest.mark.parametrize("unmasked", [True, False], ids=["not masked", "too large"])
def test_frames_that_break_the_protocol(wire: Wire, unmasked: bool) -> None:
    wire.socket.sendall(frame(BINARY, SOUND[:SIZE]))
    wire.until("scores")
    wire.socket.sendall(b"\x82\x02hi" if unmasked else b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask")
    assert wire.until("close")["code"] == (1002 if unmasked else 1009)


def test_live_sound_and_its_replies_go_the_short_way(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bool] = []
    taken: list[bytes] = []
    say, hear = StreamProtocol.say, Connection._hear_at_once

    def taking(self: Connection, data: bytes) -> bool:
        taken.append(data)
        return hear(self, data)

    def counted(self: StreamProtocol, text: bytes) -> bool:
        said.append(say(self, text))
        return said[-1]

    monkeypatch.setattr(StreamProtocol, "say", counted)
    monkeypatch.setattr(Connection, "_hear_at_once", taking)
    for message in messages():
        wire.socket.sendall(message)
        wire.until("scores")
    assert said.count(True) > 10
    assert b"".join(taken) == SOUND[SIZE:]  # the first message of a stream goes the usual way
    monkeypatch.setattr(StreamProtocol, "say", lambda self, text: False)  # it takes nothing more
    wire.socket.sendall(messages()[0] + frame(TEXT, b'{"type":"flush"}'))
    wire.until("scores")
    wire.until("end")
