"""Events over HTTP: those of a history, those from now on, and their sound."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from stream.logbook.reader import HistoryReader
from stream.outputs.schema import SCHEMA_VERSION, EventRecord
from stream.outputs.wall_time import rfc3339
from stream.server.http import event_stream
from stream.server.hub_message import HubMessage
from tests.support.command import DEADLINE_SECONDS, wait_for
from tests.support.served import ServedApp, client_of, served, toy_app
from tests.support.sounds import make
from tests.support.stations import spec


def recording(folder: Path) -> str:
    """With some events."""
    kinds = ("speech", "tone", "noise", "speech", "noise", "tone")
    path = folder / "sound.wav"
    soundfile.write(path, np.concatenate([make(kind, 16000) for kind in kinds * 2]), 16000)
    return str(path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def app(kept: Path) -> Any:
    tables = {"history": str(kept / "heard.sqlite"), "fast": True}
    sound = recording(kept)
    one = spec("one", sound, clips=str(kept / "clips"), **tables)
    return toy_app(one, spec("two", sound, **tables), page_events=50)


@pytest.fixture(scope="module")
def client(app: Any) -> Iterator[httpx.Client]:
    with client_of(app) as client:
        wait_for(lambda: {each.state for each in app.state.station.glance()} == {"ended"}, "both to be heard")
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_pages_of_a_history_are_all_of_it_once_and_in_order(client: httpx.Client, kept: Path) -> None:
    with HistoryReader(kept / "heard.sqlite") as history:
        wanted = [(each.run.id, each.number, each.label) for each in history.events()]
    assert len(wanted) > 6
    found, after, pages = [], "", 0
    while True:
        page = client.get("/v1/events", params={"limit": 3, **({"after": after} if after else {})}).json()
        assert len(page["events"]) <= 3
        found += [(*map(int, each["id"].split("-")), each["label"]) for each in page["events"]]
        pages += 1
        if page["next"] is None:
            break
        after = page["next"]
    assert found == wanted
    assert pages == -(-len(wanted) // 3)


def test_a_history_is_asked_by_time_class_and_source(client: httpx.Client) -> None:
    every = client.get("/v1/events").json()["events"]
    for key, name in (("source", "one"), ("label", every[0]["label"])):
        some = client.get("/v1/events", params={key: name}).json()["events"]
        assert some == [each for each in every if each[key] == name]
        assert some
    assert client.get("/v1/events", params={"label": "nobody"}).json()["events"] == []
    middle = every[len(every) // 2]
    since = client.get("/v1/events", params={"since": middle["offset"]}).json()["events"]
    assert {each["id"] for each in since} >= {
        each["id"] for each in every if each["onset"] >= middle["offset"]
    }
    until = client.get("/v1/events", params={"until": middle["onset"]}).json()["events"]
    assert [each["id"] for each in until] == [each["id"] for each in every if each["onset"] < middle["onset"]]
    for text in ("2001-01-01", "2001-01-01T00:00:00+01:00", "978307200", "2001-01-01T00:00"):
        assert client.get("/v1/events", params={"until": text}).json()["events"] == []
        assert client.get("/v1/events", params={"since": text}).json()["events"] == every


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"until": "inf"},
        {"since": "1e300"},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "many"},
        {"after": "x"},
        {"after": "1_2"},
        {"source": ["one", "two"]},
        {"kinds": "event"},
        {"what": "x"},
    ],
)
def test_questions_that_make_no_sense(client: httpx.Client, query: dict[str, Any]) -> None:
    assert code(client.get("/v1/events", params=query)) == (400, "invalid_parameter")


def test_the_sound_of_an_event_and_parts_of_it(client: httpx.Client) -> None:
    events = client.get("/v1/events", params={"source": "one"}).json()["events"]
    named = [each for each in events if each["clip"]]
    assert named
    whole = client.get(named[0]["clip"])
    assert whole.status_code == 200
    assert whole.headers["content-type"] in ("audio/flac", "audio/wav")
    samples, _ = soundfile.read(io.BytesIO(whole.content))
    assert len(samples) > 0
    part = client.get(named[0]["clip"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert client.get(named[0]["clip"], headers={"Range": "bytes=99999999-"}).status_code == 416


def test_only_clips_of_events_can_be_asked_for(client: httpx.Client, app: Any, kept: Path) -> None:
    for path in (
        "1-99999",
        "99-0",
        "x",
        "1",
        "-",
        "1-",
        "1-0-0",
        "9" * 40 + "-1",
        "..%2f..%2fetc%2fpasswd",
        "%00",
    ):
        answer = client.get(f"/v1/clips/{path}")
        assert answer.status_code == 404, path
        assert "error" in answer.json()
    # A history that names something else as the sound of an event gives nothing away.
    import sqlite3

    secret = kept / "secret"
    secret.write_text("nothing for others")
    link = kept / "link.flac"
    link.symlink_to(next((kept / "clips").rglob("*.flac")))
    connection = sqlite3.connect(kept / "heard.sqlite")
    for named in (str(secret), "/etc/passwd", str(link), str(kept), "/dev/zero", str(kept / "gone.flac"), ""):
        connection.execute(
            "UPDATE events SET clip = ? WHERE run = (SELECT id FROM runs WHERE source = 'two')", (named,)
        )
        connection.commit()
        for event in client.get("/v1/events", params={"source": "two"}).json()["events"][:1]:
            assert code(client.get(event["clip"])) == (404, "unknown_clip"), named
    connection.close()


def test_a_station_without_history_says_so() -> None:
    with client_of(toy_app()) as client:
        assert code(client.get("/v1/events")) == (404, "no_history")
        assert code(client.get("/v1/clips/1-1")) == (404, "unknown_clip")


def record(label: str, source: str = "one") -> HubMessage:
    now = time.time()
    made = EventRecord(
        schema=SCHEMA_VERSION, id=0, label=label, onset=0.0, onset_sample=0, offset=1.0, offset_sample=16000,
        duration=1.0, peak=0.9, mean=0.8, decided_sample=16000, sample_rate=16000, gap_ms=0.0, cut=False,
        t_wall=rfc3339(now), source=source, stream="", model="toy", model_sha256="",
    )  # fmt: skip
    return HubMessage("event", source, made)


class Followed:
    """Reads server-sent events."""

    def __init__(self, answer: httpx.Response) -> None:
        self.lines = answer.iter_lines()
        self.comments = 0

    def next(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        found: dict[str, Any] = {}
        for line in self.lines:
            if not line:
                if found.get("event"):
                    return found
                found = {}
            elif line.startswith(":"):
                self.comments += 1
            else:
                name, _, value = line.partition(": ")
                found[name] = json.loads(value) if name in ("data", "id", "retry") else value
        return None


def follow(client: httpx.Client, headers: dict[str, str] | None = None, **query: Any) -> Any:
    return client.stream(
        "GET", "/v1/events", params=query, headers={"Accept": "text/event-stream", **(headers or {})}
    )


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ServedApp, Any]]:
    app = toy_app(watchers=2, watcher_room=5, drain_seconds=30.0)
    with served(app) as each:
        yield each, app


def client_at(each: ServedApp) -> httpx.Client:
    return httpx.Client(base_url=each.url, timeout=DEADLINE_SECONDS)


def test_events_from_now_on_as_they_come_and_the_end_says_why(station: tuple[ServedApp, Any]) -> None:
    each, app = station
    with client_at(each) as client, follow(client, source="one") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        followed = Followed(answer)
        app.state.station.hub.publish(record("speech"))
        app.state.station.hub.publish(record("speech", "two"))
        app.state.station.hub.publish(record("music"))
        first, second = followed.next(), followed.next()
        assert first is not None
        assert second is not None
        assert (first["event"], first["data"]["label"], second["data"]["label"]) == (
            "event",
            "speech",
            "music",
        )
        assert abs(first["id"] - 1000 * time.time()) < 60_000
        each.server.drain()
        last = followed.next()
        assert last is not None
        assert last["event"] == "end"
        assert "stop" in last["data"]["reason"] or "end" in last["data"]["reason"]
        assert followed.next() is None
    wait_for(lambda: app.state.followers == 0, "the place to be free")


def test_silence_is_broken_by_comments(
    station: tuple[ServedApp, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    each, app = station
    monkeypatch.setitem(event_stream.pieces.__kwdefaults__, "heartbeat", 0.02)
    with client_at(each) as client, follow(client) as answer:
        followed = Followed(answer)
        for line in followed.lines:
            if line.startswith(":"):
                break
        app.state.station.hub.publish(record("speech"))
        message = followed.next()
        assert message is not None
        assert message["event"] == "event"


def test_there_is_room_for_so_many_who_follow(station: tuple[ServedApp, Any]) -> None:
    each, app = station
    with client_at(each) as client:
        with follow(client) as one, follow(client) as two:
            assert one.status_code == two.status_code == 200
            refused = client.get("/v1/events", headers={"Accept": "text/event-stream"})
            assert code(refused) == (503, "busy")
        wait_for(lambda: app.state.followers == 0, "those who left to be noticed")
        with follow(client) as again:
            assert again.status_code == 200
    assert len(app.state.station.hub) <= 2  # the figures follow too


def test_whoever_reads_too_slowly_is_told_and_keeps_nobody(station: tuple[ServedApp, Any]) -> None:
    each, app = station
    hub = app.state.station.hub
    with client_at(each) as client, follow(client) as answer:
        followed = Followed(answer)
        next(followed.lines)
        label = "x" * 500_000  # soon more than sockets hold
        for _ in range(60):
            hub.publish(record(label))
        heard = []
        while message := followed.next():
            heard.append(message)
        assert heard[-1]["event"] == "end"
        assert "too slow" in heard[-1]["data"]["reason"]
        assert {each["event"] for each in heard[:-1]} == {"event"}


def test_what_was_missed_comes_from_the_history_first(tmp_path: Path) -> None:
    source = spec("one", recording(tmp_path), fast=True, history=str(tmp_path / "heard.sqlite"))
    app = toy_app(source)
    begin = round(1000 * time.time())
    with served(app) as each, client_at(each) as client:
        wait_for(lambda: app.state.station.glance()[0].state == "ended", "the source to be heard")
        wanted = client.get("/v1/events").json()["events"]
        assert len(wanted) > 2
        with follow(client, {"Last-Event-ID": str(begin)}) as answer:
            followed = Followed(answer)
            got = [followed.next() for _ in wanted]
            assert [message and message["event"] for message in got] == ["heard"] * len(wanted)
            assert [message and message["data"] for message in got] == wanted
            app.state.station.hub.publish(record("speech"))
            message = followed.next()
            assert message is not None
            assert message["event"] == "event"
        later = round(1000 * (time.time() + 100))
        for told in (str(later), "x", "-1", "9" * 30, ""):
            with follow(client, {"Last-Event-ID": told}) as answer:
                followed = Followed(answer)
                next(followed.lines)
                app.state.station.hub.publish(record("speech"))
                message = followed.next()
                assert message is not None
                assert message["event"] == "event"


def test_scores_and_levels_are_followed_where_they_are_asked_for() -> None:
    app = toy_app(spec("tone", "sim:tone?loop=forever"))
    with client_of(app) as client, follow(client, kinds=["scores", "level"]) as answer:
        followed = Followed(answer)
        seen = set()
        while seen < {"scores", "level"}:
            message = followed.next()
            assert message is not None
            seen.add(message["event"])
            if message["event"] == "scores":
                assert np.isclose(sum(message["data"]["probs"].values()), 1, atol=3)
    with client_of(toy_app()) as client:
        assert code(client.get("/v1/events?kinds=all", headers={"Accept": "text/event-stream"}))[0] == 400
        assert code(client.get("/v1/events?since=1", headers={"Accept": "text/event-stream"}))[0] == 400
