"""MQTT against a real Mosquitto: what is published, and what comes back after the broker was gone."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.capture.history import SoundHistory
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import OutputError
from stream.messages import Chunk, Event, Result, Scores, SourceInfo, Status
from stream.outputs.jsonl import JsonLines
from stream.outputs.mqtt import link as link_module
from stream.outputs.mqtt.mqtt import Mqtt
from stream.outputs.output import OutputContext
from stream.outputs.outputs import Outputs
from stream.outputs.records import Origin
from stream.outputs.switches import Switches
from stream.outputs.wall_time import CaptureTimes
from tests.support.command import environment, running, start, stream_classify, wait_for
from tests.support.mosquitto import (
    HOST,
    Mosquitto,
    free_port,
    listening,
    mosquitto,
    needs_mosquitto,
)

needs_mosquitto()

LABELS = ("speech", "glass breaking", "a/b #+", "音楽", "quiet")
ORIGIN = Origin("mic 1", "toy", "ab" * 32)
NOON, UPTIME = 1_790_000_000.25, 5000.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as running_broker:
        yield running_broker


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "FIRST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(link_module, "LONGEST_RETRY_SECONDS", 0.1)


def context(**changes: Any) -> OutputContext:
    given: dict[str, Any] = {
        "origin": ORIGIN,
        "source": SourceInfo("mic 1", 16000, live=True),
        "labels": LABELS,
        "detector": DetectorSpec(classes={"quiet": ClassRule(enabled=False)}),
        "sample_rate": 16000,
        "wall": lambda: NOON,
        "monotonic": lambda: UPTIME,
    }
    return OutputContext(**(given | changes))


@contextmanager
def publishing(
    broker: Mosquitto, node: str, told: OutputContext | None = None, **options: Any
) -> Iterator[Outputs]:
    """The output as a run has it: behind its queue, and closed."""
    output = Mqtt(told or context(), **({"mqtt": broker.url, "mqtt_node": node} | options))
    outputs = Outputs([(output, "mqtt", broker.url)])
    try:
        yield outputs
    finally:
        outputs.close()


def result(*events: Event, probs: float = 0.25, **more: Any) -> Result:
    scores = Scores(
        np.full((2, len(LABELS)), probs, np.float32),
        np.array([0, 160]),
        np.array([True, True]),
        LABELS,
        16000,
        160,
    )
    return Result(scores, np.zeros((2, 40), np.float32), events, end=48000, captured_at=UPTIME - 1.0, **more)


def onset(label: str, number: int = 0) -> Event:
    return Event(number, label, 16000, None, 0.9, 0.9, 16000, 17000)


def ended(label: str, number: int = 0) -> Event:
    return Event(number, label, 16000, 32000, 0.9, 0.9, 16000, 33000)


def soon(ready: Callable[[], bool], what: str) -> None:
    wait_for(ready, what, seconds=20.0)


def test_what_is_heard_is_published(broker: Mosquitto, tmp_path: Path) -> None:
    history = SoundHistory(16000, 2.0)
    history.append(Chunk(np.full(16000, 0.1, np.float32), 0, 16000))
    lines = JsonLines(tmp_path / "e.jsonl", ORIGIN, times=CaptureTimes(lambda: UPTIME, lambda: NOON))
    sent = [result(onset("音楽"), sound=history), result(ended("音楽"), sound=history)]
    with listening(broker) as heard:
        with publishing(broker, "Küche 1") as outputs:
            soon(lambda: heard.last("kuche_1/status") == "online", "being online")
            for each in sent:
                outputs.result(each)
                lines.result(each)
            outputs.status(Status("silent", 9, 16000, "muted", UPTIME))
            soon(lambda: bool(heard.of("kuche_1/source")), "the source's state")
        lines.close()
        soon(lambda: heard.last("kuche_1/status") == "offline", "the end")
        (sound,) = {topic for topic, payload, _ in heard.messages if payload == "ON"}
        assert sound.startswith("stream-classify/kuche_1/sound/")
        assert heard.of(sound) == ["OFF", "ON", "OFF"]
        assert heard.of("kuche_1/event") == [(tmp_path / "e.jsonl").read_text().strip()]
        assert json.loads(heard.last("kuche_1/event"))["t_wall"] == "2026-09-21T14:13:17.250Z"
        assert json.loads(heard.last("kuche_1/source"))["detail"] == "muted"
        state = json.loads(heard.last("kuche_1/state"))
        assert state["level_dbfs"] == -20.0
        assert state["probability"].keys() >= {"speech", "glass_breaking"}
        assert set(state["probability"].values()) == {0.25}
        assert len(state["probability"]) == 4  # not of the class that is never reported
        assert heard.of("kuche_1/status") == ["online", "offline"]  # and no will behind it
    assert outputs.reports()[0].delivered == 1
    assert outputs.reports()[0].trouble == ""


def test_probabilities_come_at_a_bounded_rate_and_are_the_highest(broker: Mosquitto) -> None:
    now = [100.0]
    with listening(broker) as heard:
        with publishing(broker, "rate", context(monotonic=lambda: now[0]), mqtt_interval=2.0) as outputs:
            soon(lambda: heard.last("rate/status") == "online", "being online")
            for step, probs in enumerate((0.1, 0.9, 0.2, 0.3, 0.4)):
                now[0] = 100.0 + step
                outputs.result(result(probs=probs))
                soon(lambda: outputs.reports()[0].waiting == 0, "an empty queue")
        soon(lambda: heard.last("rate/status") == "offline", "the end")
        told = [json.loads(payload)["probability"]["speech"] for payload in heard.of("rate/state")]
    assert told == [0.1, 0.9, 0.4]


def test_a_sound_that_is_on_at_the_end_goes_off(broker: Mosquitto) -> None:
    with listening(broker) as heard:
        with publishing(broker, "leaving") as outputs:
            outputs.result(result(onset("speech")))
            soon(lambda: heard.last("leaving/sound/speech") == "ON", "a sound")
        soon(lambda: heard.last("leaving/sound/speech") == "OFF", "silence")
    with listening(broker) as later:
        soon(lambda: bool(later.of("leaving/sound/speech")), "what is retained")
        assert later.of("leaving/sound/speech") == ["OFF"]
        assert later.of("leaving/status") == ["offline"]
        assert later.of("leaving/config") != []
        assert later.of("leaving/event") == []


def test_what_the_broker_has_is_not_kept(broker: Mosquitto) -> None:
    output = Mqtt(context(), mqtt=broker.url, mqtt_node="memory")
    kept = output._link._unconfirmed  # nobody asks for reports in months without a dashboard
    for number in range(20):
        output.result(result(ended("speech", number)))
        soon(lambda: kept[-1].is_published(), "a confirmation")
    assert len(kept) == 1
    output.close()


def test_switches_go_both_ways(broker: Mosquitto) -> None:
    switches = Switches(["alarm", "night time"])
    with listening(broker) as heard, publishing(broker, "both", context(switches=switches)):
        soon(lambda: heard.last("both/switch/night_time") == "ON", "the switch")
        heard.say("stream-classify/both/switch/night_time/set", "off")
        soon(lambda: heard.last("both/switch/night_time") == "OFF", "the switch to be off")
        assert (switches.is_on("night time"), switches.is_on("alarm")) == (False, True)
        switches.set("alarm", False)
        soon(lambda: heard.last("both/switch/alarm") == "OFF", "a change from elsewhere")
        for payload in ("\x00", "ONN", ""):
            heard.say("stream-classify/both/switch/alarm/set", payload)
        heard.say("stream-classify/both/switch/none/set", "ON")
        heard.say("stream-classify/both/switch/alarm/set", "ON")
        soon(lambda: switches.is_on("alarm"), "the switch to be on again")


def test_home_assistant_that_starts_is_told_again(broker: Mosquitto) -> None:
    with listening(broker) as heard, publishing(broker, "again"):
        soon(lambda: len(heard.of("again/config")) == 1, "the configuration")
        heard.say("homeassistant/status", "offline")
        heard.say("homeassistant/status", "online")
        soon(lambda: len(heard.of("again/config")) == 2, "the configuration once more")
        assert len(set(heard.of("again/config"))) == 1
        soon(lambda: heard.of("again/status") == ["online"] * 2, "the rest")


def test_a_label_that_is_no_class_of_the_model_is_added(broker: Mosquitto) -> None:
    with listening(broker) as heard, publishing(broker, "added") as outputs:
        soon(lambda: len(heard.of("added/config")) == 1, "the configuration")
        outputs.result(result(onset("loud")))
        soon(lambda: heard.last("added/sound/loud") == "ON", "the sound")
        assert "loud" in json.loads(heard.last("added/config"))["cmps"]["event"]["event_types"]


def test_without_discovery_there_is_none(broker: Mosquitto) -> None:
    with listening(broker) as heard:
        with publishing(broker, "plain", mqtt_discovery="none", mqtt_topic="house/ears"):
            soon(lambda: heard.last("house/ears/plain/status") == "online", "being online")
        assert heard.of("plain/config") == []


def test_a_broker_that_is_not_there_yet_gets_everything_later(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    with publishing(broker, "early") as outputs:
        for number in range(30):
            outputs.result(result(onset("speech", number), ended("speech", number)))
        outputs.result(result(onset("speech", 99)))
        soon(lambda: "Connection refused" in outputs.reports()[0].trouble, "trouble to be told")
        soon(lambda: outputs.reports()[0].waiting == 30, "30 events that wait")
        broker.start()
        try:
            with listening(broker) as heard:
                soon(lambda: outputs.reports()[0].delivered == 30, "30 events")
                assert outputs.reports()[0].trouble == ""
                # The listener may have come later than the events; what is now, it hears in any case.
                soon(lambda: heard.last("early/sound/speech") == "ON", "the present state")
        finally:
            broker.stop()


def test_a_broker_that_is_gone_in_the_middle_gets_what_it_missed(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, listening(broker) as heard, publishing(broker, "middle") as outputs:
        outputs.result(result(onset("speech", 0)))
        soon(lambda: heard.last("middle/sound/speech") == "ON", "the first onset")
        broker.stop()
        soon(lambda: outputs.reports()[0].trouble != "", "the break to be noticed")
        outputs.result(result(ended("speech", 0)))
        outputs.result(result(onset("glass breaking", 1)))
        outputs.result(result(ended("glass breaking", 1)))
        outputs.result(result(onset("glass breaking", 2)))
        soon(lambda: outputs.reports()[0].waiting == 2, "two events that wait")
        broker.start()
        soon(lambda: len(heard.of("middle/event")) >= 2, "the events")
        assert [json.loads(payload)["id"] for payload in heard.of("middle/event")] == [0, 1]
        soon(lambda: heard.last("middle/sound/glass_breaking") == "ON", "the present state")
        assert heard.last("middle/sound/speech") == "OFF"
        assert heard.last("middle/status") == "online"
        outputs.result(result(ended("glass breaking", 2)))
        soon(lambda: len(heard.of("middle/event")) == 3, "an event as ever")


def test_what_waits_is_bounded_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(link_module, "MOST_UNCONFIRMED", 3)
    caplog.set_level(logging.WARNING)
    with publishing(Mosquitto(tmp_path), "bounded") as outputs:
        for number in range(5):
            outputs.result(result(ended("speech", number)))
        soon(lambda: outputs.reports()[0].dropped == 2, "two drops")
        assert outputs.reports()[0].waiting == 3
        soon(lambda: outputs.reports()[0].trouble != "", "the first connection to fail")
        began = time.monotonic()
    assert time.monotonic() - began < 10  # and not for ever; the queue gives it a second
    report = outputs.reports()[0]
    assert (report.delivered, report.waiting, report.dropped) == (0, 0, 5)
    assert sum("3 events were not delivered" in line for line in caplog.messages) == 1
    assert sum("Connection refused" in line for line in caplog.messages) == 2  # when it began, and at the end


def test_who_may_come_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("pa:ss wörd\n")
    wrong.write_text("guess")
    with mosquitto(tmp_path, users={"ears": "pa:ss wörd"}) as broker:
        who = {"mqtt": broker.url.replace("//", "//ears@")}
        with publishing(broker, "in", **who, mqtt_password_file=str(right)) as outputs:
            outputs.result(result(ended("speech")))
            soon(lambda: outputs.reports()[0].delivered == 1, "an event")
        caplog.set_level(logging.WARNING)
        with publishing(broker, "out", **who, mqtt_password_file=str(wrong)) as outputs:
            outputs.result(result(ended("speech")))
            soon(lambda: "not authorised; see --mqtt-user" in outputs.reports()[0].trouble, "a refusal")
        assert sum("not authorised" in line and "tried again" in line for line in caplog.messages) == 1
        assert outputs.reports()[0].dropped == 1


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, another one, and certificates of the first for the broker and for us."""
    folder = tmp_path_factory.mktemp("keys")

    def openssl(words: str) -> None:
        subprocess.run(["openssl", *words.split()], check=True, capture_output=True, timeout=60, cwd=folder)

    for name in ("authority", "stranger"):
        openssl(
            f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        )
    for name in ("broker", "ears"):
        openssl(f"req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr")
        (folder / "names").write_text(f"subjectAltName=IP:{HOST}\nauthorityKeyIdentifier=keyid\n")
        openssl(
            f"x509 -req -in {name}.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 "
            f"-extfile names -out {name}.pem"
        )
    openssl("rsa -aes256 -passout pass:secret -in ears.key -out locked.key")
    return folder


