"""A station as users run it: ``serve --settings`` in a process of its own, its settings read again on SIGHUP."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.command import DEADLINE_SECONDS, running, start, stream_classify, wait_for

pytest.importorskip("uvicorn", reason="the extra server")

STEADY = "sim:noise?length=6s&seed=7&xrun@2s&n=500&unplug@4s&for=300ms"
TOP = f"""
model = "small"
threshold = 0.4
scores = true
jsonl = "{{source}}.jsonl"
[[source]]
name = "steady"
input = "{STEADY}"
"""


class Served:
    """A process that serves these settings, and what it says."""

    def __init__(self, child: subprocess.Popen[bytes], file: Path) -> None:
        self.child, self._file = child, file
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        wait_for(lambda: self._address() is not None, "the address")
        address = self._address()
        assert address is not None
        self._url = address[1]

    def _read(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.said.append(line.decode())

    def _address(self) -> re.Match[str] | None:
        return re.search(r"serving on (http://\S+/)", "".join(self.said))

    def sources(self) -> dict[str, Any]:
        found = httpx.get(self._url + "v1/sources", timeout=DEADLINE_SECONDS)
        return {each["name"]: each for each in found.json()["sources"]}

    def hang_up(self, text: str, words: str) -> None:
        """Write the settings, send SIGHUP, and wait until that is said to be done."""
        self._file.write_text(text)
        before = len(self.said)
        self.child.send_signal(signal.SIGHUP)
        wait_for(lambda: words in "".join(self.said[before:]), words)


def scores(text: str) -> list[Any]:
    records = [json.loads(line) for line in text.splitlines()]
    return [(each["sample"], each["probs"]) for each in records if each["type"] == "scores"]


def test_sighup_changes_what_is_different_and_a_mistake_nothing(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    door = '[[source]]\nname = "door"\ninput = "sim:tone?loop=forever"\n'
    file.write_text(TOP + door)
    with running(start("serve", "--port", "0", "--settings", str(file), cwd=tmp_path)) as child:
        served = Served(child, file)
        wait_for(lambda: served.sources()["door"]["state"] == "listening", "the first source")
        served.hang_up(
            TOP + door.replace("tone", "noise") + door.replace("door", "yard"), "added yard; changed door"
        )
        wait_for(lambda: served.sources()["yard"]["state"] == "listening", "the new source")
        served.hang_up(
            TOP + "[[source]]\nname = 'x'\ntreshold = 1", "station.toml:11:1: unknown key 'treshold'"
        )
        assert list(served.sources()) == ["steady", "door", "yard"]
        served.hang_up(TOP, "removed door, yard")
        wait_for(lambda: served.sources()["steady"]["state"] == "ended", "the end of the one that stayed")
        assert served.sources()["steady"]["restarts"] == 0
        child.send_signal(signal.SIGTERM)
        assert child.wait(DEADLINE_SECONDS) == 0, served.said
    alone = stream_classify("--input", STEADY, "--model", "small", "--jsonl", "-", "--scores", "--fast")
    assert scores((tmp_path / "steady.jsonl").read_text()) == scores(alone.stdout) != []


def test_check_says_what_is_asked_for_and_opens_nothing(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text(
        TOP + "[source.class.speech]\nthreshold = 0.9\n[[source]]\nname = 'mic'\ndevice = 'usb'\n"
    )
    done = stream_classify("serve", "--check", "--settings", str(file))
    assert done.returncode == 0, done.stderr
    assert "events     speech from 0.9, music from 0.4, noise from 0.4" in done.stdout
    assert "mic: microphone usb, model small" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 sources, all in order"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[[source]]\nname = 'a'\n[source.class.speach]\nmin-on = 1",
            ":3:1: unknown class 'speach'; did you mean",
        ),
        ("[[source]]\nname = 'a'\nmodel = 'nothing.onnx'", "nothing.onnx"),
        (
            "jsonl = 'x'\n[[source]]\nname = 'a'\n[[source]]\nname = 'b'",
            "source 'a' with jsonl = \"x\" and source 'b' with jsonl = \"x\" would write into the same place; "
            'give each its own, for example by jsonl = "x-{source}"',
        ),
    ],
)
def test_what_only_the_models_and_all_sources_together_show_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "station.toml").write_text(text)
    done = stream_classify("serve", "--check", "--settings", "station.toml", cwd=tmp_path)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
