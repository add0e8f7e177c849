"""Network streams against real local servers: files, streams that die and return, RTSP, and silence."""

from __future__ import annotations

import base64
import http.server
import itertools
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stream import BackendMissing, SourceError, UsageError
from stream.capture.live.supervisor import Patience
from stream.capture.network.network_source import NetworkSource
from stream.messages import Chunk
from tests.support.command import wait_for

RATE = 16_000
QUICK = Patience(first_retry=0.01, longest_retry=0.02)
Samples = NDArray[np.float32]


@pytest.fixture
def av() -> object:
    return pytest.importorskip("av", reason="PyAV is not installed: pip install 'stream-classify[network]'")


def noise(n: int, seed: int = 0) -> Samples:
    """Values that 16-bit PCM holds exactly."""
    return (np.random.default_rng(seed).integers(-8_000, 8_000, n) / 2**15).astype(np.float32)


def wav_stream(samples: Samples) -> bytes:
    """A WAV as a live encoder sends it: it cannot know its length."""
    unknown = b"\xff\xff\xff\xff"
    header = (
        b"RIFF"
        + unknown
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
        + b"data"
        + unknown
    )
    return header + np.round(samples * 2**15).astype("<i2").tobytes()


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """An HTTP server, or with ``context`` an HTTPS server; gives its address with a trailing slash."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        running.block_on_close = False
        running.handle_error = lambda *_: None  # type: ignore[method-assign, assignment]  # a client may leave
        scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
        if context is not None:
            running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"{scheme}://{host}:{running.server_address[1]}/"
        finally:
            running.shutdown()
            thread.join(20)


def send(handler: http.server.BaseHTTPRequestHandler, body: bytes, *, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "audio/wav")
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def folder(path: Path) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        data = (path / handler.path.strip("/")).read_bytes()
        send(handler, data, length=len(data))

    return answer


def joined(chunks: list[Chunk]) -> Samples:
    return np.concatenate([c.samples for c in chunks])


# Files over http.


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_file_ends_when_it_ends(av: object, tmp_path: Path, name: str) -> None:
    stereo = 0.3 * np.random.default_rng(1).standard_normal((96_000, 2))
    soundfile.write(tmp_path / name, stereo, 48_000)
    with server(folder(tmp_path)) as address, NetworkSource(address + name) as source:
        chunks = list(source)
        info = source.info()
    heard = [c for c in chunks if len(c.samples)]
    assert heard[0].start == 0
    assert all(a.end == b.start for a, b in itertools.pairwise(heard))
    assert len(joined(chunks)) == pytest.approx(96_000, abs=2_500)  # MP3 pads
    assert (info.sample_rate, info.channels, info.channel, info.live) == (48_000, 2, "mix", False)
    assert source.report().truncated == ""
    if name in ("a.wav", "a.flac"):
        whole = soundfile.read(tmp_path / name, dtype="float32")[0].mean(axis=1)
        np.testing.assert_allclose(joined(chunks), whole, atol=1e-6)


def test_one_channel_and_the_size_of_chunks(av: object, tmp_path: Path) -> None:
    stereo = np.stack([noise(20_000, 1), noise(20_000, 2)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE)
    with server(folder(tmp_path)) as address:
        with NetworkSource(address + "a.wav", channel=2, block_samples=100) as source:
            chunks = list(source)
        with pytest.raises(UsageError, match="2 channels, not 3"):
            NetworkSource(address + "a.wav", channel=3)
    np.testing.assert_array_equal(joined(chunks), stereo[:, 1])
    assert max(len(c.samples) for c in chunks) == 100


def test_a_file_that_breaks_off_is_given_as_far_as_it_came(av: object) -> None:
    body = wav_stream(noise(40_000))
    with (
        server(lambda h: send(h, body[:40_044], length=len(body))) as address,
        NetworkSource(address + "a.wav", read_timeout=5) as source,
    ):
        chunks = list(source)
        assert not source.info().live
    np.testing.assert_array_equal(joined(chunks), noise(40_000)[:20_000])
    assert "broke off after 1.25 s" in source.report().truncated


def test_at_the_pace_of_real_time_a_file_waits_for_the_clock(av: object, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(RATE), RATE)
    with server(folder(tmp_path)) as address:
        source = NetworkSource(address + "a.wav", fast=False, clock=lambda: 0.0)  # a clock that stands still
        assert source.info().live
        heard: list[Chunk] = []
        chunks = iter(source)
        thread = threading.Thread(target=lambda: heard.extend(chunks), daemon=True)
        thread.start()
        thread.join(0.3)
        source.close()
        thread.join(20)
    assert heard == []
    assert not thread.is_alive()


# Live streams.


def test_a_live_stream_that_dies_comes_back_with_the_gap_the_clock_says(av: object) -> None:
    now = [100.0]
    visits: list[str] = []
    done = threading.Event()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        visits.append(handler.path)
        if len(visits) == 1:
            send(handler, wav_stream(noise(RATE)))
        elif len(visits) < 5:
            now[0] += 1.0
            handler.send_error(503)
        else:
            now[0] = 105.0
            send(handler, wav_stream(noise(8 * RATE, seed=9)))  # more than FFmpeg looks at before it begins
            done.wait(60)

    with server(answer) as address:
        source = NetworkSource(address + "live", patience=QUICK, clock=lambda: now[0])
        assert source.info().live
        chunks: list[Chunk] = []
        for chunk in source:
            chunks.append(chunk)
            if chunk.end > 7 * RATE:
                source.close()
        done.set()
    heard = [c for c in chunks if len(c.samples)]
    sound = np.concatenate([noise(RATE), noise(8 * RATE, seed=9)])
    np.testing.assert_array_equal(joined(heard), sound[: len(joined(heard))])
    breaks = [(a, b) for a, b in itertools.pairwise(heard) if a.end != b.start]
    ((before, after),) = breaks
    assert before.end == RATE
    # One second of sound had come at 100 s. The decoder's first block after it ends when it arrives, 5 s later.
    assert after.start == 6 * RATE - 1024
    beats = [c for c in chunks if c.state == "recovering"]
    assert beats[0].detail.startswith(("broke off after 1.00 s", "the stream ended"))
    assert any("cannot be opened again" in c.detail for c in beats), beats
    assert all(c.detail for c in beats)
    assert all(c.detail == "" for c in heard)
    assert all(len(c.samples) == 0 and c.start == RATE for c in beats)
    lost = [c.missing for c in beats]
    assert lost == sorted(lost)
    assert 0 < lost[-1] <= after.start - before.end  # what they told of the gap while it lasted was true
    assert all(c.state == "listening" for c in heard)
    assert len(visits) == 5


def test_a_live_stream_that_stalls_is_opened_again(av: object) -> None:
    visits: list[str] = []
    done = threading.Event()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        visits.append(handler.path)
        send(handler, wav_stream(noise(4 * RATE)))
        done.wait(60)  # and never another byte

    with server(answer) as address:
        source = NetworkSource(address + "live", read_timeout=0.2, patience=QUICK)
        chunks = []
        for chunk in source:
            chunks.append(chunk)
            if len(visits) == 3:
                source.close()
        done.set()
    assert len(visits) >= 3
    assert any(c.state == "recovering" and "no data within 0.2 s" in c.detail for c in chunks)


def test_a_flat_line_is_silent_beside_a_consumer_that_sleeps(av: object) -> None:
    done = threading.Event()
    sound = np.concatenate([noise(2 * RATE), np.full(3 * RATE, 0.25, np.float32), noise(3 * RATE, seed=2)])

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, wav_stream(sound))
        done.wait(60)

    with server(answer) as address:
        source = NetworkSource(address + "live", patience=Patience(flat=1.0))
        chunks = iter(source)
        next(chunks)
        deadline = time.monotonic() + 20
        while (
            source.report().waiting < 7 * RATE and time.monotonic() < deadline
        ):  # all has come before more is read
            done.wait(0.01)
        heard: list[Chunk] = []
        for chunk in chunks:
            heard.append(chunk)
            if chunk.end > 7.5 * RATE:
                source.close()
        done.set()
    silent = [c for c in heard if c.state == "silent"]
    assert all(c.detail == "the sound is a flat line" for c in silent)
    assert (silent[0].end / RATE, silent[-1].end / RATE) == (
        pytest.approx(3, abs=0.2),
        pytest.approx(5, abs=0.2),
    )
    assert all(c.detail == "" for c in heard if c.state == "listening")


def test_a_late_consumer_loses_the_oldest_and_is_told_how_much(av: object) -> None:
    done = threading.Event()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, wav_stream(noise(10 * RATE)))
        done.wait(60)

    with server(answer) as address:
        source = NetworkSource(address + "live", buffer_seconds=1.0)
        chunks = [next(iter(source))]  # and now the consumer is busy
        wait_for(lambda: source.report().lost >= 8 * RATE, "lost samples")
        for chunk in source:
            chunks.append(chunk)
            if chunk.end > 9.5 * RATE:
                source.close()
        done.set()
    heard = [c for c in chunks if len(c.samples)]
    for chunk in heard:
        np.testing.assert_array_equal(chunk.samples, noise(10 * RATE)[chunk.start : chunk.end])
    missing = heard[0].start + sum(b.start - a.end for a, b in itertools.pairwise(heard))
    assert missing == source.report().lost


def test_closing_does_not_wait_for_the_network(av: object) -> None:
    done = threading.Event()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, wav_stream(noise(4 * RATE)))
        done.wait(60)

    with server(answer) as address:
        source = NetworkSource(address + "live", read_timeout=3600.0)
        chunks = iter(source)
        thread = threading.Thread(target=lambda: list(chunks), daemon=True)
        thread.start()
        source.close()
        thread.join(20)
        assert not thread.is_alive()
        done.set()


# Errors and secrets.


def test_a_server_that_never_answers_is_given_up(av: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://user:secret@127.0.0.1:{listening.getsockname()[1]}/live?token=abc"
        with pytest.raises(SourceError, match=r"no answer within 0\.3 s") as caught:
            NetworkSource(address, open_timeout=0.3)
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


def test_first_connections_that_fail_are_one_line(av: object, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no sound here\n" * 100)
    (tmp_path / "empty").write_bytes(b"")
    with server(folder(tmp_path)) as address:
        secret = address.replace("://", "://user:secret@")
        for url in (
            secret + "text",
            secret + "empty",
            secret + "missing",
            "http://user:secret@127.0.0.1:1/x",
        ):
            with pytest.raises(SourceError, match="cannot be opened") as caught:
                NetworkSource(url, open_timeout=5, read_timeout=5)
            assert "\n" not in str(caught.value)
            assert "secret" not in str(caught.value)
            assert caught.value.__cause__ is None


def test_passwords_with_odd_characters_reach_the_server_and_nobody_else(av: object) -> None:
    asked: list[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        given = handler.headers.get("Authorization")
        if given is None:
            handler.send_response(401)
            handler.send_header("WWW-Authenticate", 'Basic realm="x"')
            handler.end_headers()
            return
        asked.append(base64.b64decode(given.removeprefix("Basic ")).decode())
        body = wav_stream(noise(100))
        send(handler, body, length=len(body))

    with server(answer) as address:
        host = address.removeprefix("http://")
        with NetworkSource(f"http://me:p#a/s@s?@{host}x") as source:
            assert len(joined(list(source))) == 100
    assert asked[0] == "me:p#a/s@s?"
    assert source.name == f"http://***@{host}x"
    assert source.info().name == source.name


def test_an_unknown_scheme_names_the_known_ones_and_keeps_the_secret() -> None:
    with pytest.raises(UsageError, match=r"use one of http, https, rtsp") as caught:
        NetworkSource("gopher://user:secret@host/x")
    assert "secret" not in str(caught.value)


def test_without_pyav_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(BackendMissing, match=r"; run: pip install .*\[network\]"):
        NetworkSource("http://127.0.0.1:1/x")