# paho-mqtt leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_connections_are_encrypted_and_checked(keys: Path, tmp_path: Path) -> None:
    settings = [f"cafile {keys}/authority.pem", f"certfile {keys}/broker.pem", f"keyfile {keys}/broker.key"]
    with mosquitto(tmp_path, *settings, "require_certificate true") as broker:
        us = {"mqtt_cert": f"{keys}/ears.pem", "mqtt_key": f"{keys}/ears.key"}
        url = {"mqtt": f"mqtts://{HOST}:{broker.port}"}
        with publishing(broker, "in", **url, **us, mqtt_ca=f"{keys}/authority.pem") as outputs:
            outputs.result(result(ended("speech")))
            soon(lambda: outputs.reports()[0].delivered == 1, "an event")
        for node, more, said in (
            ("stranger", us | {"mqtt_ca": f"{keys}/stranger.pem"}, "its certificate is not accepted"),
            ("system", us, "its certificate is not accepted"),
            ("nobody", {"mqtt_ca": f"{keys}/authority.pem"}, "broke|TLS"),
        ):
            with publishing(broker, node, **url, **more) as outputs:
                soon(lambda: outputs.reports()[0].trouble != "", node)
                assert any(words in outputs.reports()[0].trouble for words in said.split("|"))
        with pytest.raises(OutputError, match="passphrase"):
            Mqtt(context(), **url, mqtt_cert=us["mqtt_cert"], mqtt_key=f"{keys}/locked.key")


