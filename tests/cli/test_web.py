"""``--web``: the page beside the plain command."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from stream.cli.web import WebPage, source_name
from stream.errors import UsageError
from stream.server.station.source_spec import check_name
from tests.support.command import DEADLINE_SECONDS, running, start, stream_classify, wait_for
from tests.support.extras import needs

needs("starlette", "uvicorn", "websockets", "prometheus_client")

TONE = "sim:tone?loop=forever&level=-20dB"


@contextmanager
def listening(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """The command with a page at a free port, and a client of that."""
    said = folder / "said"
    with said.open("wb") as errors, (folder / "lines").open("wb") as lines:
        child = start("--input", TONE, "--web", "0", *words, stdout=lines, stderr=errors)
        with running(child):
            wait_for(lambda: b"the page is at" in said.read_bytes(), "the address", child)
            found = re.search(r"http://127\.0\.0\.1:\d+/", said.read_text())
            assert found
            with httpx.Client(base_url=found[0], timeout=DEADLINE_SECONDS) as client:
                yield child, client


def test_the_page_shows_the_one_source_and_moves_its_thresholds(tmp_path: Path) -> None:
    history = tmp_path / "heard.sqlite"
    with listening(tmp_path, "--jsonl", "-", "--onsets", "--history", str(history)) as (child, client):
        assert "stream-classify" in client.get("/").text
        (source,) = client.get("/v1/sources").json()["sources"]
        assert (source["name"], source["state"]) == ("sim tone", "listening")
        with client.stream("GET", "/page/sources/sim tone/live") as live:
            told = next(line for line in live.iter_lines() if line.startswith("data: "))
        about = json.loads(told.removeprefix("data: "))
        assert about["labels"] == ["speech", "music", "noise"]
        assert about["rules"] is True
        assert client.get("/page/days/today").json()["empty"] in (True, False)
        answer = client.patch("/v1/sources/sim tone", json={"thresholds": {"noise": 0.77}})
        assert answer.status_code == 200, answer.text
        words = b"noise: threshold 0.77"
        wait_for(lambda: words in (tmp_path / "lines").read_bytes(), "the status among the JSON lines", child)
        begun = b'"type":"onset"'
        wait_for(lambda: begun in (tmp_path / "lines").read_bytes(), "something that is on", child)
        refused = client.get("/", headers={"Host": "elsewhere.example.org"})
        assert refused.status_code == 421
        child.send_signal(signal.SIGTERM)
        assert child.wait(DEADLINE_SECONDS) == 0
    with httpx.Client(base_url=client.base_url) as later, pytest.raises(httpx.ConnectError):
        later.get("/")
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert lines[-1]["type"] == "event", "what was on has ended"


def test_a_port_that_is_taken_is_told_before_anything_is_heard() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = stream_classify("--demo", "--web", str(port), "--jsonl", "-")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"port {port}: cannot listen there" in line
    assert "--web" in line


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UsageError, match=r"--web needs uvicorn, which is not installed; run: .*server"):
        WebPage(0)


@pytest.mark.parametrize(
    "device",
    ["USB Audio (hw:1,0)", "sim:tone", "rtsp://camera/live?x=1", "/", "", "…", "a" * 100, "été.wav", " -x- "],
)
def test_every_device_has_a_name_that_a_source_may_have(device: str) -> None:
    assert check_name(source_name(device))
