"""Who is too fast waits and is then sent away; who reads too slowly loses scores and never events."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.limits import Limits
from stream.server.socket import endpoint
from stream.server.socket.codes import StreamEnds
from stream.server.socket.flow import Flow
from tests.support.served import ServedApp
from tests.support.stream_peer import Offline, Peer, noise, told_events, told_rows


def test_real_time_is_never_kept_waiting() -> None:
    flow = Flow(lead=2, patience=10, credit=30, now=100.0)
    for tick in range(1000):
        assert flow.came(0.1, 100.0 + 0.1 * tick) == 0
    assert flow.came(1.8, 200.0) == 0
    assert not flow.throttled


def test_who_was_away_may_catch_up_by_a_bounded_amount() -> None:
    flow = Flow(lead=2, patience=10, credit=30, now=0.0)
    assert flow.came(30, 1000.0) == 0
    assert flow.came(2, 1000.0) == 0
    assert flow.came(1, 1000.0) == pytest.approx(1)


def test_a_flood_is_held_to_real_time_and_then_ended() -> None:
    flow = Flow(lead=2, patience=10, credit=30, now=0.0)
    now, heard = 0.0, 0.0
    while now < 10:
        heard += 1
        now += flow.came(1.0, now)
        assert heard <= now + 2.01
    with pytest.raises(StreamEnds, match="faster than real time") as ended:
        flow.came(2.0, now + 1)
    assert ended.value.code == "flooding"


def test_a_burst_is_forgiven() -> None:
    flow = Flow(lead=2, patience=10, credit=30, now=0.0)
    assert flow.came(5, 0.0) == pytest.approx(3)
    assert flow.throttled
    assert flow.came(0.1, 4.5) == 0
    assert not flow.throttled
    assert flow.came(20, 20.0) > 0  # another one, much later: patience begins anew


def test_a_flooding_sender_is_told_and_closed(serve: Callable[..., ServedApp]) -> None:
    app = serve(Limits(lead_seconds=0.5, flood_seconds=0.5, resume_seconds=0.1))
    with Peer(app.url) as peer:
        peer.hello()
        for _ in range(8):
            peer.say(bytes(2 * 8000))
        messages = peer.rest()
        assert next(each["state"] for each in messages if each["type"] == "status") == "throttled"
        assert messages[-1]["error"]["code"] == "flooding"
        assert peer.closed == 4429


@pytest.mark.parametrize("message", [b"", '{"type":"ping"}', '{"type":"ack","sequence":0}'])
def test_a_flood_of_messages_without_sound_is_one(
    serve: Callable[..., ServedApp], message: str | bytes
) -> None:
    app = serve(Limits(lead_seconds=0.2, flood_seconds=0.2, resume_seconds=0.1))
    with Peer(app.url) as peer:
        peer.hello()
        with suppress(ConnectionClosed):
            for _ in range(5000):
                peer.say(message)
        messages = peer.rest()
        assert messages[-1]["error"]["code"] == "flooding"
        assert peer.closed == 4429


def test_a_station_that_is_behind_reads_no_more_until_it_is_not(
    serve: Callable[..., ServedApp], model: Model
) -> None:
    app = serve(Limits(lead_seconds=86_400, backlog_seconds=0.01))
    sound = noise(8, seed=50)
    with Peer(app.url) as peer:
        peer.hello(format="f32le")
        for at in range(0, len(sound), 32_000):
            peer.say(sound[at : at + 32_000].tobytes())
        assert peer.end()["checksum"] == Offline(model, [Chunk(sound, 0, 16_000)]).checksum
    states = [each["state"] for each in peer.got if each["type"] == "status"]
    assert states[:2] == ["behind", "listening"]


def slow_peer(app: ServedApp) -> Peer:
    """One whose side takes only little before it is read."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.settimeout(20)
    narrow.connect(app.address)
    return Peer(app.url, sock=narrow, max_queue=1)


def send_unread(peer: Peer, sound: bytes, step: int = 6400) -> None:
    for at in range(0, len(sound), step):
        peer.say(sound[at : at + step])


def test_a_slow_reader_loses_scores_and_no_event(serve: Callable[..., ServedApp], model: Model) -> None:
    app = serve(Limits(lead_seconds=86_400, backlog_seconds=3600, replies=100_000))
    sound = noise(60, seed=51)
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    streams = app.server.config.app.state.streams  # type: ignore[union-attr]
    with slow_peer(app) as peer:
        peer.hello(format="f32le", scores="all", exact=True)
        send_unread(peer, sound.tobytes())
        deadline = time.monotonic() + 60
        while streams.all[0].rows < 5900 and time.monotonic() < deadline:
            time.sleep(0.01)
        end = peer.end()
    samples, _ = told_rows(peer.got)
    assert end["left_out"] > 1000
    assert len(samples) + end["left_out"] == end["rows"] == len(offline.scores)
    assert set(samples.tolist()) <= set(offline.scores.sample.tolist())
    assert any(each["left_out"] for each in peer.got if each["type"] == "lag")
    assert end["checksum"] == offline.checksum
    assert told_events(peer.got) == offline.told


def test_a_reader_that_reads_nothing_is_closed_and_its_events_are_kept(
    serve: Callable[..., ServedApp], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(endpoint, "ROUND_SECONDS", 0.05)
    app = serve(Limits(lead_seconds=86_400, backlog_seconds=3600, replies=20, reply_bytes=1 << 20))
    sound = noise(120, seed=52)
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    peer = slow_peer(app)
    ready = peer.hello(format="f32le", scores="all", exact=True)
    streams = app.server.config.app.state.streams  # type: ignore[union-attr]
    at, deadline = 0, time.monotonic() + 60
    with suppress(OSError, ConnectionClosed):
        while not streams.parked and at < len(sound) and time.monotonic() < deadline:
            peer.say(sound[at : at + 16_000].tobytes())
            at += 16_000
            time.sleep(0.01)
    while not streams.parked and time.monotonic() < deadline:
        time.sleep(0.01)
    (stream,) = streams.all
    known = 0  # of the first connection nothing was read
    with Peer(app.url) as second:
        again = second.hello(format="f32le", scores="all", exact=True, resume=ready["resume"], received=known)
        assert again["resumed"], again
        position = again["position"]
        told = stream.outbox.sequence
        second.say({"type": "ping"})
        second.until("pong")
        sequences = [each["sequence"] for each in second.got if "sequence" in each]
        assert sequences == list(range(1, told + 1))
        assert told > 20
        send_unread(second, sound[position:].tobytes())
        for each in list(second.got):
            if "sequence" in each:
                second.say({"type": "ack", "sequence": each["sequence"]})
        end = second.end()
    assert end["checksum"] == offline.checksum
    assert told_events(second.got) == offline.told
    peer.socket.socket.close()
