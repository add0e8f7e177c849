"""``stream-classify serve`` as it is met: refused, signalled, behind TLS, with a settings file."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from stream.cli import exit_code
from stream.cli.serve import serve
from stream.errors import StreamClassifyError
from stream.inference.session import Model
from stream.logbook.reader import HistoryReader
from stream.messages import Chunk
from stream.server.access.tokens import add_token
from tests.support.certificates import self_signed
from tests.support.command import DEADLINE_SECONDS, running, start, stream_classify, wait_for
from tests.support.stream_peer import Offline, Peer, as_s16, from_s16, noise


class Serving:
    """A station in a process of its own.

    Attributes:
        url: without a slash at the end.
        said: lines of standard error so far.
    """

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        wait_for(lambda: any("try: curl" in line for line in self.said), "the station to serve", child)
        self.url = re.findall(r"https?://[^/ ]+", " ".join(self.said))[0]

    def _read(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.said.append(line.decode())

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=DEADLINE_SECONDS, **options)

    def connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", int(self.url.rsplit(":", 1)[1])), DEADLINE_SECONDS)

    def ready(self) -> int:
        with self.client() as client:
            return client.get("/readyz").status_code

    def wait_until_said(self, words: str) -> None:
        wait_for(lambda: any(words in line for line in self.said), words, self.child)


@contextmanager
def serving(*words: str, **options: Any) -> Iterator[Serving]:
    with running(start("serve", "--port", "0", "--model", "small", *words, **options)) as child:
        yield Serving(child)


def refused(*words: str) -> tuple[int, str]:
    """Exit code and message, of the command within this process, which is quicker."""
    with pytest.raises(StreamClassifyError) as caught:
        serve.main(list(words), standalone_mode=False)
    assert "\n" not in str(caught.value)
    return exit_code(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("words", "code", "wrong"),
    [
        (["--host", "0.0.0.0"], 2, "without a token file only this machine is served"),
        (["--host", "::"], 2, "without a token file"),
        (["--host", "192.0.2.1", "--token-file", "{tokens}"], 2, "192.0.2.1 port 0: cannot listen there"),
        (["--trust-proxy", "127.0.0.1"], 2, "a proxy brings others"),
        (["--token-file", "{none}"], 2, "cannot be read"),
        (["--tls-cert", "{none}", "--tls-key", "{none}"], 2, "--tls-cert"),
        (["--tls-cert", "{tokens}", "--tls-key", "{tokens}"], 2, "are not a certificate and its key in PEM"),
        (["--tls-cert", "{tokens}"], 2, "give both, or none"),
        (["--limit", "speed=1"], 2, "limit speed: there is none of this name"),
        (["--limit", "speed"], 2, "want NAME=VALUE"),
        (["--limit", "file_bytes=much"], 2, "limit file_bytes 'much'"),
        (["--allow-origin", "house"], 2, "origin 'house'"),
        (["--trust-proxy", "everybody"], 2, "proxy 'everybody'"),
        (["--model", "huge"], 5, "no such file, and no bundled model"),
        (["--settings", "{none}"], 2, "No such file"),
        (["--new-token", "a"], 2, "give --token-file"),
        (["--new-token", "a b", "--token-file", "{new}"], 2, "token name 'a b'"),
        (
            ["--new-token", "a", "--scopes", "all", "--token-file", "{new}"],
            2,
            "there are listen, read, admin",
        ),
    ],
)
def test_what_is_refused_says_so_in_one_line(tmp_path: Path, words: list[str], code: int, wrong: str) -> None:
    tokens = tmp_path / "tokens"
    add_token(tokens, "a", ["read"])
    names = {"tokens": tokens, "none": tmp_path / "none", "new": tmp_path / "new"}
    found, message = refused("--port", "0", *(word.format(**names) for word in words))
    assert (found, wrong in message) == (code, True), message


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = stream_classify("serve", "--port", str(port))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"127.0.0.1 port {port}: cannot listen there: Address already in use; " in done.stderr
    assert "choose another port" in done.stderr


def test_a_token_is_printed_once_and_lets_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    done = stream_classify("serve", "--new-token", "kitchen", "--scopes", "read", "--token-file", str(path))
    token = done.stdout.strip()
    assert done.returncode == 0
    assert token.startswith("sc_")
    assert token not in path.read_text()
    with serving("--token-file", str(path)) as station, station.client() as client:
        assert client.get("/v1/sources").status_code == 401
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/v1/sources").status_code == 200
        assert client.post("/v1/classify", content=b"x").status_code == 403
        # Another one, without a restart; then the first is taken back.
        other = add_token(path, "other", ["listen"])
        station.child.send_signal(signal.SIGHUP)
        station.wait_until_said("tokens were read again")
        with station.client(headers={"Authorization": f"Bearer {other}"}) as second:
            assert second.post("/v1/classify", content=b"x").status_code == 422
        path.write_text("\n".join(path.read_text().splitlines()[1:]) + "\n")
        station.child.send_signal(signal.SIGHUP)
        wait_for(lambda: client.get("/v1/sources").status_code == 401, "the first token to be forgotten")
        path.write_text("broken\n")
        station.child.send_signal(signal.SIGHUP)
        station.wait_until_said("not reloaded")
        with station.client(headers={"Authorization": f"Bearer {other}"}) as second:
            assert second.get("/v1/model").status_code == 200


def test_https_is_served_with_a_certificate(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    _, other = self_signed(tmp_path, "b")
    _, message = refused("--port", "0", "--tls-cert", str(certificate), "--tls-key", str(other))
    assert "is not the key of" in message
    with serving("--tls-cert", str(certificate), "--tls-key", str(key)) as station:
        assert station.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(certificate))
        with station.client(verify=context) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
        with station.client() as client, pytest.raises(httpx.ConnectError):
            client.get("/healthz")
        with httpx.Client() as client, pytest.raises(httpx.HTTPError):
            client.get(station.url.replace("https", "http") + "/healthz")


SETTINGS = """
history = "{folder}/heard.sqlite"
[server]
web-page = false
[server.limits]
drain_seconds = "20s"
[[source]]
name = "tone"
input = "sim:tone?loop=forever"
"""


def test_the_first_signal_ends_everything_in_order(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(SETTINGS.format(folder=tmp_path))
    with serving("--settings", str(path)) as station, station.client() as client:
        wait_for(
            lambda: bool(client.get("/v1/events").json().get("events")), "an event that is on", station.child
        )
        assert client.get("/v1/events").json()["events"][0]["is_on"]
        # Somebody who sends nothing holds the end up, so that it can be looked at.
        held = station.connection()
        held.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        wait_for(lambda: "stream_classify_files_now 1.0" in client.get("/metrics").text, "the upload")
        headers = {"Accept": "text/event-stream"}
        with client.stream("GET", "/v1/events", headers=headers) as answer:
            lines = answer.iter_lines()
            next(lines)
            station.child.send_signal(signal.SIGTERM)
            told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        assert "reason" in told[-1]
        wait_for(lambda: station.ready() == 503, "readyz to say no", station.child)
        held.close()
        assert station.child.wait(DEADLINE_SECONDS) == 0
    with HistoryReader(tmp_path / "heard.sqlite") as history:
        assert [run.ended is not None for run in history.runs] == [True]
        assert not any(event.is_on for event in history.events())
    assert "ended; all events and outputs are closed" in station.said[-1]
    assert not any("Traceback" in line for line in station.said)


def test_the_second_signal_leaves_at_once() -> None:
    with serving() as station, station.connection() as held, station.client() as client:
        held.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        wait_for(lambda: "files_now 1.0" in client.get("/metrics").text, "the upload")
        station.child.send_signal(signal.SIGINT)
        wait_for(lambda: station.ready() == 503, "the end to begin", station.child)
        station.child.send_signal(signal.SIGTERM)
        assert station.child.wait(DEADLINE_SECONDS) == 128 + signal.SIGTERM


def children(process: int) -> list[int]:
    """Processes of Python that it started, and that run; other helpers of Python's end by themselves."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == process and fields[0] != "Z":
                found.append(int(path.name))
    return [each for each in found if "spawn_main" in Path(f"/proc/{each}/cmdline").read_text()]


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_classify_what_comes_and_end_with_the_station(tmp_path: Path, number: int) -> None:
    path = tmp_path / "station.toml"
    path.write_text('[server]\nworkers = 2\n[[source]]\nname = "noise"\ninput = "sim:noise?loop=forever"\n')
    sound = as_s16(noise(2))
    model = Model.bundled("small")
    with serving("--settings", str(path)) as station:
        wait_for(lambda: len(children(station.child.pid)) == 2, "the workers", station.child)
        workers = children(station.child.pid)
        for worker in workers:  # as a terminal and a service send it to all, also while they begin
            os.kill(worker, signal.SIGINT)
            os.kill(worker, signal.SIGTERM)
        with Peer(station.url) as peer:
            peer.hello()
            peer.say(sound)
            assert peer.end()["checksum"] == Offline(model, [Chunk(from_s16(sound), 0, 16_000)]).checksum
        for worker in workers:
            os.kill(worker, signal.SIGINT)
            os.kill(worker, signal.SIGTERM)
        with Peer(station.url) as peer:
            peer.hello()
            peer.say(sound)
            peer.say({"type": "ping"})
            peer.until("pong")
            station.child.send_signal(number)
            farewell = (peer.rest() or [{}])[-1]
        ended = station.child.wait(DEADLINE_SECONDS)
        for worker in workers:
            wait_for(lambda worker=worker: not Path(f"/proc/{worker}").exists(), "the workers to end")  # type: ignore[misc]
    if number == signal.SIGTERM:
        assert (ended, farewell["type"], farewell["position"]) == (0, "reconnect", 32_000)
        assert "ended; all events and outputs are closed" in station.said[-1]
    assert not any("Traceback" in line for line in station.said)


