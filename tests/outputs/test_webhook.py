"""--webhook: every event arrives, once by its id and in order, whatever the receiver and this machine do meanwhile."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from stream.errors import OutputError, UsageError
from stream.outputs.queued import Queued
from stream.outputs.schema import json_schema
from stream.outputs.webhook import Webhook
from tests.support.command import ROOT, environment, running, stream_classify
from tests.support.happenings import begun, context, event, heard
from tests.support.receiver import Receiver


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.outputs.courier.FIRST_PAUSE_SECONDS", 0.005)
    monkeypatch.setattr("stream.outputs.courier.LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("stream.outputs.webhook.LAST_SECONDS", 0.3)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def webhook(receiver: Receiver, tmp_path: Path, **options: Any) -> Webhook:
    return Webhook(context(), webhook=receiver.url(), webhook_spool=str(tmp_path / "spool"), **options)


def ids(receiver: Receiver) -> list[str]:
    """What was accepted, as a receiver sees it that drops what it knows."""
    return list(dict.fromkeys(got.id for got in receiver.accepted))


def test_the_record_of_the_json_lines_is_posted(receiver: Receiver, tmp_path: Path) -> None:
    hook = webhook(receiver, tmp_path)
    hook.result(heard(begun(0), captured_at=1.0))
    hook.result(heard(event(0), event(1, "siren"), stream="door", captured_at=2.0))
    receiver.wait(lambda: len(receiver.accepted) == 2)
    hook.close()
    records = [json.loads(got.body) for got in receiver.accepted]
    for record in records:
        jsonschema.validate(record, json_schema())
    assert [(r["type"], r["id"], r["label"], r["stream"], r["source"]) for r in records] == [
        ("event", 0, "dog bark", "door", "usb mic"),
        ("event", 1, "siren", "door", "usb mic"),
    ]
    assert all(record["t_wall"] for record in records)
    assert len(set(ids(receiver))) == 2
    assert "webhook-signature" not in receiver.got[0].headers


def test_beginnings_are_posted_on_request_with_ids_of_their_own(receiver: Receiver, tmp_path: Path) -> None:
    hook = webhook(receiver, tmp_path, webhook_onsets=True)
    hook.result(heard(begun(0)))
    hook.result(heard(event(0)))
    receiver.wait(lambda: len(ids(receiver)) == 2)
    hook.close()
    assert [json.loads(got.body)["type"] for got in receiver.accepted] == ["onset", "event"]


def test_a_recording_has_no_wall_times(receiver: Receiver, tmp_path: Path) -> None:
    from stream.messages import SourceInfo

    hook = Webhook(
        context(source=SourceInfo("a.wav", 16000)), webhook=receiver.url(), webhook_spool=str(tmp_path)
    )
    hook.result(heard(event(0), captured_at=3.0))
    receiver.wait(lambda: len(receiver.accepted) == 1)
    hook.close()
    assert json.loads(receiver.accepted[0].body)["t_wall"] is None


def test_what_fails_is_sent_again_with_the_same_id_and_in_order(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.outputs.post.Poster.__init__.__defaults__", (0.2,))
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    wrong = [
        500,
        (429, {"Retry-After": "0"}),
        "cut",
        503,
        (302, {"Location": "http://127.0.0.1:1/"}),
        "hang",
        408,
    ]
    receiver.script.extend([200, *wrong, "drip", 200])
    hook = webhook(receiver, tmp_path, webhook_secret_file=str(secret))
    for number in range(3):
        hook.result(heard(event(number)))
    receiver.wait(lambda: len(ids(receiver)) == 3)
    hook.close()
    assert [json.loads(got.body)["id"] for got in receiver.got] == [0, *[1] * 9, 2]
    assert len({got.id for got in receiver.got}) == 3
    assert all(got.headers["webhook-signature"].startswith("v1,") for got in receiver.got)


def test_a_receiver_that_is_busy_is_left_alone_as_long_as_it_asks(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("stream.outputs.courier.Courier._wait", lambda self, seconds: pauses.append(seconds))
    receiver.script.extend([(429, {"Retry-After": "90"}), (503, {"Retry-After": "999999"}), 500])
    hook = webhook(receiver, tmp_path)
    hook.result(heard(event(0)))
    receiver.wait(lambda: len(ids(receiver)) == 1)
    hook.close()
    assert pauses == [90.0, 3600.0, 0.02]


def test_what_the_receiver_will_never_take_is_counted_and_left(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.script.extend([422, 200, 410])
    queued = Queued(hook := webhook(receiver, tmp_path), wants=Webhook.WANTS)
    for number in range(4):
        queued.result(heard(event(number)))
    receiver.wait(lambda: len(receiver.got) == 4 and not len(hook._spool))
    report = queued.report()
    queued.close()
    assert [json.loads(got.body)["id"] for got in receiver.accepted] == [1, 3]
    assert (report.delivered, report.errors, report.waiting, report.trouble) == (2, 2, 0, "")
    assert caplog.text.count("refused event") == 1
    assert "answers 422" in caplog.text


def test_events_of_a_run_without_a_receiver_are_sent_by_the_next_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver() as away:
        port = away.port
    queued = Queued(webhook(away, tmp_path), wants=Webhook.WANTS)
    for number in range(5):
        queued.result(heard(event(number)))
    deadline = time.monotonic() + 20
    while queued.report().waiting < 5 or "refused" not in queued.report().trouble:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    queued.close()
    assert "5 events wait in" in caplog.text
    with Receiver(port) as receiver:
        hook = webhook(receiver, tmp_path)
        hook.result(heard(event(0, "siren")))
        receiver.wait(lambda: len(ids(receiver)) == 6)
        hook.close()
    records = [json.loads(got.body) for got in receiver.accepted]
    assert [(r["id"], r["label"]) for r in records] == [*((n, "dog bark") for n in range(5)), (0, "siren")]
    assert "5 events of earlier runs wait" in caplog.text


def test_a_spool_that_is_full_is_said_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Receiver() as away:
        pass
    queued = Queued(webhook(away, tmp_path, webhook_spool_size="100kB"), wants=Webhook.WANTS)
    most = 100_000 // 4096
    for number in range(most + 3):
        queued.result(heard(event(number)))
    deadline = time.monotonic() + 20
    while f"full ({most} messages)" not in queued.report().trouble:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert queued.report().waiting == most + 3
    queued.close()
    report = queued.report()
    assert (report.waiting, report.dropped + report.errors) == (most, 3)
    assert "is full" in caplog.text


def test_a_receiver_that_hangs_does_not_hold_up_the_end(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = "hang"
    queued = Queued(webhook(receiver, tmp_path), wants=Webhook.WANTS)
    queued.result(heard(event(0)))
    receiver.wait(lambda: len(receiver.got) == 1)
    queued.close()
    assert "1 events wait in" in caplog.text
    assert "still busy" not in caplog.text


def test_passwords_are_in_no_log_and_no_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from stream.outputs.catalogue import open_outputs

    caplog.set_level(logging.DEBUG)
    with Receiver() as receiver:
        url = receiver.url("/T0KEN?key=T0KEN", user="T0KEN:T0KEN")
        receiver.script.append(404)
        outputs = open_outputs({"webhook": (url,), "webhook_spool": str(tmp_path)}, context())
        outputs.result(heard(event(0)))
        receiver.wait(lambda: len(receiver.got) == 1)
    outputs.result(heard(event(1)))
    outputs.close()
    said = caplog.text + str(outputs.reports()) + "".join(map(str, tmp_path.rglob("*")))
    assert "127.0.0.1" in said
    assert "T0KEN" not in said


@pytest.mark.parametrize("size", ["64", "1kB", "2PB", "-1MB", ""])
def test_sizes_of_spools_are_sizes(receiver: Receiver, tmp_path: Path, size: str) -> None:
    with pytest.raises(UsageError, match=r"--webhook-spool-size .*(want a size|from 100kB to 1TB)"):
        webhook(receiver, tmp_path, webhook_spool_size=size)


def test_a_spool_that_cannot_be_written_is_refused_at_once(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    with pytest.raises(OutputError, match="name a folder that can be written"):
        webhook(receiver, tmp_path)


def test_a_whole_run_without_a_receiver_and_then_one_with_it(tmp_path: Path) -> None:
    with Receiver() as away:
        port, url = away.port, away.url()
    words = ("--webhook", url, "--webhook-spool", str(tmp_path / "spool"), "--fast", "--jsonl")
    first = stream_classify("--input", str(ROOT / "assets/demo.ogg"), *words, str(tmp_path / "a.jsonl"))
    assert first.returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert f"{len(lines)} events wait in" in first.stderr
    with Receiver(port) as receiver:
        again = stream_classify("--input", "sim:silence?length=2s", *words, str(tmp_path / "b.jsonl"))
        assert again.returncode == 0
    assert [json.loads(got.body) for got in receiver.accepted] == lines
    assert len(ids(receiver)) == len(lines) > 5


CHILD = """
import itertools, os, sys
import msgspec, stream.outputs.courier, stream.outputs.records, stream.outputs.spool
from stream.outputs.webhook import Webhook
from tests.support.happenings import context, event, heard

