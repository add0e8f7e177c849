"""A station whose streams are classified by workers: for its clients nothing is different."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import numpy as np
import pytest

from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.access.access import Access
from stream.server.http.app import make_app
from stream.server.limits import Limits
from stream.server.socket.resume_store import MemoryStore
from tests.server.socket.test_resume import Returning
from tests.support.bare_station import BareStation
from tests.support.command import wait_for
from tests.support.served import ServedApp, client_of, served, toy_station
from tests.support.stations import spec
from tests.support.stream_peer import Offline, Peer, as_s16, from_s16, lively_rules, noise, told_events
from tests.support.toy_models import toy_bytes, toy_card

LENIENT = Limits(lead_seconds=86_400, backlog_seconds=3600, drain_seconds=20)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes(toy_card(detector=lively_rules())))


@pytest.fixture
def serve(model: Model) -> Iterator[Callable[..., tuple[ServedApp, BareStation]]]:
    with ExitStack() as stack:

        def start(**options: Any) -> tuple[ServedApp, BareStation]:
            station = BareStation(model, workers=1)
            return stack.enter_context(served(make_app(station, Access(), LENIENT, **options))), station

        yield start


def test_a_stream_goes_on_over_another_connection_and_in_another_station(
    serve: Callable[..., tuple[ServedApp, BareStation]], model: Model
) -> None:
    """Its connection breaks, then its station stops; no sound is lost, and no event told twice."""
    store = MemoryStore()
    first, _ = serve(resume_store=store)
    second, _ = serve(resume_store=store)
    rate = 44_100
    data = as_s16(noise(6, rate, seed=71))
    offline = Offline(model, [Chunk(from_s16(data), 0, rate)])
    client = Returning(first, rate)
    rng = np.random.default_rng(1)
    at, total = 0, len(data) // 2
    for part in range(3):
        until = total * (part + 1) // 3
        while at < until:
            count = min(int(rng.integers(1, rate // 3)), until - at)
            client.peer.say(data[2 * at : 2 * (at + count)])
            at += count
        if part == 0:
            client.peer.cut()
            at = client.come_back()["position"]
        elif part == 1:
            stopping = threading.Thread(target=first.server.drain, daemon=True)
            stopping.start()
            farewell = client.peer.rest()[-1]
            stopping.join(20)
            assert farewell["type"] == "reconnect"
            at = client.come_back(second)["position"]
            assert at == farewell["position"]
    end = client.end()
    assert (end["checksum"], end["lost"], end["position"]) == (offline.checksum, 0, total)
    assert (end["rows"], end["left_out"]) == (len(offline.scores), 0)
    assert told_events(client.told) == offline.told


def test_missing_samples_and_samples_that_are_no_sound(
    serve: Callable[..., tuple[ServedApp, BareStation]], model: Model
) -> None:
    app, _ = serve()
    sound = noise(2, seed=73)
    with Peer(app.url) as other:
        other.hello(format="f32le")
        other.say(sound[:16_000].tobytes())
        holes = sound.copy()
        holes[3000:3010], holes[12_000:13_000] = np.nan, np.nan
        with Peer(app.url) as bad, Peer(app.url) as good:
            bad.hello(format="f32le")
            bad.say(holes.tobytes())
            error = bad.rest()[-1]["error"]
            assert (error["code"], bad.closed) == ("bad_sample", 4400)
            good.hello(format="f32le", missing="nan")
            good.say(holes.tobytes())
            end = good.end()
        assert (end["repaired"], end["lost"]) == (10, 1000)
        assert end["checksum"] == Offline(model, [Chunk(holes, 0, 16_000)]).checksum
        other.say(sound[16_000:].tobytes())
        assert other.end()["checksum"] == Offline(model, [Chunk(sound, 0, 16_000)]).checksum


def test_floats_of_any_size_of_many_streams(
    serve: Callable[..., tuple[ServedApp, BareStation]], model: Model
) -> None:
    app, _ = serve()
    sounds = [
        noise(2, seed=74 + number) * np.float32(size) for number, size in enumerate((1e-9, 1, 3e5, 1e6))
    ]
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(app.url)) for _ in sounds]
        for peer in peers:
            peer.hello(format="f32le")
        for at in range(0, len(sounds[0]), 1600):
            for peer, sound in zip(peers, sounds, strict=True):
                peer.say(sound[at : at + 1600].tobytes())
        for peer, sound in zip(peers, sounds, strict=True):
            assert peer.end()["checksum"] == Offline(model, [Chunk(sound, 0, 16_000)]).checksum


def test_streams_of_a_worker_that_dies_are_told_so(
    serve: Callable[..., tuple[ServedApp, BareStation]], model: Model
) -> None:
    app, station = serve()
    pool: Any = station.pools["toy"]
    pool._patience._first = pool._patience._wait = 0.01
    data = as_s16(noise(2, seed=72))
    with Peer(app.url) as peer:
        peer.hello()
        peer.say(data)
        peer.until("event")
        killed = pool.process_ids
        os.kill(killed[0], signal.SIGKILL)
        error = peer.rest()[-1]
        assert (error["type"], error["error"]["code"], peer.closed) == ("error", "failed", 1011)
        assert "the process that classified it ended" in error["error"]["message"]
    wait_for(lambda: pool.process_ids not in ([], killed), "another worker")
    with Peer(app.url) as peer:
        peer.hello()
        peer.say(data)
        assert peer.end()["checksum"] == Offline(model, [Chunk(from_s16(data), 0, 16_000)]).checksum
    figures = httpx.get(f"{app.url}/metrics").text
    assert 'stream_classify_pool_streams{model="toy"} 0.0' in figures
    assert 'stream_classify_pool_batches_total{model="toy"} 0.0' not in figures


@pytest.mark.parametrize("workers", [0, 1])
def test_sources_count_as_streams_of_their_model(workers: int) -> None:
    sources = [spec(name, "sim:tone?loop=forever") for name in ("yard", "door")]
    with client_of(make_app(toy_station(*sources, workers=workers), Access())) as client:
        wait_for(lambda: figure(client, "pool_streams") == 2, "both sources")
        wait_for(lambda: figure(client, "pool_batched_total") > 2, "what they say")
        with Peer(str(client.base_url)) as peer:
            peer.hello()
            assert figure(client, "pool_streams") == 3
        assert figure(client, "pool_max_streams") == 1000
        client.delete("/v1/sources/door")
        wait_for(lambda: figure(client, "pool_streams") == 1, "the source and the stream to leave")


def figure(client: httpx.Client, name: str) -> float:
    """One of the only model that there is."""
    lines = [
        line
        for line in client.get("/metrics").text.splitlines()
        if line.startswith(f"stream_classify_{name}{{")
    ]
    (line,) = lines
    assert 'model="toy"' in line
    return float(line.split()[-1])
