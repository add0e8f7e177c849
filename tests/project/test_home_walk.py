"""The guide's way from nothing to a light switched, line by line in a shell, with a real Mosquitto."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.command import environment, running, wait_for
from tests.support.guides import blocks
from tests.support.mosquitto import Listener, answers, free_port, needs_mosquitto

needs_mosquitto()
shell_block, lines_block, automation = (block for block in blocks() if block.mark == "home walk")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A shell that has the command, in a group of its own that is gone afterwards."""
    command = tmp_path / "stream-classify"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m stream "$@"\n')
    command.chmod(0o755)
    with open(tmp_path / "shown", "wb") as shown:
        child = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=shown,
            stderr=subprocess.DEVNULL,
            env=environment(PATH=f"{tmp_path}:/usr/sbin:{os.environ['PATH']}", HOME=str(tmp_path)),
            cwd=tmp_path,
            start_new_session=True,
        )
        with running(child):
            yield child
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def test_a_light_is_switched(shell: subprocess.Popen[bytes], tmp_path: Path) -> None:
    port = free_port()
    start, watch, lamp, listen = (
        line.replace("18830", str(port)) for line in shell_block.code.strip().splitlines()
    )

    def shown() -> str:
        return (tmp_path / "shown").read_text()

    def type_line(line: str) -> None:
        assert shell.stdin is not None
        shell.stdin.write(f"{line}\n".encode())
        shell.stdin.flush()

    type_line(start)
    wait_for(lambda: answers(port), "the broker", shell)
    listener = Listener(port)
    try:
        type_line(watch)
        type_line(lamp)

        def both_listen() -> bool:  # the lines are typed by hand there, and at once here
            listener.say("stream-classify/kitchen/sound/speech", "HELLO")
            return "lamp/set/state HELLO" in shown()

        wait_for(both_listen, "the two that listen", shell)
        type_line(listen.replace("--demo", "--demo --fast"))
        wait_for(lambda: "kitchen/status offline" in shown(), "the end of the recording", shell)
        wait_for(lambda: shown().count("lamp/set/state OFF") >= 5, "the lamp to be off again", shell)
        printed = shown().splitlines()
        for line in lines_block.code.splitlines():
            assert any(each.startswith(line) for each in printed), line
        events = [json.loads(each.split(" ", 1)[1]) for each in printed if "/kitchen/event " in each]
        assert {event["label"] for event in events} == {"speech", "music", "noise"}
        # Home Assistant names an entity by its device and itself.
        (entity,) = re.findall(r"entity_id: binary_sensor\.(\w+)", automation.code)
        wait_for(lambda: listener.last("_kitchen/config") != "", "the description", shell)
        described = json.loads(listener.last("_kitchen/config"))
        sensors = [part["name"] for part in described["cmps"].values() if part["p"] == "binary_sensor"]
        assert entity in [f"{described['dev']['name']}_{name}" for name in sensors]
    finally:
        listener.close()
