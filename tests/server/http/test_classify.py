"""Recordings sent to a station: the lines of the command line, to the bit; and everything that is no recording."""

from __future__ import annotations

import io
import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from stream.capture.files import FileSource
from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.outputs.jsonl import JsonLines
from stream.outputs.records import Origin
from stream.runner import run
from tests.support.command import DEADLINE_SECONDS, wait_for
from tests.support.served import served, toy_app
from tests.support.sounds import make
from tests.support.stations import toy_model


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    app = toy_app(file_bytes=4_000_000, files=2, files_waiting=1, body_seconds=0.5)
    with served(app) as each, httpx.Client(base_url=each.url, timeout=DEADLINE_SECONDS) as client:
        yield client


def sound(path: Path, seconds: int = 6, **options: Any) -> Path:
    samples = np.concatenate([make("speech", 16000 * seconds // 2), make("tone", 16000 * seconds // 2)])
    soundfile.write(path, samples, 16000, **options)
    return path


def expected(path: Path, *, scores: bool = False, onsets: bool = False, **options: Any) -> bytes:
    """What the command line writes."""
    model = toy_model()
    with tempfile.TemporaryDirectory() as folder:
        origin = Origin(path.name, model.card.name, model.sha256)
        lines = JsonLines(f"{folder}/lines", origin, live=False, scores=scores, onsets=onsets)
        run(FileSource(path), StreamClassifier(model, **options), [lines])
        return Path(folder, "lines").read_bytes()


def post(client: httpx.Client, data: Any, **query: Any) -> httpx.Response:
    return client.post("/v1/classify", content=data, params=query)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


@pytest.mark.parametrize(
    ("name", "options"), [("a.wav", {}), ("a.flac", {}), ("a.ogg", {}), ("24.wav", {"subtype": "PCM_24"})]
)
def test_the_lines_are_those_of_the_command_line(
    client: httpx.Client, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    path = sound(tmp_path / name, **options)
    answer = post(client, path.read_bytes(), name=name)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.content == expected(path)
    assert answer.content.count(b"\n") > 2
    wanted = expected(path, scores=True, onsets=True)
    assert post(client, path.read_bytes(), name=name, scores=1, onsets="true", model="toy").content == wanted


def test_rules_groups_and_channel_are_asked_for_in_the_address(client: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "two.wav"
    mono = make("speech", 48000)
    soundfile.write(path, np.stack([mono, 0.001 * mono[::-1]], axis=1), 16000)
    rule = ClassRule(threshold=0.3, min_on=0.03, min_off=0.4)
    rules = DetectorSpec(default=rule, classes={"music": ClassRule(threshold=0.9, min_on=0.03, min_off=0.4)})
    derived = DerivedSpec(groups={"sound": ("speech", "music")}, loud=-30.0)
    answer = post(
        client,
        path.read_bytes(),
        name="two.wav",
        threshold=["0.3", "music=0.9"],
        min_off="0.4",
        group="sound=speech,music",
        loud="-30dBFS",
        channel="2",
    )
    model = toy_model()
    found = [json.loads(line) for line in answer.content.splitlines()]
    assert answer.status_code == 200
    classifier = StreamClassifier(model, derived.detector(rules), derived=derived)
    assert {each["label"] for each in found if each["type"] == "event"} <= set(classifier.labels)
    # The same by the library.
    with tempfile.TemporaryDirectory() as folder:
        lines = JsonLines(f"{folder}/l", Origin("two.wav", model.card.name, model.sha256), live=False)
        spec = derived.detector(model.card.detector)
        from stream.settings.layered_rules import RuleSetting, lay_over

        asked = [("threshold", None, 0.3), ("threshold", "music", 0.9), ("min_off", None, 0.4)]
        spec, _ = lay_over(spec, derived.labels(model.labels), [RuleSetting(*each, "") for each in asked])
        run(FileSource(path, channel=2), StreamClassifier(model, spec, derived=derived), [lines])
        assert answer.content == Path(folder, "l").read_bytes()


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"threshold": "x"}, "threshold 'x'"),
        ({"threshold": "nobody=0.5"}, "no class 'nobody'"),
        ({"threshold": "2"}, "threshold"),
        ({"min_on": "nan"}, "min_on"),
        ({"loud": "x"}, "want a level"),
        ({"group": "sound"}, "group 'sound'"),
        ({"channel": "3"}, "channel"),
        ({"channel": "x"}, "channel"),
        ({"scores": "perhaps"}, "scores"),
        ({"scores": ["1", "0"]}, "given 2 times"),
        ({"speed": "1"}, "unknown field"),
        ({"name": "x" * 201}, "name"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(
    client: httpx.Client, tmp_path: Path, query: dict[str, Any], wrong: str
) -> None:
    answer = post(client, sound(tmp_path / "a.wav", 2).read_bytes(), **query)
    assert (answer.status_code, code(answer)) == (400, "invalid_parameter")
    assert wrong in answer.json()["error"]["message"]


def test_what_is_no_recording_is_told_and_not_where_it_lies(client: httpx.Client) -> None:
    for data in (b"x", b"\0" * 100_000, b"RIFF" + b"\xff" * 60, b"<html>", json.dumps({"a": 1}).encode()):
        answer = post(client, data, name="mine.wav")
        assert (answer.status_code, code(answer)) == (422, "unreadable_audio"), data[:10]
        assert "mine.wav" in answer.json()["error"]["message"]
        assert tempfile.gettempdir() not in answer.text
    assert code(post(client, b"")) == "empty_body"
    assert code(post(client, b"x", model="none")) == "unknown_model"


def test_a_recording_that_breaks_off_ends_with_a_line_that_says_so(
    client: httpx.Client, tmp_path: Path
) -> None:
    data = sound(tmp_path / "a.flac").read_bytes()
    answer = post(client, data[: len(data) // 2], name="a.flac")
    *lines, last = answer.content.splitlines()
    assert answer.status_code == 200
    assert lines
    assert all(json.loads(line)["type"] in ("event", "status", "gap") for line in lines)
    error = json.loads(last)["error"]
    assert error["code"] == "truncated"
    assert error["message"].startswith("a.flac: damaged or cut off after")


def test_forms_and_encoded_bodies_are_refused_with_a_way_out(client: httpx.Client) -> None:
    answer = client.post("/v1/classify", files={"file": ("a.wav", b"x")})
    assert (answer.status_code, code(answer)) == (415, "multipart")
    assert "--data-binary" in answer.json()["error"]["message"]
    answer = client.post("/v1/classify", content=b"x", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, code(answer)) == (415, "encoded_body")


@pytest.mark.parametrize("stated", [True, False])
def test_too_large_a_body_is_refused_whether_or_not_it_says_so(client: httpx.Client, stated: bool) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(5):
            yield b"\0" * 1_000_000

    try:
        answer = post(client, b"".join(pieces()) if stated else pieces())
    except httpx.TransportError:  # closed while it was still sending, which takes longer on a busy machine
        return
    assert (answer.status_code, code(answer)) == (413, "too_large")


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is sent is kept for a while."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_slow_body_is_given_up_and_nothing_is_left_of_it(uploads: Path) -> None:
    with served(toy_app(body_seconds=0.2)) as each, socket.create_connection(each.address, 10) as peer:
        peer.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        answer = peer.makefile("rb").read()
        assert b" 408 " in answer.split(b"\r\n", 1)[0]
        assert b"slow_body" in answer
        wait_for(lambda: not any(uploads.iterdir()), "the temporary file to go")


def long_recording() -> bytes:
    """An hour of silence in few bytes."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(3600 * 8000, np.int16), 8000, format="FLAC")
    return file.getvalue()


def test_a_client_that_leaves_stops_the_work_and_makes_room(uploads: Path) -> None:
    data = long_recording()
    app = toy_app(files=1, files_waiting=1)
    with served(app) as each, httpx.Client(base_url=each.url, timeout=DEADLINE_SECONDS) as client:
        with client.stream("POST", "/v1/classify", content=data, params={"scores": 1}) as answer:
            lines = answer.iter_lines()  # kept: without it, the answer would be closed
            next(lines)
            assert app.state.turns.admitted == 1
            with httpx.Client(base_url=each.url, timeout=DEADLINE_SECONDS) as other:
                # One more may wait, the next is refused.
                peer = socket.create_connection(each.address, 10)
                peer.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
                wait_for(lambda: app.state.turns.admitted == 2, "the second")
                refused = post(other, b"x")
                assert (refused.status_code, code(refused)) == (503, "busy")
                assert int(refused.headers["retry-after"]) > 0
                peer.close()
        wait_for(lambda: app.state.turns.admitted == 0, "both to be given up")
        wait_for(lambda: not any(uploads.iterdir()), "the temporary files to go")
        assert post(client, b"x").status_code == 422


def test_a_client_that_reads_no_answer_is_left() -> None:
    data = long_recording()
    app = toy_app(reader_seconds=0.3)
    with served(app) as each, socket.create_connection(each.address, 10) as peer:
        head = (
            f"POST /v1/classify?scores=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        peer.sendall(head.encode() + data)
        wait_for(lambda: app.state.turns.admitted == 1, "it to begin")
        wait_for(lambda: app.state.turns.admitted == 0, "it to be given up")
