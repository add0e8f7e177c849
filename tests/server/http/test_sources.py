"""The station's own sources over HTTP: seen, added, changed and removed while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.command import wait_for
from tests.support.served import client_of, toy_app
from tests.support.stations import spec

TONE = "sim:tone?loop=forever"


@pytest.fixture(scope="module")
def app() -> Any:
    return toy_app(spec("door", TONE), spec("back room", TONE), json_bytes=4096)


@pytest.fixture(scope="module")
def client(app: Any) -> Iterator[httpx.Client]:
    with client_of(app) as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def names(client: httpx.Client) -> list[str]:
    return [each["name"] for each in client.get("/v1/sources").json()["sources"]]


def test_all_sources_at_a_glance(client: httpx.Client) -> None:
    def heard() -> bool:
        return all(each["rows"] for each in client.get("/v1/sources").json()["sources"])

    wait_for(heard, "rows of both")
    found = client.get("/v1/sources").json()
    assert [each["name"] for each in found["sources"]] == ["door", "back room"]
    assert found["streams"] == 0
    door = client.get("/v1/sources/back%20room").json()
    assert (door["name"], door["state"], door["input"]) == ("back room", "listening", TONE)
    assert set(door["probs"]) == set(door["labels"])
    assert code(client.get("/v1/sources/nobody")) == (404, "unknown_source")
    assert code(client.get("/v1/sources/..%2f..%2fetc")) == (404, "not_found")


def test_a_source_comes_changes_and_goes_and_the_others_do_not_notice(client: httpx.Client, app: Any) -> None:
    door = app.state.station.sources["door"]
    answer = client.post("/v1/sources", json={"name": "new", "input": TONE, "threshold": 0.9})
    assert answer.status_code == 201
    assert set(answer.json()["thresholds"].values()) <= {0.9}
    assert code(client.post("/v1/sources", json={"name": "new", "input": TONE})) == (409, "source_exists")
    wait_for(lambda: client.get("/v1/sources/new").json()["rows"] > 0, "rows")
    answer = client.put("/v1/sources/new", json={"input": TONE, "threshold": 0.8, "name": "newer"})
    assert answer.status_code == 200
    assert names(client) == ["door", "back room", "newer"]
    wait_for(lambda: client.get("/v1/sources/newer").json()["rows"] > 0, "rows")
    answer = client.patch("/v1/sources/newer", json={"thresholds": {"speech": 0.7}, "mute": ["music"]})
    assert answer.status_code == 200
    assert len(answer.json()["changes"]) == 2
    thresholds = client.get("/v1/sources/newer").json()["thresholds"]
    assert (thresholds["speech"], thresholds["music"]) == (0.7, None)
    assert client.delete("/v1/sources/newer").status_code == 204
    assert code(client.delete("/v1/sources/newer")) == (404, "unknown_source")
    assert names(client) == ["door", "back room"]
    assert app.state.station.sources["door"] is door


@pytest.mark.parametrize(
    ("table", "status", "kind", "wrong"),
    [
        ({}, 400, "invalid_source", "has no name"),
        ({"name": "a/b", "input": TONE}, 400, "invalid_source", "name 'a/b'"),
        ({"name": "x", "input": TONE, "speed": 2}, 400, "invalid_source", "speed"),
        ({"name": "x", "input": TONE, "threshold": "high"}, 400, "invalid_source", "threshold"),
        ({"name": "x", "input": "-"}, 400, "invalid_source", "standard input"),
        ({"name": "x", "input": "sim:what?"}, 0, "", ""),
        ({"name": "x", "input": None}, 400, "invalid_source", "input"),
        ({"name": "x", "input": [[[TONE]]]}, 400, "invalid_source", "input"),
        ({"name": "x", "input": TONE, "exec": "touch /tmp/owned"}, 403, "outputs_not_here", "exec"),
        ({"name": "x", "input": TONE, "jsonl": "/tmp/x"}, 403, "outputs_not_here", "jsonl"),
        ({"name": "x", "input": TONE, "output": [{"kind": "exec"}]}, 403, "outputs_not_here", "output"),
        ({"name": "x", "input": TONE, "exec_shell": "x"}, 403, "outputs_not_here", "exec_shell"),
        ([], 400, "invalid_body", "object"),
        ({"name": "x" * 5000}, 413, "too_large", "4096"),
    ],
)
def test_what_is_wrong_with_a_source_is_told_and_changes_nothing(
    client: httpx.Client, table: Any, status: int, kind: str, wrong: str
) -> None:
    answer = client.post("/v1/sources", json=table)
    if not status:  # an input that cannot be opened is tried again, as for a microphone that is not there
        assert answer.status_code == 201
        assert client.delete("/v1/sources/x").status_code == 204
        return
    assert code(answer) == (status, kind)
    assert wrong in answer.json()["error"]["message"]
    assert names(client) == ["door", "back room"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b'{"thresholds": {"speech": 2}}', "invalid_body"),
        (b'{"thresholds": {"speech": NaN}}', "invalid_json"),
        (b'{"volume": 1}', "invalid_body"),
        (b'{"thresholds": {"nobody": 0.5}}', "invalid_source"),
        (b'{"mute": ["nobody"]}', "invalid_source"),
    ],
)
def test_bodies_that_are_not_what_is_wanted(client: httpx.Client, body: bytes, kind: str) -> None:
    answer = client.patch("/v1/sources/door", content=body)
    assert code(answer) == (400, kind)


def test_what_is_nested_without_end_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/sources", content=b'{"name":' + b"[" * 4000)
    assert code(answer) == (400, "invalid_json")


def test_pages_of_others_change_nothing(client: httpx.Client) -> None:
    for origin in ("https://evil.example", "null"):
        answer = client.post("/v1/sources", json={"name": "x", "input": TONE}, headers={"Origin": origin})
        assert code(answer) == (403, "wrong_origin")
        assert code(client.delete("/v1/sources/door", headers={"Origin": origin})) == (403, "wrong_origin")
    own = str(client.base_url).rstrip("/")
    answer = client.patch("/v1/sources/door", json={"mute": []}, headers={"Origin": own})
    assert answer.status_code == 200
