"""A station that stops hands its streams over, and one that dies loses none that a shared store knows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.limits import Limits
from stream.server.socket import endpoint
from stream.server.socket.resume_store import MemoryStore, SavedStream
from tests.server.socket.test_resume import Returning
from tests.support.command import DEADLINE_SECONDS
from tests.support.served import ServedApp
from tests.support.stream_peer import Offline, Peer, as_s16, from_s16, noise, told_events

LENIENT = Limits(lead_seconds=86_400, backlog_seconds=3600, drain_seconds=5)


class SharedStore(MemoryStore):
    """As if in another process: what it is given must be bytes."""

    shared = True


@pytest.mark.parametrize("rate", [16_000, 44_100, 8_000])
def test_a_rolling_update_loses_no_sound(serve: Callable[..., ServedApp], model: Model, rate: int) -> None:
    store = MemoryStore()
    stations = [serve(LENIENT, resume_store=store) for _ in range(3)]
    data = as_s16(noise(6, rate, seed=60))
    offline = Offline(model, [Chunk(from_s16(data), 0, rate)])
    client = Returning(stations[0], rate)
    rng = np.random.default_rng(0)
    at, total = 0, len(data) // 2
    for number in range(3):
        until = total * (number + 1) // 3 if number < 2 else total
        while at < until:
            count = min(int(rng.integers(1, rate // 3)), until - at)
            client.peer.say(data[2 * at : 2 * (at + count)])
            at += count
        if number < 2:
            stopping = threading.Thread(target=stations[number].server.drain, daemon=True)
            stopping.start()
            messages = client.peer.rest()
            stopping.join(20)
            farewell = messages[-1]
            assert farewell["type"] == "reconnect"
            assert client.peer.closed == 1012
            assert farewell["resume"] == client.ready["resume"]
            ready = client.come_back(stations[number + 1])
            assert ready["position"] == farewell["position"]
            at = ready["position"]
    end = client.end()
    assert (end["checksum"], end["lost"], end["position"]) == (offline.checksum, 0, total)
    assert end["rows"] == len(offline.scores)
    assert told_events(client.told) == offline.told


def test_a_client_that_kept_nothing_has_its_gap_marked(serve: Callable[..., ServedApp], model: Model) -> None:
    store = MemoryStore()
    first, second = serve(LENIENT, resume_store=store), serve(LENIENT, resume_store=store)
    sound = noise(4, seed=61)
    client = Returning(first, format="f32le")
    client.peer.say(sound[:32_000].tobytes())
    client.peer.say({"type": "ping"})
    client.peer.until("pong")
    first.server.drain()
    client.peer.rest()
    client.come_back(second, start=48_000)
    client.peer.say(sound[48_000:].tobytes())
    end = client.end()
    offline = Offline(model, [Chunk(sound[:32_000], 0, 16_000), Chunk(sound[48_000:], 48_000, 16_000)])
    assert (end["checksum"], end["lost"]) == (offline.checksum, 16_000)


def test_a_stream_whose_connection_is_broken_is_handed_over_too(
    serve: Callable[..., ServedApp], model: Model
) -> None:
    store = MemoryStore()
    first, second = serve(LENIENT, resume_store=store), serve(LENIENT, resume_store=store)
    sound = noise(4, seed=62)
    client = Returning(first, format="f32le")
    client.peer.say(sound[:30_000].tobytes())
    client.peer.say({"type": "ping"})
    client.peer.until("pong")
    client.peer.cut()
    first.stop()
    assert client.come_back(second)["position"] == 30_000
    client.peer.say(sound[30_000:].tobytes())
    assert client.end()["checksum"] == Offline(model, [Chunk(sound, 0, 16_000)]).checksum


def test_who_comes_while_the_station_stops_is_sent_on(serve: Callable[..., ServedApp]) -> None:
    app = serve(LENIENT)
    with Peer(app.url) as early, Peer(app.url) as silent:
        early.hello()
        app.server.drain()
        (error,) = silent.rest()
        assert (error["error"]["code"], silent.closed) == ("draining", 1012)


def test_a_process_that_dies_loses_nothing_that_is_sent_again(
    serve: Callable[..., ServedApp], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "CHECKPOINT_SECONDS", 0.02)
    store = SharedStore()
    first, second = serve(LENIENT, resume_store=store), serve(LENIENT, resume_store=store)
    sound = noise(6, seed=63)
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    client = Returning(first, format="f32le")
    at, kept = 0, 0
    while kept < 20_000:
        client.peer.say(sound[at : at + 1600].tobytes())
        at += 1600
        client.peer.say({"type": "ping"})
        while (message := client.peer.next())["type"] != "pong":
            kept = message["kept"] if message["type"] == "lag" else kept
    # As if killed: the connection is gone, and so is all that came behind the last checkpoint. More came than it has.
    first.server.config.app.state.streams.save = not_at_all  # type: ignore[union-attr]
    for _ in range(10):
        client.peer.say(sound[at : at + 1600].tobytes())
        at += 1600
    client.peer.say({"type": "ping"})
    client.peer.until("pong")
    client.peer.cut()
    position = client.come_back(second)["position"]
    assert kept <= position < at
    client.peer.say(sound[position:].tobytes())
    end = client.end()
    assert (end["checksum"], end["lost"]) == (offline.checksum, 0)
    assert told_events(client.told) == offline.told


def test_a_stream_that_cannot_be_restored_is_refused(serve: Callable[..., ServedApp]) -> None:
    store = MemoryStore()
    first, second = serve(LENIENT, resume_store=store), serve(LENIENT, resume_store=store)
    with Peer(first.url) as peer:
        token = peer.hello()["resume"]
        peer.say(bytes(3200))
        first.server.drain()
        peer.rest()
    name = token.partition(".")[0]
    until, data = store._saved[name]
    saved = SavedStream.unpack(data)
    for broken, code in (
        (b"nonsense", "failed"),
        (SavedStream(**{**_fields(saved), "snapshot": b"\x80"}).pack(), "failed"),
        (SavedStream(**{**_fields(saved), "model_sha256": "0" * 64}).pack(), "resume_differs"),
    ):
        store._saved[name] = (until, broken)
        with Peer(second.url) as peer:
            assert peer.hello(resume=token)["error"]["code"] == code
    store._saved[name] = (until, data)
    with Peer(second.url) as peer:  # a wrong secret takes nothing away
        assert peer.hello(resume=token + "x")["error"]["code"] == "resume_unknown"
    with Peer(second.url) as peer:
        assert peer.hello(resume=token)["resumed"]


async def not_at_all(stream: object) -> bool:
    return False


def _fields(saved: SavedStream) -> dict[str, object]:
    return {name: getattr(saved, name) for name in saved.__struct_fields__}


def test_a_stream_that_is_over_is_not_saved_and_nobody_waits_for_it(serve: Callable[..., ServedApp]) -> None:
    station = serve(LENIENT, resume_store=SharedStore())
    client = Returning(station)
    client.peer.say({"type": "ping"})
    client.peer.until("pong")
    streams, loop = station.server._app.state.streams, station.server._loop
    assert loop is not None
    (stream,) = streams.all
    stream.seat.leave()  # no batch of the pool comes after this
    saved = asyncio.run_coroutine_threadsafe(streams.save(stream), loop)
    assert saved.result(DEADLINE_SECONDS) is False
    streams.forget(stream)