def test_a_listener_that_is_killed_is_offline(broker: Mosquitto) -> None:
    words = [
        "--input",
        "sim:tone?loop=forever",
        "--jsonl",
        "-",
        "--mqtt",
        broker.url,
        "--mqtt-node",
        "killed",
    ]
    with listening(broker) as heard, running(start(*words, env=environment())) as child:
        wait_for(lambda: heard.last("killed/status") == "online", "being online", child)
        child.send_signal(signal.SIGKILL)
        soon(lambda: heard.last("killed/status") == "offline", "the last will")


def test_a_run_that_ends_is_not_taken_for_lost(broker: Mosquitto) -> None:
    words = ["--input", "sim:tone?length=1s", "--fast", "--mqtt", broker.url, "--mqtt-node", "ending"]
    with listening(broker) as heard:
        assert stream_classify(*words).returncode == 0
        heard.say("marker", "ending")
        soon(lambda: heard.last("marker") == "ending", "what comes after the end")
        assert heard.of("ending/status") == ["online", "offline"]  # and no will of one that vanished


def test_two_brokers_at_once_and_one_of_them_away(broker: Mosquitto) -> None:
    away = f"mqtt://{HOST}:{free_port()}"
    done = start(
        "--demo", "--fast", "--jsonl", "-", "--mqtt", broker.url, "--mqtt", away, "--mqtt-node", "two"
    )
    with listening(broker) as heard, running(done):
        out, said = done.communicate(timeout=60)
        assert done.returncode == 0
        events = out.decode().splitlines()
        assert len(events) == 11
        soon(lambda: len(heard.of("two/event")) == 11, "the events")
        assert [json.loads(line)["id"] for line in events] == [
            json.loads(p)["id"] for p in heard.of("two/event")
        ]
    assert f"mqtt {away}: 0 messages delivered, 11 not" in said.decode()
    assert "Traceback" not in said.decode()