for line in sys.stdin:  # everything is imported: a child starts at once
    pid = os.fork()
    if pid == 0:
        hook = Webhook(context(), webhook=sys.argv[1], webhook_spool=sys.argv[2])
        for number in itertools.count():
            result = heard(event(number))
            hook.result(result)
            os.write(1, f"{hook._id(result, result.events[0])}\\n".encode())
    print("pid", pid, flush=True)
    os.waitpid(pid, 0)
    print("end", flush=True)
"""


def test_nothing_reported_is_lost_when_the_process_is_killed_twenty_times(tmp_path: Path) -> None:
    chance = random.Random(17)
    reported: list[str] = []
    with Receiver() as receiver:
        receiver.script.extend(chance.choices([200, 500, "cut"], [8, 1, 1], k=400))
        parent = subprocess.Popen(
            [sys.executable, "-c", CHILD, receiver.url(), str(tmp_path / "spool")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(PYTHONPATH=str(ROOT)),
            text=True,
        )
        with running(parent):
            assert parent.stdin is not None
            assert parent.stdout is not None
            for _ in range(20):
                parent.stdin.write("\n")
                parent.stdin.flush()
                pid, left = 0, chance.randrange(12)  # events until it is killed
                for line in iter(parent.stdout.readline, ""):
                    if line.startswith("pid"):
                        pid = int(line.split()[1])
                    elif line == "end\n":
                        break
                    else:
                        reported.append(line.strip())
                        left -= 1
                    if left <= 0 and pid:
                        time.sleep(chance.uniform(0, 0.02))
                        os.kill(pid, signal.SIGKILL)
                        pid = 0
        hook = webhook(receiver, tmp_path)
        receiver.wait(lambda: not len(hook._spool))
        hook.close()
    assert len(reported) > 60
    arrived = ids(receiver)
    assert set(reported) <= set(arrived)
    assert len(set(arrived) - set(reported)) <= 20  # on disk, and killed before it was said
    order = {id: place for place, id in enumerate(arrived)}
    assert sorted(reported, key=order.__getitem__) == reported
