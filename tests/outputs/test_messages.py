"""--notify: what a person is told, through the real Apprise to a receiver on this machine, and when they are not."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream.errors import OutputError, TryAgain, UsageError
from stream.outputs.notify import MOST_TRIES, Notify, message
from stream.outputs.queued import Queued
from tests.support.extras import needs
from tests.support.happenings import begun, context, event, heard
from tests.support.receiver import Receiver

needs("apprise")
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # which Apprise imports


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.outputs.queued.FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("stream.outputs.queued.LONGEST_RETRY_SECONDS", 0.02)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def url(receiver: Receiver, kind: str = "json", user: str = "", path: str = "/x") -> str:
    return receiver.url(path, user).replace("http://", f"{kind}://")


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(got.body) for got in receiver.accepted]


def test_a_message_says_what_when_how_sure_how_long_and_where(receiver: Receiver) -> None:
    notify = Notify(context(), notify=url(receiver))
    notify.result(heard(begun(0)))
    notify.result(heard(event(0)))
    notify.close()
    (got,) = bodies(receiver)
    assert got["title"] == "Dog bark heard"
    assert got["message"].splitlines()[1:] == ["Source: usb mic"]
    assert "for 0.5 s. Surest at 93 %." in got["message"]


def test_the_words_of_a_message() -> None:
    began = time.mktime((2026, 11, 26, 14, 3, 21, 0, 0, -1))
    title, body = message(event(3, "smoke\nalarm"), "usb\x1b mic", began, untold=2)
    assert title == "Smoke?alarm heard"
    assert body.splitlines() == [
        "smoke?alarm at 14:03:21 on 2026-11-26, for 0.5 s. Surest at 93 %.",
        "Source: usb? mic",
        "2 more before it, since the last message.",
    ]
    assert "at 0:03.0 of the recording" in message(event(3), "talk.flac", None)[1]


def test_the_clip_is_attached_where_the_service_takes_one(receiver: Receiver, tmp_path: Path) -> None:
    clip = tmp_path / "50 % ?#&ä.flac"
    clip.write_bytes(b"fLaC" + bytes(range(256)))
    run = context()
    run.clips.open()
    run.clips.put("", "", 0, clip)
    run.clips.put("", "", 1, tmp_path / "gone.flac")
    run.clips.close()
    notify = Notify(run, notify=url(receiver), notify_every=0.0)
    form = Notify(run, notify=url(receiver, "form"), notify_every=0.0)
    notify.result(heard(event(0), event(1), event(2)))
    form.result(heard(event(0)))
    *told, posted = receiver.accepted
    attached = [json.loads(got.body)["attachments"] for got in told]
    assert base64.b64decode(attached[0][0]["base64"]) == clip.read_bytes()
    assert attached[1:] == [[], []]
    assert clip.read_bytes() in posted.body
    assert b"Surest at" in posted.body


def test_a_flood_becomes_one_message_that_counts(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    notify = Notify(context(), notify=url(receiver))
    for number in range(65):
        notify.result(heard(event(number), event(1000 + number, "siren", onset=number)))
    notify.close()
    notify.close()
    told = [(got["title"], got["message"].splitlines()[2:]) for got in bodies(receiver)]
    more = ["29 more before it, since the last message."]
    assert told == [
        ("Dog bark heard", []),
        ("Siren heard", []),
        ("Dog bark heard", more),
        ("Siren heard", more),
        ("Dog bark heard", more),
        ("Siren heard", more),
    ]
    assert caplog.text.count("124 events were not told of") == 1


def test_what_is_not_taken_is_told_again_and_given_up_in_the_end(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.script.extend([500, 503, 200, *[404] * MOST_TRIES, 200])
    queued = Queued(
        Notify(context(), notify=url(receiver, user="ann:T0KEN"), notify_every=0.0), name="notify"
    )
    queued.result(heard(event(0)))
    queued.result(heard(event(1), event(2)))
    receiver.wait(lambda: len(receiver.accepted) == 2)
    queued.close()
    assert len(receiver.got) == 3 + MOST_TRIES + 1
    report = queued.report()
    assert (report.delivered, report.errors) == (2, 1)
    assert "json://***: " in caplog.text
    assert f"gave up after {MOST_TRIES} tries" in caplog.text
    assert "T0KEN" not in caplog.text


def test_of_several_services_only_those_are_asked_again_that_failed(tmp_path: Path) -> None:
    with Receiver() as good, Receiver() as bad:
        file = tmp_path / "apprise 100%.yml"
        file.write_text(f"urls:\n  - {url(good)}\n  - {url(bad)}\n")
        bad.script.append(500)
        notify = Notify(context(), notify=str(file))
        with pytest.raises(TryAgain):
            notify.result(heard(event(0)))
        notify.result(heard(event(0)))
        assert (len(good.got), len(bad.got), len(bad.accepted)) == (1, 2, 1)


def test_a_clip_that_a_service_does_not_take_is_left_out(receiver: Receiver, tmp_path: Path) -> None:
    clip = tmp_path / "a.flac"
    clip.write_bytes(b"fLaC")
    run = context()
    run.clips.put("", "", 0, clip)
    notify = Notify(run, notify=url(receiver))
    receiver.script.extend([413, 413])
    for _ in range(2):
        with pytest.raises(TryAgain, match="413"):
            notify.result(heard(event(0)))
    notify.result(heard(event(0)))
    assert [len(json.loads(got.body)["attachments"]) for got in receiver.got] == [1, 1, 0]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_addresses_are_in_no_log_and_no_report(
    caplog: pytest.LogCaptureFixture, level: int, tmp_path: Path
) -> None:
    from stream.outputs.catalogue import open_outputs

    caplog.set_level(level)
    caplog.set_level(level, "apprise")
    with Receiver() as receiver:
        target = url(receiver, user="T0KEN:T0KEN", path="/T0KEN?+X-Token=T0KEN")
    outputs = open_outputs({"notify": (target,)}, context())
    outputs.result(heard(event(0)))
    deadline = time.monotonic() + 20
    while "json://***" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    outputs.close()
    for wrong in ("foo://T0KEN", "tgram://T0KEN", "T0KEN:://"):
        with pytest.raises(UsageError) as caught:
            Notify(context(), notify=wrong)
        assert "T0KEN" not in str(caught.value) or "neither" in str(caught.value)
    assert "T0KEN" not in caplog.text + str(outputs.reports())


def test_what_apprise_does_not_understand_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yml"
    empty.write_text("urls:\n  - nonsense\n")
    for target, why in [
        ("", "is empty"),
        ("nonsense", "neither an address"),
        (str(tmp_path), "neither an address"),
        ("nonsense://x", "does not understand"),
        (str(empty), "holds no address"),
    ]:
        with pytest.raises(UsageError, match=why):
            Notify(context(), notify=target)


def test_without_apprise_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(OutputError, match=r"Apprise is not installed; run .*\[notify\]"):
        Notify(context(), notify="json://localhost")
