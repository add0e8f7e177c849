"""A real microphone that is pulled out while an event is on: its end is written before the microphone is back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.command import running, start, wait_for
from tests.support.pulse import PulseServer

pytestmark = pytest.mark.pulse


def test_an_event_ends_while_the_microphone_is_gone(virtual_mic: PulseServer, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"

    def told() -> list[dict[str, object]]:
        return [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []

    def kinds() -> list[object]:
        return [line.get("state", line["type"]) for line in told()]

    options = ["--threshold", "0.000001", "--min-on", "0", "--onsets", "--model", "small"]
    child = start("--device", "pulse", *options, "--jsonl", str(lines), env={**os.environ, **virtual_mic.env})
    with running(child):
        wait_for(lambda: kinds().count("onset") >= 3, "events that are on")
        virtual_mic.unplug()
        wait_for(lambda: "recovering" in kinds(), "word that the microphone is gone")
        wait_for(lambda: kinds().count("event") >= 3, "the ends of the events")
        assert kinds()[-1] != "listening"
        virtual_mic.replug()
        wait_for(lambda: "gap" in kinds(), "the gap")
        wait_for(lambda: kinds().count("onset") >= 6, "new events")
        child.terminate()
        child.wait(20)
    ends = [line for line in told() if line["type"] == "event"]
    assert len({line["id"] for line in ends}) == len(ends) == 6
    gap = next(line for line in told() if line["type"] == "gap")
    for line in ends[:3]:
        assert line["cut"]
        assert float(str(line["offset"])) <= float(str(gap["start"])) + 0.1
