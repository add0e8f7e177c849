"""A client that goes from one station to another and back finds its stream as it left it last."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.cluster.ray_store import Shelf
from stream.server.socket import endpoint
from tests.server.socket.test_resume import Returning
from tests.support.served import ServedApp
from tests.support.stream_peer import Offline, noise, told_events

RATE = 16_000


class ShelfStore:
    """A replica's way to a shelf that others use too."""

    shared = True

    def __init__(self, shelf: Shelf, owner: str) -> None:
        self._shelf, self._owner = shelf, owner

    async def put(self, stream: str, saved: bytes, seconds: float) -> None:
        self._shelf.put(self._owner, [(stream, saved, seconds)])

    async def take(self, stream: str) -> bytes | None:
        return self._shelf.take(self._owner, stream, 60)

    async def drop(self, stream: str) -> None:
        self._shelf.drop(self._owner, stream)


def say_until_kept(client: Returning, sound: bytes, at: int, kept: int) -> int:
    """Send from sample ``at`` on, until the station has saved what came before ``kept``."""
    while True:
        client.peer.say(sound[4 * at : 4 * (at + 1600)])
        at += 1600
        client.peer.say({"type": "ping"})
        while (message := client.peer.next())["type"] != "pong":
            if message["type"] == "lag" and message["kept"] >= kept:
                return at


def test_the_newest_state_counts_wherever_older_ones_lie(
    serve: Callable[..., ServedApp], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "CHECKPOINT_SECONDS", 0.02)
    shelf = Shelf(1 << 24)
    first, second = (serve(resume_store=ShelfStore(shelf, name)) for name in ("first", "second"))
    sound = noise(300, seed=64)
    data = sound.astype("<f4").tobytes()
    client = Returning(first, format="f32le")
    at = say_until_kept(client, data, 0, RATE)
    client.peer.cut()
    at = client.come_back(second)["position"]
    at = say_until_kept(client, data, at, at + RATE)
    client.peer.cut()
    at = client.come_back(first)["position"]
    at = say_until_kept(client, data, at, at + RATE)
    end = client.end()
    offline = Offline(model, [Chunk(sound[:at], 0, RATE)])
    assert (end["checksum"], end["lost"]) == (offline.checksum, 0)
    assert told_events(client.told) == offline.told
