"""A cluster that somebody else runs: deployed to, changed, and left as it was."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.command import DEADLINE_SECONDS, environment, running, stream_classify, wait_for
from tests.support.extras import needs

needs("ray", "starlette", "uvicorn", "websockets")

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
ENOUGH_SECONDS = 300.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def head() -> Iterator[str]:
    """Address of a Ray with a token of its own."""
    folder, port = tempfile.mkdtemp(prefix="ray-", dir="/tmp"), free_port()
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    command += [f"--temp-dir={folder}", "--include-dashboard=false", "--num-cpus=4", "--disable-usage-stats"]
    with open(Path(folder) / "said", "wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment(**SECRET))
    try:
        with running(child):
            wait_for(
                lambda: b"runtime started" in (Path(folder) / "said").read_bytes(),
                "Ray",
                seconds=ENOUGH_SECONDS,
            )
            yield f"127.0.0.1:{port}"
            child.terminate()
            child.wait(DEADLINE_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


SECRET = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": 32 * "ab"}


def test_deploy_change_remove(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.command.DEADLINE_SECONDS", ENOUGH_SECONDS)
    port = free_port()
    words = ("serve", "--ray", head, "--port", str(port), "--limit", "drain_seconds=2")
    url = f"http://127.0.0.1:{port}/v1/model"

    def served() -> list[str]:
        names: list[str] = httpx.get(url, timeout=DEADLINE_SECONDS).json()["served"]
        return names

    done = stream_classify(*words, "--model", "small", **SECRET)
    assert done.returncode == 0, done.stderr
    assert served() == ["small"]

    done = stream_classify(*words, "--model", "default", "--model", "small", **SECRET)
    assert done.returncode == 0, done.stderr
    assert served() == ["default", "small"]

    done = stream_classify(*words, "--ray-remove", **SECRET)
    assert done.returncode == 0, done.stderr
    assert httpx.get(url, timeout=DEADLINE_SECONDS).status_code == 404

    done = stream_classify(*words, "--ray-remove", **SECRET)
    assert done.returncode == 2
    assert "nothing of stream-classify serves there" in done.stderr
