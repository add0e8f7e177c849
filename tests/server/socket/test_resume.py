"""After a broken connection a stream goes on to the sample, for its owner alone, and tells every event once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.access.access import Access
from stream.server.access.tokens import TokenFile, add_token
from stream.server.limits import Limits
from tests.support.command import wait_for
from tests.support.served import ServedApp
from tests.support.stream_peer import Message, Offline, Peer, as_s16, from_s16, noise, told_events


class Returning:
    """A client that connects again whenever a test cuts its connection.

    Attributes:
        peer: the connection that is open.
        told: all messages.
    """

    def __init__(self, app: ServedApp, rate: int = 16_000, **hello: object) -> None:
        self.app, self.rate, self.hello_fields = app, rate, hello
        self.told: list[Message] = []
        self.received = 0
        self.peer = Peer(app.url)
        self.ready = self.peer.hello(rate, **hello)

    def collect(self) -> None:
        for each in self.peer.got:
            sequence = each.get("sequence", 0)
            if sequence:
                assert sequence == self.received + 1, "told twice, or never"
                self.received = sequence
            self.told.append(each)
        self.peer.got.clear()

    def come_back(self, app: ServedApp | None = None, **fields: object) -> Message:
        self.app = app or self.app
        self.collect()
        self.peer = Peer(self.app.url)
        fields = {"resume": self.ready["resume"], "received": self.received, **fields}
        self.ready = self.peer.hello(self.rate, **{**self.hello_fields, **fields})
        assert self.ready["type"] == "ready", self.ready
        assert self.ready["resumed"]
        return self.ready

    def end(self) -> Message:
        end = self.peer.end()
        self.peer.say({"type": "ack", "sequence": end["sequence"]})
        self.peer.rest()
        self.collect()
        assert self.peer.closed == 1000
        return end


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("seed", range(3))
def test_a_connection_that_breaks_anywhere(station: ServedApp, model: Model, rate: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = as_s16(noise(5, rate, seed=20 + seed))
    offline = Offline(model, [Chunk(from_s16(data), 0, rate)])
    client = Returning(station, rate)
    at = 0
    while at < len(data) // 2:
        count = int(rng.integers(1, rate // 5))
        client.peer.say(data[2 * at : 2 * (at + count)])
        at = min(at + count, len(data) // 2)
        if rng.random() < 0.15:
            if rng.random() < 0.7:  # else what was sent last may never arrive
                client.peer.say({"type": "ping"})
                client.peer.until("pong")
            client.peer.cut()
            at = client.come_back()["position"]
    end = client.end()
    assert end["checksum"] == offline.checksum
    assert (end["position"], end["lost"]) == (len(data) // 2, 0)
    assert told_events(client.told) == offline.told
    sequences = [each["sequence"] for each in client.told if "sequence" in each]
    assert sequences == list(range(1, len(sequences) + 1))


@pytest.mark.parametrize("lost", [1, 4000, 40_000])
def test_sound_that_is_not_sent_again_is_a_gap(station: ServedApp, model: Model, lost: int) -> None:
    sound = noise(4, seed=30)
    offline = Offline(model, [Chunk(sound[:32_000], 0, 16_000), Chunk(sound[32_000:], 32_000 + lost, 16_000)])
    client = Returning(station, format="f32le")
    client.peer.say(sound[:32_000].tobytes())
    client.peer.say({"type": "ping"})
    client.peer.until("pong")
    client.peer.cut()
    assert client.come_back(start=32_000 + lost)["position"] == 32_000 + lost
    client.peer.say(sound[32_000:].tobytes())
    end = client.end()
    assert (end["checksum"], end["lost"]) == (offline.checksum, lost)
    assert told_events(client.told) == offline.told
    gaps = [each["record"] for each in client.told if each["type"] == "gap" and not each["record"]["open"]]
    assert [(each["start_sample"], each["samples"]) for each in gaps] == [(32_000, lost)]


def test_sound_that_is_sent_twice_is_heard_once(station: ServedApp, model: Model) -> None:
    sound = noise(3, seed=31)
    client = Returning(station, format="f32le")
    client.peer.say(sound[:20_000].tobytes())
    client.peer.say({"type": "ping"})
    client.peer.until("pong")
    client.peer.cut()
    assert client.come_back(start=11_111)["position"] == 20_000
    for at in range(11_111, len(sound), 3000):
        client.peer.say(sound[at : at + 3000].tobytes())
    assert client.end()["checksum"] == Offline(model, [Chunk(sound, 0, 16_000)]).checksum


def test_what_is_missing_stays_so_over_a_break(station: ServedApp, model: Model) -> None:
    """In a run of NaN, which is a gap however it is cut."""
    sound = noise(3, seed=34)
    sound[18_000:24_000] = np.nan
    client = Returning(station, format="f32le", missing="nan")
    client.peer.say(sound[:20_000].tobytes())
    client.peer.say({"type": "ping"})
    client.peer.until("pong")
    client.peer.cut()
    at = client.come_back()["position"]
    client.peer.say(sound[at:].tobytes())
    end = client.end()
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    assert (end["checksum"], end["lost"]) == (offline.checksum, 6000)
    assert told_events(client.told) == offline.told


def test_a_sample_that_is_no_sound_ends_it_for_good(station: ServedApp) -> None:
    """Also in another connection; its index is that of the stream."""
    sound = noise(2, seed=35)
    sound[21_000] = np.nan
    client = Returning(station, format="f32le")
    client.peer.say(sound[:20_000].tobytes())
    client.peer.say({"type": "ping"})
    client.peer.until("pong")
    client.peer.cut()
    assert client.come_back(start=15_000)["position"] == 20_000
    client.peer.say(sound[15_000:].tobytes())
    error = client.peer.rest()[-1]["error"]
    assert (error["code"], client.peer.closed) == ("bad_sample", 4400)
    assert error["message"].startswith("sample 21000 is nan")
    with Peer(station.url) as late:
        assert late.hello(format="f32le", resume=client.ready["resume"])["error"]["code"] == "resume_unknown"


def test_events_come_again_until_they_are_acknowledged(station: ServedApp, model: Model) -> None:
    sound = noise(3, seed=32)
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    with Peer(station.url) as first:
        ready = first.hello(format="f32le")
        first.say(sound.tobytes())
        first.say({"type": "flush"})
        first.until("end")
        first.say({"type": "ack", "sequence": 3})
        first.say({"type": "ping", "id": 9})
        first.until("pong")
        first.cut()
    with Peer(station.url) as second:
        ready = second.hello(format="f32le", resume=ready["resume"])
        second.until("end")
        second.cut()
    assert told_events(second.got) == offline.told[3:]
    with Peer(station.url) as third:
        third.hello(format="f32le", resume=ready["resume"], received=second.got[-2]["sequence"])
        assert third.next()["type"] == "end"
        third.say({"type": "ack", "sequence": third.got[-1]["sequence"]})
        assert third.rest() == []
        assert third.closed == 1000
    with Peer(station.url) as fourth:
        refused = fourth.hello(format="f32le", resume=third.got[0]["resume"])
        assert refused["error"]["code"] == "resume_unknown"


def test_a_token_is_good_once(station: ServedApp) -> None:
    with Peer(station.url) as first:
        old = first.hello()["resume"]
        first.cut()
    with Peer(station.url) as second:
        new = second.hello(resume=old)["resume"]
        assert new != old
        second.cut()
    with Peer(station.url) as third:  # nobody knows whether the last answer came
        newest = third.hello(resume=old)["resume"]
        third.say({"type": "ping"})
        third.until("pong")
        third.cut()
    for token in (old, new):
        with Peer(station.url) as again:
            assert again.hello(resume=token)["error"]["code"] == "resume_used"
    with Peer(station.url) as forged:
        assert forged.hello(resume=newest[:-1] + "~")["error"]["code"] == "resume_unknown"
    with Peer(station.url) as last:
        assert last.hello(resume=newest)["resumed"]


def test_another_connection_takes_over(station: ServedApp, model: Model) -> None:
    sound = noise(2, seed=33)
    with Peer(station.url) as first, Peer(station.url) as second:
        ready = first.hello(format="f32le")
        first.say(sound[:10_000].tobytes())
        first.say({"type": "ping"})
        first.until("pong")
        assert second.hello(format="f32le", resume=ready["resume"])["position"] == 10_000
        (error,) = [each for each in first.rest() if each["type"] == "error"]
        assert (error["error"]["code"], first.closed) == ("taken_over", 4409)
        second.say(sound[10_000:].tobytes())
        assert second.end()["checksum"] == Offline(model, [Chunk(sound, 0, 16_000)]).checksum


@pytest.mark.parametrize(
    "changed",
    [
        {"rate": 8000},
        {"format": "f32le"},
        {"channels": 2},
        {"missing": "nan"},
        {"scores": "all"},
        {"name": "other"},
    ],
)
def test_a_stream_goes_on_as_it_began(station: ServedApp, changed: dict[str, object]) -> None:
    with Peer(station.url) as first:
        token = first.hello()["resume"]
        first.cut()
    with Peer(station.url) as second:
        assert second.hello(**{"resume": token, **changed})["error"]["code"] == "resume_differs"  # type: ignore[arg-type]
    with Peer(station.url) as third:
        assert third.hello(resume=token)["type"] == "ready"


def test_who_is_done_leaves_nothing_behind(station: ServedApp) -> None:
    with Peer(station.url) as first:
        token = first.hello()["resume"]
        first.socket.close(1000)
    with Peer(station.url) as second:
        assert second.hello(resume=token)["error"]["code"] == "resume_unknown"


def test_a_stream_waits_only_so_long(serve: Callable[..., ServedApp]) -> None:
    app = serve(Limits(resume_seconds=0.05))
    with Peer(app.url) as first:
        token = first.hello()["resume"]
        first.cut()
    streams = app.server.config.app.state.streams  # type: ignore[union-attr]
    wait_for(lambda: not streams.all, "the stream to be given up")
    with Peer(app.url) as second:
        assert second.hello(resume=token)["error"]["code"] == "resume_expired"


def test_only_so_many_streams_wait(serve: Callable[..., ServedApp]) -> None:
    app = serve(Limits(kept_streams=2))
    streams = app.server.config.app.state.streams  # type: ignore[union-attr]
    tokens = []
    for number in range(3):
        with Peer(app.url) as peer:
            tokens.append(peer.hello()["resume"])
            peer.cut()
        wait_for(lambda number=number: streams.parked == min(2, number + 1), "the stream to wait")  # type: ignore[misc]
    codes = []
    for token in tokens:
        with Peer(app.url) as peer:
            codes.append(peer.hello(resume=token).get("error", {}).get("code", "ready"))
    assert codes == ["resume_expired", "ready", "ready"]


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[Access, dict[str, str]]:
    path = tmp_path / "tokens"
    names = {name: add_token(path, name, ["listen"]) for name in ("anna", "bert")}
    names["reader"] = add_token(path, "reader", ["read"])
    return Access(TokenFile(path)), names


def test_a_stream_is_its_owners(
    serve: Callable[..., ServedApp], tokens: tuple[Access, dict[str, str]]
) -> None:
    access, names = tokens
    app = serve(access=access)
    with Peer(app.url) as first:
        resume = first.hello(token=names["anna"])["resume"]
        first.cut()
    for fields, code in (
        ({}, "no_token"),
        ({"token": "nonsense"}, "wrong_token"),
        ({"token": names["reader"]}, "scope_missing"),
        ({"token": names["bert"]}, "resume_not_yours"),
    ):
        with Peer(app.url) as other:
            assert other.hello(resume=resume, **fields)["error"]["code"] == code
            other.rest()
            assert other.closed in (4401, 4403)
    header = {"Authorization": f"Bearer {names['anna']}"}
    with Peer(app.url, additional_headers=header) as owner:
        assert owner.hello(resume=resume)["resumed"]


def test_streams_know_nothing_of_each_other(
    serve: Callable[..., ServedApp], tokens: tuple[Access, dict[str, str]], model: Model
) -> None:
    access, names = tokens
    app = serve(access=access)
    sounds = {name: noise(2, seed=seed) for seed, name in enumerate(("anna", "bert"), 40)}
    peers = {name: Peer(app.url) for name in sounds}
    for name, peer in peers.items():
        peer.hello(format="f32le", scores="all", exact=True, token=names[name], name=name)
    for at in range(0, 32_000, 1600):
        for name, peer in peers.items():
            peer.say(sounds[name][at : at + 1600].tobytes())
    for name, peer in peers.items():
        offline = Offline(model, [Chunk(sounds[name], 0, 16_000)])
        assert peer.end()["checksum"] == offline.checksum
        assert told_events(peer.got) == offline.told
        named = {each["record"]["source"] for each in peer.got if "record" in each}
        assert named == {name}
        stream = peer.got[0]["stream"]
        assert {each["record"]["stream"] for each in peer.got if "record" in each} == {stream}
        assert not any(other in str(peer.got) for other in names if other != name)
        peer.socket.close()
