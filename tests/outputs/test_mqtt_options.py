"""What --mqtt refuses before anything is connected, and names that are safe for any label."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.decisions.spec import DetectorSpec
from stream.errors import OutputError, UsageError
from stream.messages import SourceInfo
from stream.outputs.mqtt.broker import find_broker
from stream.outputs.mqtt.mqtt import Mqtt
from stream.outputs.mqtt.topics import check_topic, identifier, identifiers
from stream.outputs.output import OutputContext
from stream.outputs.records import Origin
from tests.support.command import stream_classify


@pytest.mark.parametrize(
    ("url", "host", "port", "user"),
    [
        ("mqtt://hub", "hub", 1883, None),
        ("mqtts://hub.local/", "hub.local", 8883, None),
        ("MQTT://me%40home@[::1]:99", "::1", 99, "me@home"),
    ],
)
def test_addresses(url: str, host: str, port: int, user: str | None) -> None:
    broker = find_broker(url)
    assert (broker.host, broker.port, broker.user) == (host, port, user)
    assert (broker.tls is not None) == url.startswith("mqtts")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "is no address"),
        ("hub", "has no scheme"),
        ("hub:1883", "has no scheme"),
        ("http://hub", "http:// is none of a broker"),
        ("ws://hub", "ws:// is none"),
        ("mqtt://", "names no host"),
        ("mqtt://hub:0", "port 0"),
        ("mqtt://hub:65536", "out of range"),
        ("mqtt://hub:x", "invalid literal|could not be cast"),
        ("mqtt://hub/topic", "--mqtt-topic"),
        ("mqtt://hub?x=1", "--mqtt-topic"),
        ("mqtt://me:geheim@hub", "--mqtt-password-file"),
        ("http://me:geheim@hub", "is none of a broker"),
        ("mqtt://me:gehe@im@hub:x", "hub:x"),
        ("mqtt://" + "a" * 64 + ".de", "name of the host"),
        ("mqtt://hub\x1b[2J", "is no address"),
        ("mqtt://[::1", "Invalid IPv6"),
    ],
)
def test_addresses_that_are_none(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        find_broker(url)
    message = str(refused.value)
    assert message.startswith("--mqtt ")
    assert message.isprintable()
    assert not re.search("geheim|gehe@im", message)


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"user": "you", "url": "mqtt://me@hub"}, UsageError, "leave one of them out"),
        ({"password_file": "secret"}, UsageError, "add --mqtt-user"),
        ({"authorities": "secret"}, UsageError, "begin with mqtts://"),
        ({"certificate": "secret"}, UsageError, "begin with mqtts://"),
        ({"key": "secret"}, UsageError, "add --mqtt-cert"),
        ({"user": "me", "password_file": "none"}, OutputError, "No such file"),
        ({"user": "me", "password_file": "."}, OutputError, "Is a directory"),
        ({"user": "me", "password_file": "empty"}, OutputError, "no password"),
        ({"user": "me", "password_file": "binary"}, OutputError, "is not text"),
        ({"user": "me", "password_file": "long"}, OutputError, "no password"),
        ({"url": "mqtts://hub", "authorities": "none"}, OutputError, "--mqtt-ca .*No such file"),
        ({"url": "mqtts://hub", "authorities": "secret"}, OutputError, "--mqtt-ca .*PEM"),
        ({"url": "mqtts://hub", "certificate": "secret"}, OutputError, "--mqtt-cert .*PEM"),
    ],
)
def test_what_makes_no_sense(
    options: dict[str, Any], kind: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret").write_text("geheim\n")
    Path("empty").write_text("\n")
    Path("binary").write_bytes(b"\xff\xfe")
    Path("long").write_text("x" * 5000)
    with pytest.raises(kind, match=said) as refused:
        find_broker(**({"url": "mqtt://hub"} | options))
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("topic", ["", "/", "a//b", "/a", "a/", "a/#", "+/a", "$SYS/a", "a\x00b", "x" * 201])
def test_topics_that_are_none(topic: str) -> None:
    with pytest.raises(UsageError, match="--mqtt-topic"):
        check_topic("mqtt-topic", topic)


def test_identifiers_are_readable_and_differ() -> None:
    assert identifier("Glass breaking (loud)") == "glass_breaking_loud"
    assert identifier("Été") == "ete"
    found = identifiers(["dog", "DOG", "d/o/g", "犬", "猫", "#", "+"])
    assert len(set(found.values())) == 7
    assert found["d/o/g"] == "d_o_g"
    assert identifiers(["DOG", "dog"])["dog"] == found["dog"]  # whatever the order


@given(st.lists(st.text(max_size=60), max_size=8, unique=True))
def test_identifiers_of_any_names_are_safe(names: list[str]) -> None:
    found = identifiers(names)
    assert len(set(found.values())) == len(names)
    assert all(re.fullmatch("[a-z0-9_-]{1,60}", short) for short in found.values())


def test_wrong_options_are_refused_before_anything_is_opened(tmp_path: Path) -> None:
    for words, code in (
        (["--mqtt", "mqtt//hub"], 2),
        (["--mqtt", "mqtt://hub", "--mqtt-topic", "a/#"], 2),
        (["--mqtt", "mqtt://hub", "--mqtt-user", "me", "--mqtt-password-file", "none"], 7),
    ):
        done = stream_classify("--input", "sim:tone?length=1s", "--fast", *words, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


def test_a_missing_package_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    told = OutputContext(
        origin=Origin("a", "m", "0"),
        source=SourceInfo("a", 16000),
        labels=("a",),
        detector=DetectorSpec(),
        sample_rate=16000,
    )
    with pytest.raises(OutputError, match=r"--mqtt needs paho-mqtt 2, .*run: .*pip install .*\[mqtt\]"):
        Mqtt(told, mqtt="mqtt://127.0.0.1")
