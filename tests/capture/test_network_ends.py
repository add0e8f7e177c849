"""Network streams that end, bring nothing, or come from a server that cannot be trusted."""

from __future__ import annotations

import http.server
import itertools
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream import SourceError
from stream.capture.network import certificates
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

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization"))
            if asked[-1] is None:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.end_headers()
            else:
                serve(self)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / f"{name}.pem", made / f"{name}.key")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        running.block_on_close = False
        running.handle_error = lambda *_: None  # type: ignore[method-assign, assignment]
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"https://me:secret@localhost:{running.server_address[1]}/a.wav"
        running.shutdown()
        thread.join(20)


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
