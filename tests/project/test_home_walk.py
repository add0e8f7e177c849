"""The guide's way from nothing to a light switched, line by line in a shell, with a real Mosquitto."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.command import wait_for
from tests.support.guides import blocks
from tests.support.mosquitto import Listener, answers, free_port, needs_mosquitto
from tests.support.typed_shell import TypedShell, typed_shell

needs_mosquitto()
shell_block, lines_block, automation = (block for block in blocks() if block.mark == "home walk")


def test_a_light_is_switched(tmp_path: Path) -> None:
    with typed_shell(tmp_path) as shell:
        walk(shell)


def walk(shell: TypedShell) -> None:
    port = free_port()
    start, watch, lamp, listen = (
        line.replace("18830", str(port)) for line in shell_block.code.strip().splitlines()
    )

    shown, type_line, child = shell.shown, shell.type, shell.child
    type_line(start)
    wait_for(lambda: answers(port), "the broker", child)
    listener = Listener(port)
    try:
        type_line(watch)
        type_line(lamp)

        def both_listen() -> bool:  # the lines are typed by hand there, and at once here
            listener.say("stream-classify/kitchen/sound/speech", "HELLO")
            return "lamp/set/state HELLO" in shown()

        wait_for(both_listen, "the two that listen", child)
        type_line(listen.replace("--demo", "--demo --fast"))
        wait_for(lambda: "kitchen/status offline" in shown(), "the end of the recording", child)
        wait_for(lambda: shown().count("lamp/set/state OFF") >= 5, "the lamp to be off again", child)
        printed = shown().splitlines()
        for line in lines_block.code.splitlines():
            assert any(each.startswith(line) for each in printed), line
        events = [json.loads(each.split(" ", 1)[1]) for each in printed if "/kitchen/event " in each]
        assert {event["label"] for event in events} == {"speech", "music", "noise"}
        # Home Assistant names an entity by its device and itself.
        (entity,) = re.findall(r"entity_id: binary_sensor\.(\w+)", automation.code)
        wait_for(lambda: listener.last("_kitchen/config") != "", "the description", child)
        described = json.loads(listener.last("_kitchen/config"))
        sensors = [part["name"] for part in described["cmps"].values() if part["p"] == "binary_sensor"]
        assert entity in [f"{described['dev']['name']}_{name}" for name in sensors]
    finally:
        listener.close()
