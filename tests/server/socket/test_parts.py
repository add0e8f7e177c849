"""The parts of a stream on their own: formats, rules, checksums, tokens, what is decoded from a peer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import SnapshotInvalid
from stream.inference.session import Model
from stream.messages import Chunk, Scores
from stream.server.socket.checksum import RowsChecksum
from stream.server.socket.client_messages import ClientMessage, Hello, Rules
from stream.server.socket.codes import ENDINGS, StreamEnds
from stream.server.socket.connection import TEXT_BYTES, decode_text
from stream.server.socket.overrides import changed_rules
from stream.server.socket.resume_store import MemoryStore, SavedStream
from stream.server.socket.resume_tokens import ResumeTokens, name_in
from stream.server.socket.server_messages import ServerMessage
from stream.server.socket.sound_formats import make_decoder
from tests.support.served import ServedApp
from tests.support.stream_peer import Offline, Peer, noise

LABELS = ("speech", "music")


def given_or_refused(call: Callable[[], Any]) -> Any:
    """What a call returns, or the error by which it ends a stream."""
    try:
        return call()
    except StreamEnds as ends:
        return ends


# -- what a peer sends ---------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "type",
        "hello",
        "gap",
        "flush",
        "rules",
        "class",
        "version",
        "rate",
        "samples",
        "speech",
        "threshold",
        "resume",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)
OBJECTS = st.dictionaries(WORDS | st.text(max_size=8), VALUES, max_size=8)
TYPED = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(["hello", "gap", "rules", "ack", "ping", "flush"]),
    OBJECTS,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300) | VALUES.map(json.dumps) | TYPED.map(json.dumps))
def test_any_text_is_a_message_or_one_error(text: str) -> None:
    message = given_or_refused(lambda: decode_text(text))
    if isinstance(message, StreamEnds):
        assert message.code in ("bad_message", "bad_text", "message_too_large")
        assert ENDINGS[message.code].close == message.close
        assert len(str(message)) < TEXT_BYTES
        return
    assert isinstance(message, ClientMessage)
    if isinstance(message, Hello):
        decoder = given_or_refused(lambda: make_decoder(message))
        assert not isinstance(decoder, StreamEnds) or decoder.code in ENDINGS


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TYPED)
def test_a_message_means_the_same_when_it_is_said_again(value: dict[str, Any]) -> None:
    try:
        message = decode_text(json.dumps(value))
    except StreamEnds:
        return
    assert decode_text(msgspec.json.encode(message).decode()) == message


def test_messages_have_a_json_schema() -> None:
    for messages in (ClientMessage, ServerMessage):
        (schema,), definitions = msgspec.json.schema_components([messages])
        assert len(schema["anyOf"]) > 5
        kinds = [
            each["properties"]["type"]["enum"]
            for each in definitions.values()
            if "type" in each.get("properties", {})
        ]
        assert len(kinds) >= len(schema["anyOf"])


# -- sound ---------------------------------------------------------------------------------------------------


def hello(**fields: Any) -> Hello:
    return Hello(**{"version": 1, "rate": 16_000, **fields})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.binary(max_size=64),
    kind=st.sampled_from(["s16le", "f32le"]),
    channels=st.integers(1, 3),
    channel=st.sampled_from(["mix", 1]),
    missing=st.sampled_from(["nan", None]),
)
def test_any_bytes_are_samples_or_one_error(
    data: bytes, kind: str, channels: int, channel: Any, missing: Any
) -> None:
    decoder = make_decoder(hello(format=kind, channels=channels, channel=channel, missing=missing))
    frame = channels * (2 if kind == "s16le" else 4)
    if len(data) % frame:
        with pytest.raises(StreamEnds, match=f"multiple of {frame}"):
            decoder.decode(data)
    else:
        samples = given_or_refused(lambda: decoder.decode(data))
        if isinstance(samples, StreamEnds):
            assert (samples.code, kind, missing) == ("bad_sample", "f32le", None)
            return
        assert samples.shape == (len(data) // frame,)
        assert samples.dtype in (np.float32, np.int16)
        assert not decoder.clean or np.all(np.abs(samples) <= 1e6)


def opus_packets(sound: Any, channels: int) -> list[bytes]:
    av = pytest.importorskip("av")
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format = 48_000, "s16"
    encoder.layout = "mono" if channels == 1 else "stereo"
    packets = []
    for at in range(0, len(sound) // 960 * 960, 960):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound[at : at + 960]).reshape(1, -1),
            format="s16",
            layout=encoder.layout.name,
        )
        frame.sample_rate, frame.pts = 48_000, at
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_is_heard_as_it_decodes(station: ServedApp, model: Model, channels: int) -> None:
    sound = (np.repeat(noise(2, 48_000, seed=80)[:, None], channels, axis=1) * 32767).astype(np.int16)
    packets = opus_packets(sound, channels)
    decoder = make_decoder(hello(rate=48_000, format="opus", channels=channels))
    heard = np.concatenate([decoder.decode(packet) for packet in packets])
    assert len(heard) == 960 * len(packets)
    ours = sound[: len(heard), 0] / 32768
    delay = 312  # what encoders look ahead
    assert np.corrcoef(heard[delay:90_000], ours[: 90_000 - delay])[0, 1] > 0.5
    with Peer(station.url) as peer:
        peer.hello(48_000, format="opus", channels=channels)
        for packet in packets:
            peer.say(packet)
        end = peer.end()
    assert end["position"] == len(heard)
    assert end["checksum"] == Offline(model, [Chunk(heard, 0, 48_000)]).checksum


def test_what_is_no_opus_packet(station: ServedApp) -> None:
    pytest.importorskip("av")
    with Peer(station.url) as peer:
        peer.hello(48_000, format="opus")
        peer.say(b"\xff" * 10)
        assert peer.next()["error"]["code"] == "bad_sound"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_packets_are_sound_or_one_error(packets: list[bytes]) -> None:
    pytest.importorskip("av")
    decoder = make_decoder(hello(rate=48_000, format="opus"))
    for packet in packets:
        sound = given_or_refused(lambda packet=packet: decoder.decode(packet))  # type: ignore[misc]
        if isinstance(sound, StreamEnds):
            assert sound.code == "bad_sound"
            return
        assert len(sound) <= 5760  # 120 ms, whatever it says


# -- rules ---------------------------------------------------------------------------------------------------


def test_rules_are_laid_over_those_in_force() -> None:
    base = DetectorSpec(classes={"speech": ClassRule(threshold=0.8, release=0.4, min_on=1.0)})
    rules = msgspec.json.decode(
        b'{"threshold": 0.6, "min_off": 2, "class": {"music": {"threshold": 0.9, "enabled": false}}}',
        type=Rules,
    )
    changed = changed_rules(base, LABELS, rules)
    assert changed.rule("speech") == ClassRule(threshold=0.6, release=0.3, min_on=1.0, min_off=2.0)
    assert (changed.rule("music").threshold, changed.rule("music").enabled) == (0.9, False)
    assert changed_rules(changed, LABELS, Rules()).rule("music") == changed.rule("music")


def test_rules_hold_from_where_they_are_said(station: ServedApp, model: Model) -> None:
    sound = noise(4, seed=81)
    never = {"class": {label: {"enabled": False} for label in model.labels}}
    with Peer(station.url) as peer:
        ready = peer.hello(format="f32le", scores=0, rules={"smoothing": 0.1})
        assert {rule["smoothing"] for rule in ready["rules"]["classes"].values()} == {0.1}
        peer.say(sound[:32_000].tobytes())
        peer.say({"type": "rules", "rules": never})
        peer.say(sound[32_000:].tobytes())
        peer.end()
    answer = next(each for each in peer.got if each["type"] == "rules")
    assert answer["position"] == 32_000
    assert not any(rule["enabled"] for rule in answer["rules"]["classes"].values())
    records = [each["record"] for each in peer.got if each["type"] == "event"]
    assert records
    assert max(each["onset_sample"] for each in records) < 32_000


# -- what is kept --------------------------------------------------------------------------------------------


def rows(first: int, probs: Any) -> Scores:
    probs = np.asarray(probs, np.float32)
    count = len(probs)
    sample = np.arange(first, first + count, dtype=np.int64)
    return Scores(probs, sample, np.ones(count, np.bool_), LABELS, 16_000, 1)


def test_a_checksum_is_of_the_rows_and_not_of_their_messages() -> None:
    probs = np.random.default_rng(0).random((10, 2), np.float32)
    whole, parts = RowsChecksum(), RowsChecksum()
    whole.add(rows(0, probs))
    for a, b in ((0, 3), (3, 3), (3, 10)):
        parts = RowsChecksum(parts.state)
        parts.add(rows(a, probs[a:b]))
    assert whole.text == parts.text
    for other in (
        rows(1, probs),
        rows(0, probs[::-1]),
        rows(0, probs + np.float32(1e-7)),
        rows(0, probs[:9]),
    ):
        changed = RowsChecksum()
        changed.add(other)
        assert changed.text != whole.text
    assert RowsChecksum().text == "0" * 16


def test_tokens_hold_no_secret_and_are_told_apart() -> None:
    tokens = ResumeTokens("abc")
    first, second = tokens.renew(), tokens.renew()
    assert name_in(first) == "abc"
    assert first not in str(tokens.valid)
    assert (tokens.check(first), tokens.check(second), tokens.check("abc.x")) == ("valid", "valid", "unknown")
    tokens.arrived()
    assert (tokens.check(first), tokens.check(second)) == ("used", "valid")
    for _ in range(100):
        tokens.renew()
    assert len(tokens.valid) < 20


async def _store() -> None:
    now = 0.0
    store = MemoryStore(100, clock=lambda: now)
    await store.put("a", b"x" * 60, 10)
    await store.put("b", b"y" * 30, 10)
    assert await store.take("a") == b"x" * 60
    assert await store.take("a") is None
    await store.put("a", b"x" * 80, 10)  # b is the oldest
    assert await store.take("b") is None
    now = 11.0
    assert await store.take("a") is None
    await store.put("c", b"z", 10)
    await store.drop("c")
    assert await store.take("c") is None


def test_a_store_is_bounded_in_bytes_and_time() -> None:
    asyncio.run(_store())


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_saved_streams_are_bytes_and_no_others_are(data: bytes) -> None:
    try:
        saved = SavedStream.unpack(data)
    except SnapshotInvalid:
        return
    assert SavedStream.unpack(saved.pack()) == saved
