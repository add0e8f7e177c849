"""The systemd watchdog protocol, against a real datagram socket and the real program."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.command import DEADLINE_SECONDS, environment, running, start
from tests.support.extras import needs
from tests.support.toy_models import toy_file

ROOT = Path(__file__).resolve().parents[2]


def test_ready_once_then_watchdog_while_the_loop_turns(tmp_path: Path) -> None:
    """READY when classifying begins; WATCHDOG goes on while an unplugged microphone is looked for; states are told."""
    supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    supervisor.bind(str(tmp_path / "notify"))
    supervisor.settimeout(30)
    runner = subprocess.Popen(
        [
            *(sys.executable, "-m", "stream", "--model", str(toy_file(tmp_path))),
            *("--input", "sim:noise?unplug@1s&for=1s&loop=forever", "--jsonl", os.devnull),
        ],
        cwd=ROOT,
        env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"},
        stdout=subprocess.DEVNULL,
    )
    said: list[str] = []
    with supervisor, running(runner):
        while said.count("WATCHDOG=1") < 12 or "STATUS=listening" not in said:
            assert len(said) < 1000, said[-20:]
            said += supervisor.recv(4096).decode().splitlines()
        runner.terminate()
        runner.wait(20)
    assert said[0] == "READY=1"
    assert said.count("READY=1") == 1
    gone = said.index("STATUS=recovering (unplugged by the script)")
    back = said.index("STATUS=listening")
    assert "WATCHDOG=1" in said[gone:back]


def test_a_station_says_ready_when_it_serves(tmp_path: Path) -> None:
    needs("starlette", "uvicorn", "prometheus_client")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(DEADLINE_SECONDS)
        told = environment(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="300000")
        with running(start("serve", "--port", "0", "-m", str(toy_file(tmp_path)), env=told)) as child:
            assert child.stderr is not None
            said = supervisor.recv(4096).decode().splitlines()
            assert said == ["READY=1", "WATCHDOG=1"]
            address = child.stderr.readline().decode().split()[3].rstrip(";")
            with urlopen(f"{address}healthz", timeout=DEADLINE_SECONDS) as answer:
                assert answer.status == 200
            for _ in range(3):
                assert supervisor.recv(4096) == b"WATCHDOG=1"
            child.terminate()
            assert child.wait(DEADLINE_SECONDS) == 0


def test_no_supervisor_no_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    from stream.cli.notify import SystemdWatchdog

    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert SystemdWatchdog.from_environment() is None


def test_a_supervisor_that_is_gone_does_not_stop_listening(tmp_path: Path) -> None:
    from stream.cli.notify import SystemdWatchdog
    from stream.messages import Status

    SystemdWatchdog(str(tmp_path / "nobody"), 1.0).status(Status("listening", 0, 16000))
