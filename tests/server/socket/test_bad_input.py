"""Whatever a peer sends gets an error with a code, and touches no other stream."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.limits import Limits
from stream.server.socket.codes import ENDINGS
from tests.support.served import ServedApp
from tests.support.stream_peer import Offline, Peer, noise

HELLO = '{"type":"hello","version":1,"rate":16000}'
BAD_FIRST: dict[str, tuple[str | bytes, str]] = {
    "no JSON": ("hello", "bad_message"),
    "empty text": ("", "bad_message"),
    "a number": ("1", "bad_message"),
    "a list": ("[]", "bad_message"),
    "no type": ("{}", "bad_message"),
    "unknown type": ('{"type":"hi"}', "bad_message"),
    "unknown field": ('{"type":"hello","version":1,"rate":16000,"mode":1}', "bad_message"),
    "no rate": ('{"type":"hello","version":1}', "bad_message"),
    "rate as text": ('{"type":"hello","version":1,"rate":"16000"}', "bad_message"),
    "rate 0": ('{"type":"hello","version":1,"rate":0}', "bad_message"),
    "rate too high": ('{"type":"hello","version":1,"rate":99999999}', "bad_message"),
    "rate with a fraction": ('{"type":"hello","version":1,"rate":16000.5}', "bad_message"),
    "huge number": ('{"type":"hello","version":1,"rate":1' + "0" * 5000 + "}", "bad_message"),
    "NaN": ('{"type":"hello","version":1,"rate":NaN}', "bad_message"),
    "unknown format": ('{"type":"hello","version":1,"rate":16000,"format":"mp3"}', "bad_message"),
    "lone surrogate": ('{"type":"hello","version":1,"rate":16000,"name":"\\ud800"}', "bad_message"),
    "deep": ("[" * 20_000, "bad_message"),
    "deep rules": ('{"type":"hello","version":1,"rate":16000,"rules":' + '{"class":' * 6000, "bad_message"),
    "long text": ('{"type":"hello","name":"' + "x" * 70_000 + '"}', "message_too_large"),
    "sound first": (b"\0\0", "no_hello"),
    "control first": ('{"type":"flush"}', "no_hello"),
    "newer version": ('{"type":"hello","version":2,"rate":16000}', "unsupported_version"),
    "opus at another rate": (HELLO[:-1] + ',"format":"opus"}', "bad_rate"),
    "opus of many channels": (
        '{"type":"hello","version":1,"rate":48000,"format":"opus","channels":3}',
        "bad_channel",
    ),
    "channel that is not there": (HELLO[:-1] + ',"channels":2,"channel":3}', "bad_channel"),
    "channel 0": (HELLO[:-1] + ',"channel":0}', "bad_message"),
    "unknown model": (HELLO[:-1] + ',"model":"../../etc/passwd"}', "unknown_model"),
    "unknown label": (HELLO[:-1] + ',"labels":["cat"]}', "unknown_label"),
    "label twice": (HELLO[:-1] + ',"labels":["speech","speech"]}', "bad_message"),
    "no labels": (HELLO[:-1] + ',"labels":[]}', "bad_message"),
    "rule out of range": (HELLO[:-1] + ',"rules":{"threshold":2}}', "bad_message"),
    "unknown rule": (HELLO[:-1] + ',"rules":{"treshold":0.5}}', "bad_message"),
    "rule of unknown class": (HELLO[:-1] + ',"rules":{"class":{"cat":{"threshold":0.5}}}}', "bad_rules"),
    "contradicting rules": (
        HELLO[:-1] + ',"rules":{"threshold":0.5,"class":{"speech":{"release":0.9}}}}',
        "bad_rules",
    ),
    "unknown word for what is missing": (HELLO[:-1] + ',"format":"f32le","missing":"inf"}', "bad_message"),
    "negative start": (HELLO[:-1] + ',"start":-1}', "bad_message"),
    "endless start": (HELLO[:-1] + ',"start":1' + "0" * 30 + "}", "bad_message"),
    "resume of nothing": (HELLO[:-1] + ',"resume":"abc.def"}', "resume_unknown"),
    "resume of emptiness": (HELLO[:-1] + ',"resume":""}', "resume_unknown"),
    "resume of strange text": (HELLO[:-1] + ',"resume":"é☃.\\u0000"}', "resume_unknown"),
}
BAD_LATER: dict[str, tuple[str | bytes, str]] = {
    "second hello": (HELLO, "second_hello"),
    "odd bytes": (b"\0\0\0", "bad_sound"),
    "no JSON": ("{", "bad_message"),
    "no gap": ('{"type":"gap","samples":0}', "bad_message"),
    "endless gap": ('{"type":"gap","samples":281474976710656}', "bad_message"),
    "unknown field": ('{"type":"ping","id":1,"a":2}', "bad_message"),
    "rules of unknown class": ('{"type":"rules","rules":{"class":{"cat":{}}}}', "fine"),
    "contradicting rules": ('{"type":"rules","rules":{"peak_threshold":0.001}}', "bad_rules"),
    "large sound": (bytes(100_000), "message_too_large"),
}
SMALL = Limits(message_bytes=70_000, lead_seconds=86_400, backlog_seconds=3600)


@pytest.fixture(scope="module")
def strict(model: Model) -> Any:
    from stream.server.access.access import Access
    from stream.server.http.app import make_app
    from tests.support.bare_station import BareStation
    from tests.support.served import served

    with served(make_app(BareStation(model), Access(), SMALL)) as app:
        yield app


def check_error(peer: Peer, code: str) -> None:
    (message,) = [each for each in peer.rest() if each["type"] == "error"]
    assert message["error"]["code"] == code, message
    assert "\n" not in message["error"]["message"]
    assert "Traceback" not in message["error"]["message"]
    assert 3 < len(message["error"]["message"]) < 600
    assert peer.closed == ENDINGS[code].close
    assert message["resume"] is None


@pytest.mark.parametrize("case", BAD_FIRST)
def test_instead_of_a_hello(strict: ServedApp, case: str) -> None:
    sent, code = BAD_FIRST[case]
    with Peer(strict.url) as peer:
        peer.say(sent)
        check_error(peer, code)


@pytest.mark.parametrize("case", [name for name, (_, code) in BAD_LATER.items() if code != "fine"])
def test_behind_a_hello(strict: ServedApp, case: str) -> None:
    sent, code = BAD_LATER[case]
    with Peer(strict.url) as peer:
        assert peer.hello()["type"] == "ready"
        peer.say(noise(0.1).tobytes())
        peer.say(sent)
        check_error(peer, code)


def test_sound_and_gaps_behind_the_flush(strict: ServedApp) -> None:
    for late in (b"\0\0", '{"type":"gap","samples":1}', '{"type":"rules","rules":{}}'):
        with Peer(strict.url) as peer:
            peer.hello()
            peer.say('{"type":"flush"}')
            peer.say(late)
            check_error(peer, "bad_message")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2e6])
def test_floats_that_are_no_sound(strict: ServedApp, value: float) -> None:
    sound = noise(0.2)
    sound[2345] = value
    with Peer(strict.url) as peer:
        peer.hello(format="f32le", start=70_000)
        for at in range(0, len(sound), 1000):
            peer.say(sound[at : at + 1000].tobytes())
        check_error(peer, "bad_sample")
    message = peer.got[-1]["error"]["message"]
    assert message.startswith(f"sample 72345 is {value:g}: want numbers within ±1e+06")
    assert '"missing": "nan"' in message


def test_floats_that_are_no_sound_in_the_channel_that_is_heard(strict: ServedApp) -> None:
    both = np.stack([noise(0.1, seed=1), noise(0.1, seed=2)], axis=1)
    both[300] = math.inf, -math.inf
    both[200, 1] = math.nan
    for channel, first in (("mix", 200), (1, 300), (2, 200)):
        with Peer(strict.url) as peer:
            peer.hello(format="f32le", channels=2, channel=channel)
            peer.say(both.tobytes())
            check_error(peer, "bad_sample")
            assert f"sample {first} is" in peer.got[-1]["error"]["message"]
    with Peer(strict.url) as peer:
        peer.hello(format="f32le", channels=2, channel=1)
        peer.say(both[:300].tobytes())
        assert peer.end()["position"] == 300


def test_text_that_is_not_utf8(strict: ServedApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), Peer(strict.url) as peer:
        peer.hello()
        peer.socket.send(b"\xff\xfe", text=True)
        check_error(peer, "bad_text")
    assert not caplog.records


def test_a_message_beyond_what_is_refused_in_words(strict: ServedApp) -> None:
    with Peer(strict.url) as peer:
        peer.hello()
        peer.say(bytes(1 << 20))
        peer.rest()
        assert peer.closed == 1009


def test_a_hello_that_does_not_come(serve: Callable[..., ServedApp]) -> None:
    app = serve(Limits(hello_seconds=0.2))
    with Peer(app.url) as peer:
        check_error(peer, "hello_timeout")


def test_a_stream_that_sends_nothing_is_kept_for_a_while(serve: Callable[..., ServedApp]) -> None:
    app = serve(Limits(idle_seconds=0.2))
    with Peer(app.url) as peer:
        ready = peer.hello()
        (error,) = peer.rest()
        assert (error["error"]["code"], peer.closed) == ("idle_timeout", 4408)
        assert error["resume"] == ready["resume"]
    with Peer(app.url) as peer:
        assert peer.hello(resume=error["resume"])["resumed"]
        for i in range(4):  # a ping is a message
            peer.say({"type": "ping", "id": i})
            assert peer.until("pong")["id"] == i


def test_more_streams_than_there_are_places(serve: Callable[..., ServedApp]) -> None:
    app = serve(Limits(streams=2))
    with Peer(app.url) as first, Peer(app.url) as second, Peer(app.url) as third:
        assert first.hello()["type"] == second.hello()["type"] == "ready"
        assert third.hello()["error"]["code"] == "full"
        third.rest()
        assert third.closed == 1013
        first.end()
        first.say({"type": "ack", "sequence": first.got[-1]["sequence"]})
        first.rest()
        assert first.closed == 1000
        with Peer(app.url) as fourth:
            assert fourth.hello()["type"] == "ready"


def test_more_streams_than_the_pool_has_rows(serve: Callable[..., ServedApp]) -> None:
    app = serve()  # its pool has 4
    peers = [Peer(app.url) for _ in range(5)]
    answers = [peer.hello() for peer in peers]
    assert [each["type"] for each in answers] == ["ready"] * 4 + ["error"]
    assert answers[-1]["error"]["code"] == "full"
    peers[0].cut()  # whoever waits for the same client gives way to a new stream
    with Peer(app.url) as sixth:
        for _ in range(100):
            if sixth.hello()["type"] == "ready":
                break
            sixth.rest()
            sixth = Peer(app.url)
        assert sixth.got[-1]["type"] == "ready"
    for peer in peers[1:]:
        peer.socket.close()


def test_another_page_may_not_connect(strict: ServedApp) -> None:
    with pytest.raises(InvalidStatus) as refused:
        Peer(strict.url, origin="https://evil.example")
    assert refused.value.response.status_code == 403
    assert b"wrong_origin" in refused.value.response.body


def test_compression_is_not_spoken(strict: ServedApp) -> None:
    with Peer(strict.url, extensions=[ClientPerMessageDeflateFactory()]) as peer:
        assert peer.socket.protocol.extensions == []
        assert peer.hello()["type"] == "ready"


def test_bad_peers_do_not_touch_the_others(strict: ServedApp, model: Model) -> None:
    sound = noise(4, seed=9)
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    rng = np.random.default_rng(1)
    with Peer(strict.url) as good:
        good.hello(format="f32le", scores="all")
        for at in range(0, len(sound), 1600):
            good.say(sound[at : at + 1600].tobytes())
            sent, _ = list(BAD_LATER.values())[int(rng.integers(len(BAD_LATER)))]
            with Peer(strict.url) as bad:
                may_miss = rng.random() < 0.5
                bad.hello(format="f32le", missing="nan" if may_miss else None)
                bad.say(struct.pack("<4f", math.nan, math.inf, -math.inf, 1e38))
                if may_miss:
                    bad.say(sent)
                if rng.random() < 0.5:
                    with suppress(OSError):  # it is closed by now
                        bad.cut()
        end = good.end()
    assert end["checksum"] == offline.checksum
