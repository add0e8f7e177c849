"""Ctrl-C is heard at once, whatever is being opened or waited for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.capture.test_network import noise, wav_stream

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


@contextmanager
def silent_server(first: bytes = b"", certificate: Path | None = None) -> Iterator[int]:
    """A server that answers with ``first``, once it was asked, and then with nothing; its port."""
    closing = threading.Event()

    def answer(connection: socket.socket) -> None:
        try:
            if certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate / "c.pem", certificate / "c.key")
                connection = context.wrap_socket(connection, server_side=True)
            if first:
                connection.recv(4096)
                connection.sendall(first)
            closing.wait(60)
            connection.close()
        except OSError:
            pass

    def accept() -> None:
        while not closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            closing.set()


def stopped(number: int, *arguments: str, ready: str = "", **environment: str) -> tuple[int, str, float]:
    """Exit code, standard error and seconds from the signal to the end of the command."""
    running = subprocess.Popen(
        [sys.executable, "-u", "-m", "stream", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert running.stdout is not None
    if ready:
        while ready not in running.stdout.readline():
            assert running.poll() is None
    else:
        time.sleep(1.5)  # until it waits; earlier is as good
    began = time.monotonic()
    running.send_signal(number)
    _, said = running.communicate(timeout=30)
    return running.returncode, said, time.monotonic() - began


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp"])
def test_a_server_that_does_not_answer(scheme: str) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    with silent_server() as port:
        code, said, seconds = stopped(signal.SIGINT, "--input", f"{scheme}://127.0.0.1:{port}/a.mp3")
    assert (code, said) == (130, "stream-classify: stopped before anything was heard\n")
    assert seconds < 8  # it would be 10; what is meant is far below one


def test_a_server_that_does_not_answer_and_sigterm() -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    with silent_server() as port:
        code, said, seconds = stopped(signal.SIGTERM, "--input", f"http://127.0.0.1:{port}/a.mp3")
    assert code in (-signal.SIGTERM, 143)
    assert "Traceback" not in said
    assert seconds < 8


@pytest.mark.parametrize("secure", [False, True])
def test_a_stream_that_stalls_while_it_is_heard(tmp_path: Path, secure: bool) -> None:
    """The reading thread is inside the decoder then; the command ends cleanly all the same."""
    pytest.importorskip("av", reason="PyAV is not installed")
    environment: dict[str, str] = {}
    if secure:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl")
        subprocess.run(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
            f"-addext subjectAltName=DNS:localhost -keyout {tmp_path / 'c.key'} -out {tmp_path / 'c.pem'}".split(),
            check=True,
            capture_output=True,
            timeout=60,
        )
        environment["SSL_CERT_FILE"] = str(tmp_path / "c.pem")
    body = wav_stream(np.tile(noise(16_000), 8))
    answer = b"HTTP/1.0 200 OK\r\nContent-Type: audio/wav\r\n\r\n" + body
    with silent_server(answer, tmp_path if secure else None) as port:
        scheme = "https" if secure else "http"
        code, said, seconds = stopped(
            signal.SIGINT,
            "--input",
            f"{scheme}://localhost:{port}/a.wav",
            "--scores",
            ready='"scores"',
            **environment,
        )
    assert (code, "Traceback" in said) == (0, False), said
    assert seconds < 8
