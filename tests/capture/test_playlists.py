"""HLS playlists over https: what they name is fetched from servers whose certificate is checked, or not at all."""

from __future__ import annotations

import http.server
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream import SourceError
from stream.capture.network.network_source import NetworkSource
from tests.capture.test_network import QUICK, RATE, folder, noise, server

pytest.importorskip("av", reason="PyAV is not installed: pip install 'stream-classify[network]'")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Segments of 6 s of sound, and certificates for two names."""
    if shutil.which("openssl") is None or shutil.which("ffmpeg") is None:
        pytest.skip("no openssl or no ffmpeg")
    path = tmp_path_factory.mktemp("playlists")
    for name in ("localhost", "other.example"):
        subprocess.run(
            f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=DNS:{name} "
            f"-keyout {path / name}.key -out {path / name}.pem".split(),
            check=True,
            capture_output=True,
            timeout=60,
        )
    soundfile.write(path / "a.wav", noise(6 * RATE), RATE)
    subprocess.run(
        f"ffmpeg -v error -i {path / 'a.wav'} -c:a aac -f hls -hls_time 2 -hls_list_size 0 {path / 'p.m3u8'}".split(),
        check=True,
        timeout=60,
    )
    return path


@contextmanager
def secure(made: Path, name: str, asked: list[str]) -> Iterator[str]:
    """A server with the certificate of ``name``; its address."""
    serve = folder(made)

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        serve(handler)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / f"{name}.pem", made / f"{name}.key")
    with server(answer, context) as address:
        yield address


def heard(address: str) -> int:
    with NetworkSource(address, patience=QUICK) as source:
        return sum(len(chunk.samples) for chunk in source) * RATE // source.sample_rate


@pytest.mark.parametrize("nested", [False, True])
def test_a_playlist_is_heard_to_its_end(made: Path, nested: bool) -> None:
    (made / "all.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000\np.m3u8\n")
    with server(folder(made)) as address:
        assert heard(address + ("all.m3u8" if nested else "p.m3u8")) == pytest.approx(6 * RATE, abs=3_000)


def test_segments_of_a_trusted_server_are_heard(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(made / "localhost.pem"))
    with secure(made, "localhost", []) as address:
        assert heard(address + "p.m3u8") == pytest.approx(6 * RATE, abs=3_000)


@pytest.mark.parametrize("nested", [False, True])
def test_a_playlist_cannot_name_a_server_that_is_not_who_it_says(
    made: Path, monkeypatch: pytest.MonkeyPatch, nested: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(made / "localhost.pem"))
    asked: list[str] = []
    with secure(made, "other.example", asked) as elsewhere:
        text = (made / "p.m3u8").read_text()
        (made / "far.m3u8").write_text(text.replace("p0", elsewhere + "p0").replace("p1", elsewhere + "p1"))
        (made / "farther.m3u8").write_text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000\n{elsewhere}p.m3u8\n")
        for serve in (lambda path: server(folder(path)), lambda path: secure(path, "localhost", [])):
            with serve(made) as address:
                name = "farther.m3u8" if nested else "far.m3u8"
                try:
                    # What is left of the playlist may be heard: never what the false server sends.
                    assert heard(address + name) <= 3 * RATE
                except SourceError:
                    continue  # nor need it be
    assert asked == []


def test_a_playlist_cannot_read_the_disk(made: Path) -> None:
    (made / "disk.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nfile://{made / 'a.wav'}\n#EXT-X-ENDLIST\n"
    )
    with server(folder(made)) as address, pytest.raises(SourceError):
        heard(address + "disk.m3u8")


@pytest.mark.parametrize("right", [True, False])
def test_an_encrypted_playlist(made: Path, capfd: pytest.CaptureFixture[str], right: bool) -> None:
    """Its key stands at an address, as AES-128 has it."""
    (made / "k.bin").write_bytes(bytes(range(16)))
    (made / "info").write_text(f"k.bin\n{made / 'k.bin'}\n")
    subprocess.run(
        f"ffmpeg -v error -y -i {made / 'a.wav'} -c:a aac -f hls -hls_time 2 -hls_list_size 0 "
        f"-hls_key_info_file {made / 'info'} -hls_segment_filename {made}/e%d.ts {made / 'e.m3u8'}".split(),
        check=True,
        timeout=60,
    )
    with server(folder(made)) as address:
        if right:
            assert heard(address + "e.m3u8") == pytest.approx(6 * RATE, abs=3_000)
        else:
            (made / "k.bin").write_bytes(bytes(16))
            with pytest.raises(SourceError):
                heard(address + "e.m3u8")
    assert "Traceback" not in capfd.readouterr().err


def test_segments_that_are_not_there(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is there is heard, and the server's answer is said without a traceback."""
    text = (made / "p.m3u8").read_text()
    (made / "holes.m3u8").write_text(text.replace("p1.ts", "none.ts").replace("p2.ts", "none.ts"))
    serve = folder(made)

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if "none" in handler.path:
            handler.send_error(404)
        else:
            serve(handler)

    with server(answer) as address, NetworkSource(address + "holes.m3u8", patience=QUICK) as source:
        assert sum(len(chunk.samples) for chunk in source) == pytest.approx(2 * source.sample_rate, rel=0.1)
        assert "404" in source.report().truncated
    assert "Traceback" not in capfd.readouterr().err


def test_parts_of_one_file_are_fetched_as_parts(made: Path) -> None:
    """Byte ranges, as HLS names them, from a server that knows ranges."""
    whole = b"".join(path.read_bytes() for path in sorted(made.glob("p[0-9].ts")))
    sizes = [path.stat().st_size for path in sorted(made.glob("p[0-9].ts"))]
    starts = np.cumsum([0, *sizes[:-1]])
    lines = "".join(
        f"#EXTINF:2,\n#EXT-X-BYTERANGE:{n}@{at}\nwhole.ts\n" for n, at in zip(sizes, starts, strict=True)
    )
    head = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:3\n"
    (made / "parts.m3u8").write_text(f"{head}{lines}#EXT-X-ENDLIST\n")

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if handler.path.endswith(".m3u8"):
            folder(made)(handler)
            return
        first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
        part = whole[int(first) : int(last) + 1]
        handler.send_response(206)
        handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        handler.wfile.write(part)

    with server(answer) as address:
        assert heard(address + "parts.m3u8") == pytest.approx(6 * RATE, abs=3_000)
