"""A process that writes a history is killed at random moments: what it said it had written is in the file."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from stream.logbook.reader import HistoryReader
from tests.support.command import DEADLINE_SECONDS, environment, running

KILLS = 20
HOURS = 24.0


def told(path: Path, begin: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.simulated_history", str(path), str(begin), str(HOURS)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_day_of_events_and_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "day.history"
    draw = random.Random(7)
    reported: dict[tuple[int, str, str], dict[str, float]] = {}
    minute, deaths, runs = 0, 0, 0
    day = HOURS * 60
    while minute < day:
        with running(told(path, minute)) as child:
            assert child.stdout is not None
            runs += 1
            lines = 0
            until = draw.randrange(5, 120) if deaths < KILLS else None
            deadline = time.monotonic() + DEADLINE_SECONDS
            while line := child.stdout.readline():
                assert time.monotonic() < deadline
                said = json.loads(line)
                lines += 1
                minute = max(minute, int(said["minute"]))
                if said["what"] != "minute":
                    reported[runs, said["what"], str(said["number"])] = said
                if lines == until:
                    time.sleep(draw.random() * 0.01)
                    child.kill()
                    deaths += 1
                    break
            else:
                assert child.wait(DEADLINE_SECONDS) == 0, child.stderr and child.stderr.read()
            for line in child.stdout:  # what had been said before the kill and not been read yet
                if line.endswith("\n"):
                    said = json.loads(line)
                    minute = max(minute, int(said["minute"]))
                    if said["what"] != "minute":
                        reported[runs, said["what"], str(said["number"])] = said
        minute += 1
    assert deaths == KILLS

    with HistoryReader(path, now=1e10) as history:
        assert len(history.runs) == runs
        order = {run.id: place + 1 for place, run in enumerate(history.runs)}
        found = {(order[event.run.id], event.number): event for event in history.events()}
        heard = {round(minute.start) for minute in history.minutes()}
    assert len(reported) > 1000
    for (run, what, number), said in reported.items():
        event = found[run, int(number)]
        assert event.onset == said["onset"]
        assert not event.is_on
        if what == "event":
            assert abs(event.offset - said["offset"]) < 1e-6
            assert not event.cut
            assert len(event.curve)
    ended = {(run, number) for run, what, number in reported if what == "event"}
    left = [event for key, event in found.items() if (key[0], str(key[1])) not in ended and event.cut]
    assert all(event.offset >= event.onset for event in left)
    assert len(heard) > 0.98 * day
