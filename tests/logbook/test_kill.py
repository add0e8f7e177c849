"""A process that writes a history is killed at random moments: what it said it had written is in the file."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stream.logbook.reader import HistoryReader
from tests.support.command import DEADLINE_SECONDS, environment, running

KILLS = 20
HOURS = 24.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def told(
    path: Path, first_minute: int, lines: int, kill_after: float | None
) -> tuple[list[dict[str, Any]], bool]:
    """Everything that a writer said, and whether it was killed.

    Args:
        first_minute: where it begins.
        lines: after which it is killed; 0 = never.
        kill_after: None = by itself, at once; else by us, so many seconds after we have read the line.
    """
    words = [
        sys.executable,
        "-m",
        "tests.support.simulated_history",
        str(path),
        str(first_minute),
        str(HOURS),
    ]
    own = [] if kill_after is not None else [str(lines)]
    child = subprocess.Popen([*words, *own], env=environment(), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + DEADLINE_SECONDS
    said = []
    with running(child):
        assert child.stdout is not None
        for line in child.stdout:
            assert time.monotonic() < deadline
            if not line.endswith("\n"):  # killed in the middle of it
                break
            said.append(json.loads(line))
            if kill_after is not None and len(said) == lines:
                time.sleep(kill_after)
                child.kill()
        return said, child.wait(DEADLINE_SECONDS) != 0


def test_a_day_of_events_and_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "day.history"
    draw = random.Random(7)
    runs: list[list[dict[str, Any]]] = []
    minute = kills = 0
    while minute < HOURS * 60:
        lines = draw.randrange(5, 120) if kills < KILLS else 0
        by_us = draw.random() * 0.01 if kills % 2 and lines else None
        said, killed = told(path, minute, lines, by_us)
        kills += killed
        runs.append(said)
        minute = 1 + max(minute, *(each["minute"] for each in said))
    assert kills == KILLS

    with HistoryReader(path, now=1e10) as history:
        assert len(history.runs) == len(runs)
        place = {run.id: number for number, run in enumerate(history.runs)}
        found = {(place[event.run.id], event.number): event for event in history.events()}
        minutes = {round(minute.start) for minute in history.minutes()}
    ended = set()
    for number, said in enumerate(runs):
        for each in said:
            if each["what"] == "minute":
                continue
            event = found[number, each["number"]]
            assert event.onset == each["onset"]
            assert not event.is_on
            if each["what"] == "event":
                ended.add((number, each["number"]))
                assert event.offset == pytest.approx(each["offset"], abs=1e-6)
                assert not event.cut
                assert len(event.curve)
    assert len(ended) > 1000
    # What was on at a kill ends at the last sign of life; of an end that was written and not said, nobody was told.
    left = [event for key, event in found.items() if key not in ended]
    assert all(event.offset >= event.onset for event in left)
    assert any(event.cut for event in left)
    assert len(minutes) > 0.98 * HOURS * 60
