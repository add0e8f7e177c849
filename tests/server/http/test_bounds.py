"""Nobody takes more than a share: headers, connections, requests; and the figures that count it."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream.errors import UsageError
from stream.server.limits import Limits, limits_of
from tests.support.command import DEADLINE_SECONDS, wait_for
from tests.support.served import ServedApp, client_of, served, toy_app
from tests.support.stations import spec
from tests.support.stream_peer import Peer


def talk(each: ServedApp, *pieces: bytes, seconds: float = DEADLINE_SECONDS) -> bytes:
    """All that the server answers until it closes."""
    with socket.create_connection(each.address, seconds) as peer:
        for piece in pieces:
            peer.sendall(piece)
        found = b""
        while True:
            try:
                data = peer.recv(65536)
            except ConnectionResetError:
                return found
            if not data:
                return found
            found += data


def test_headers_that_do_not_end_are_given_up() -> None:
    with served(toy_app(header_seconds=0.2)) as each:
        assert talk(each) == b""
        assert talk(each, b"GET /healthz HT") == b""
        assert talk(each, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ") == b""
        first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.create_connection(each.address, DEADLINE_SECONDS) as peer:  # the second of a connection
            peer.sendall(first)
            assert peer.recv(65536).startswith(b"HTTP/1.1 200")
            peer.sendall(b"GET /healthz HTTP/1.1\r\nHo")
            while data := peer.recv(65536):
                assert b"HTTP" not in data
        with httpx.Client(base_url=each.url) as client:
            assert client.get("/healthz").status_code == 200


def test_headers_that_are_too_large_and_what_is_no_http() -> None:
    with served(toy_app(header_bytes=4096)) as each:
        for sent in (
            b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: " + b"x" * 10_000 + b"\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"hello\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\n\r\n",  # no host
            b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
            b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ):
            answer = talk(each, sent)
            assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ")), sent[:40]
            assert b'"bad_request"' in answer or b'"headers_too_large"' in answer
        with httpx.Client(base_url=each.url) as client:
            assert client.get("/healthz").status_code == 200


def test_so_many_requests_at_one_time_and_health_is_always_answered() -> None:
    app = toy_app(requests=2, body_seconds=30.0)
    with served(app) as each, ExitStack() as stack:
        for _ in range(2):
            peer = stack.enter_context(socket.create_connection(each.address, 10))
            peer.sendall(b"POST /v1/sources HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        client = stack.enter_context(httpx.Client(base_url=each.url, timeout=DEADLINE_SECONDS))
        wait_for(lambda: client.get("/v1/model").status_code == 503, "both to be waited for")
        answer = client.get("/v1/model")
        assert answer.json()["error"]["code"] == "busy"
        assert answer.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200


def figures(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (
            sample.name.removeprefix("stream_classify_"),
            *(sample.labels[name] for name in sorted(sample.labels)),
        ): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_figures_count_what_happens(tmp_path: Any) -> None:
    import numpy as np
    import soundfile

    from tests.support.sounds import make

    path = tmp_path / "sound.wav"
    soundfile.write(path, np.concatenate([make("noise", 16000), make("speech", 16000)] * 2), 16000)
    app = toy_app(spec("file", str(path), fast=True), spec("tone", "sim:tone?loop=forever&xrun@300ms&n=900"))
    with client_of(app) as client, Peer(str(client.base_url)) as peer:
        assert peer.hello()["type"] == "ready"
        wait_for(lambda: figures(client)["source_state", "file", "ended"] == 1, "the file to end")
        wait_for(lambda: figures(client).get(("gaps_total", "tone"), 0) >= 1, "the gap")
        client.get("/v1/model", headers={"Host": "a", "Origin": "b"})
        client.delete("/v1/sources/none")
        client.post("/v1/classify", content=path.read_bytes()).read()
        found = figures(client)
        glance = client.get("/v1/sources/file").json()
        counted = sum(value for key, value in found.items() if key[0] == "events_total" and "file" in key)
        assert counted == glance["events"] > 0
        assert found["source_rows_total", "file"] == glance["rows"] > 0
        assert found["source_heard_seconds_total", "file"] == pytest.approx(glance["seconds"])
        assert found["source_lost_seconds_total", "tone"] > 0
        assert found[("streams",)] == 1
        assert found["refused_total", "unknown_source"] == 1
        assert found[("files_total",)] == 1
        assert found["pool_streams", "toy"] >= 1
        assert found["pool_max_streams", "toy"] == 1000
        assert found[("draining",)] == 0
        assert found["pool_batched_total", "toy"] >= found["pool_batches_total", "toy"] > 0


def test_streams_that_are_refused_are_counted() -> None:
    with client_of(toy_app()) as client:
        with Peer(str(client.base_url)) as peer:
            peer.say({"type": "hello", "version": 99, "rate": 16000})
            assert peer.next()["type"] == "error"
        assert figures(client)["refused_total", "unsupported_version"] == 1


def test_two_stations_of_one_process_count_apart() -> None:
    with client_of(toy_app()) as one, client_of(toy_app()) as two:
        one.delete("/v1/sources/none")
        assert figures(one)["refused_total", "unknown_source"] == 1
        assert ("refused_total", "unknown_source") not in figures(two)


def test_limits_are_read_from_texts() -> None:
    found = limits_of({"file_bytes": "20MB", "drain-seconds": "2m", "streams": "7", "hello_seconds": 3})
    assert (found.file_bytes, found.drain_seconds, found.streams, found.hello_seconds) == (
        20_000_000,
        120.0,
        7,
        3.0,
    )
    assert limits_of({}) == Limits()
    assert limits_of({"streams": 9000}).connections > 9000
    for texts, wrong in (
        ({"speed": 1}, "there is none"),
        ({"streams": "many"}, "whole number"),
        ({"streams": 0}, ">= 1"),
        ({"streams": 2.5}, "int"),
        ({"file_bytes": "big"}, "size"),
        ({"drain_seconds": "-1s"}, "time"),
        ({"drain_seconds": float("nan")}, "drain_seconds"),
    ):
        with pytest.raises(UsageError, match=wrong):
            limits_of(texts)