def test_settings_are_read_again_and_options_win(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(
        SETTINGS.format(folder=tmp_path) + '[[source]]\nname = "two"\ninput = "sim:noise?loop=forever"\n'
    )
    with serving("--settings", str(path), "--limit", "page_events=1") as station, station.client() as client:

        def names() -> list[str]:
            return [each["name"] for each in client.get("/v1/sources").json()["sources"]]

        assert names() == ["tone", "two"]
        assert client.get("/").status_code == 404  # no page
        path.write_text(
            SETTINGS.format(folder=tmp_path) + '[[source]]\nname = "three"\ninput = "sim:tone?loop=forever"\n'
        )
        station.child.send_signal(signal.SIGHUP)
        wait_for(lambda: names() == ["tone", "three"], "the other sources", station.child)
        station.wait_until_said("added three; removed two")
        assert not any("restart" in line for line in station.said)
        changed = SETTINGS.replace("web-page = false", "web-page = true\nport = 1").replace("20s", "21s")
        changed = changed.replace("drain", 'page_events = 7\nhello_seconds = "9s"\ndrain')
        path.write_text(changed.format(folder=tmp_path))
        station.child.send_signal(signal.SIGHUP)
        # The port and a limit are the command line's.
        station.wait_until_said(
            "[server] web-page, limits.drain_seconds, limits.hello_seconds: changed in the settings"
        )
        wait_for(lambda: names() == ["tone"], "the sources")
        assert client.get("/").status_code == 404
        path.write_text("[[source]]\nname = 3\n")
        station.child.send_signal(signal.SIGHUP)
        station.wait_until_said("not reloaded")
        assert names() == ["tone"]
        station.child.send_signal(signal.SIGTERM)
        assert station.child.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize(
    ("server", "wrong"),
    [
        ("prot = 80", "prot"),
        ('port = "many"', "port"),
        ('new-token = "a"', "new-token"),
        ("limits = 3", "limits"),
        ("[server.limits]\nspeed = 1", "speed"),
        ('host = "0.0.0.0"', "without a token file"),
    ],
)
def test_server_settings_that_are_wrong(tmp_path: Path, server: str, wrong: str) -> None:
    path = tmp_path / "station.toml"
    path.write_text(f"[server]\n{server}\n")
    code, message = refused("--settings", str(path))
    assert (code, wrong in message) == (2, True), message


def test_a_missing_extra_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('no', name='starlette')\n")
    from tests.support.command import ROOT

    done = stream_classify("serve", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert done.returncode == 2
    assert "serve needs starlette, which is not installed; run: " in done.stderr
    assert "[server]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_requests_are_logged_where_they_are_asked_for_and_nothing_that_peers_send_by_itself() -> None:
    with serving("--access-log") as station, station.client() as client:
        client.get("/v1/model")
        station.wait_until_said('"GET /v1/model HTTP/1.1" 200')
    with serving() as station:
        with station.connection() as peer:
            peer.sendall(b"rubbish\r\n\r\n")
            while peer.recv(4096):
                pass
        with station.client() as client:
            client.get("/v1/model")
        station.child.send_signal(signal.SIGTERM)
        assert station.child.wait(DEADLINE_SECONDS) == 0
        station.wait_until_said("ended; all")
    assert all(line.startswith("stream-classify: ") for line in station.said)
    assert len(station.said) <= 4
