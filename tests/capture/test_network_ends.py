"""Network streams that end, bring nothing, or come from a server that cannot be trusted."""

from __future__ import annotations

import http.server
import itertools
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream import SourceError, certificates
from stream.capture.network.network_source import NetworkSource
from tests.capture.test_network import QUICK, RATE, folder, joined, noise, send, server, wav_stream

pytest.importorskip("av", reason="PyAV is not installed: pip install 'stream-classify[network]'")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")


@needs_ffmpeg
@pytest.mark.parametrize("length", [True, False])
def test_an_m4a_whose_index_cannot_be_reached_is_an_error_with_the_reason(
    tmp_path: Path, length: bool
) -> None:
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=d=20", str(tmp_path / "a.m4a")],
        check=True,
        timeout=60,
    )
    body = (tmp_path / "a.m4a").read_bytes()
    with (
        server(lambda h: send(h, body, length=len(body) if length else None)) as address,
        pytest.raises(SourceError, match="its index comes after the sound"),
    ):
        list(NetworkSource(address + "a.m4a", patience=QUICK))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "unknown.wav"])
@pytest.mark.parametrize("seconds", [3, 60])
def test_a_file_of_unknown_length_is_heard_once_and_whole(tmp_path: Path, name: str, seconds: int) -> None:
    samples = noise(seconds * RATE)
    if name == "unknown.wav":
        (tmp_path / name).write_bytes(wav_stream(samples))
    else:
        soundfile.write(tmp_path / name, samples, RATE)
    body = (tmp_path / name).read_bytes()
    visits: list[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        visits.append(handler.path)
        send(handler, body)

    with server(answer) as address, NetworkSource(address + name, patience=QUICK) as source:
        chunks = [chunk for chunk in source if len(chunk.samples)]
    assert len(visits) <= (2 if seconds == 3 else 1)
    assert all(a.end == b.start for a, b in itertools.pairwise(chunks))
    assert len(joined(chunks)) == pytest.approx(len(samples), abs=2_500)  # MP3 pads
    assert source.report().lost == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    path = tmp_path_factory.mktemp("certificates")
    for name in ("localhost", "other.example"):
        subprocess.run(
            f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=DNS:{name} "
            f"-keyout {path / name}.key -out {path / name}.pem".split(),
            check=True,
            capture_output=True,
            timeout=60,
        )
    soundfile.write(path / "a.wav", noise(RATE), RATE)
    return path


@pytest.fixture
def asked() -> list[str | None]:
    return []


@pytest.fixture(params=["localhost", "other.example"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def address(made: Path, name: str, asked: list[str | None]) -> Iterator[str]:
    serve = folder(made)

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers.get("Authorization"))
        if asked[-1] is None:
            handler.send_response(401)
            handler.send_header("WWW-Authenticate", 'Basic realm="x"')
            handler.end_headers()
        else:
            serve(handler)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / f"{name}.pem", made / f"{name}.key")
    with server(answer, context) as where:
        yield where.replace("https://", "https://me:secret@") + "a.wav"


def test_a_server_that_is_not_who_it_says_hears_nothing(
    address: str, name: str, asked: list[str | None], made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "localhost":  # it is trusted, but as another
        monkeypatch.setattr(certificates, "_SYSTEM_FILES", ())
        monkeypatch.setenv("SSL_CERT_FILE", str(made / f"{name}.pem"))
    with pytest.raises(SourceError, match=r"certificate is not valid \(.*--insecure") as caught:
        NetworkSource(address)
    assert "secret" not in str(caught.value)
    assert asked == []


def test_who_must_can_listen_all_the_same_and_is_told(address: str) -> None:
    with NetworkSource(address, verify=False) as source:
        np.testing.assert_array_equal(joined(list(source)), noise(RATE))
        assert "certificate not checked" in source.info().detail


def test_a_server_that_is_trusted_is_heard(
    address: str, name: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(made / f"{name}.pem"))
    if name == "localhost":
        with NetworkSource(address) as source:
            assert len(joined(list(source))) == RATE


@pytest.mark.parametrize("name", ["zeros.mp3", "zeros.aac", "zeros", "head.mp3", "icy.mp3"])
def test_zeros_without_end_take_little_memory(tmp_path: Path, name: str) -> None:
    """At once, or after some seconds of real sound; heard in a process of its own."""
    head = b""
    if name.startswith("head"):
        soundfile.write(tmp_path / "a.mp3", noise(3 * RATE), RATE)
        head = (tmp_path / "a.mp3").read_bytes()
    sent: list[int] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if name.startswith("icy"):  # as old internet radio answers
            handler.wfile.write(b"ICY 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")
        else:
            handler.send_response(200)
            handler.send_header("Content-Type", "audio/mpeg")
            handler.end_headers()
        handler.wfile.write(head)
        zeros = bytes(1 << 20)
        for n in range(2_000):  # the client leaves long before
            sent.append(n)
            handler.wfile.write(zeros)

    code = (
        "import sys; from stream import SourceError\n"
        "from stream.capture.network.network_source import NetworkSource\n"
        "try:\n"
        "  with NetworkSource(sys.argv[1], live=False) as s:\n"
        "    print(sum(len(c.samples) for c in s), s.report().truncated)\n"
        "except SourceError as error: print(error)\n"
        "print(int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024, flush=True)\n"
    )
    with server(answer) as address:
        done = subprocess.run(
            [sys.executable, "-c", code, address + name],
            capture_output=True,
            text=True,
            timeout=200,
            check=True,
        )
    said, memory = done.stdout.splitlines()
    assert int(memory) < 800, said
    assert "128 MiB in a row hold no sound" in said or "Invalid data" in said
    if head:
        assert int(said.split()[0]) >= 2 * RATE


@needs_ffmpeg
def test_an_m4a_is_read_in_any_order_from_a_server_that_knows_ranges(tmp_path: Path) -> None:
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=d=20", str(tmp_path / "a.m4a")],
        check=True,
        timeout=60,
    )
    body = (tmp_path / "a.m4a").read_bytes()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        first = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        handler.send_response(206 if first else 200)
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(len(body) - first))
        handler.end_headers()
        handler.wfile.write(body[first:])

    with server(answer) as address, NetworkSource(address + "a.m4a") as source:
        heard = sum(len(chunk.samples) for chunk in source) / source.sample_rate
        assert heard == pytest.approx(20, abs=0.1)
        assert not source.info().live
        assert source.report().truncated == ""


def test_an_old_radio_that_does_not_quite_speak_http(tmp_path: Path) -> None:
    """Shoutcast's "ICY 200 OK" in place of a status line."""
    soundfile.write(tmp_path / "a.mp3", noise(3 * RATE), RATE)
    body = (tmp_path / "a.mp3").read_bytes()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"ICY 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n" + body)

    with server(answer) as address, NetworkSource(address, live=False) as source:
        assert sum(len(chunk.samples) for chunk in source) > 2 * RATE


@pytest.mark.parametrize(
    ("code", "said"), [(404, "answers 404 Not Found"), (500, "answers 500"), (401, "answers 401")]
)
def test_what_a_server_answers_is_said(code: int, said: str) -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_error(code)

    with server(answer) as address, pytest.raises(SourceError, match=said):
        NetworkSource(address + "a.mp3")
