"""What people read: the table that the dashboard leaves behind, and short lines where nothing can be drawn."""

from __future__ import annotations

import sys
from pathlib import Path

from stream.messages import Event, Gap, Result, Scores, Status
from stream.outputs.people import PlainLines, closing_lines
from stream.outputs.wall_time import CaptureTimes
from tests.support.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]


def event(number: int, onset: float, offset: float | None, cut: bool = False) -> Event:
    end = None if offset is None else round(offset * 16000)
    return Event(number, "speech", round(onset * 16000), end, 0.98, 0.9, 16000, 0, cut=cut)


def test_the_closing_table() -> None:
    lines = closing_lines([event(1, 3.5, 5.5), event(0, 1.0, 2.0)], count=2, seconds=61.0, lost_seconds=1.5)
    assert [line.split()[:2] for line in lines[1:3]] == [["0:01.0", "speech"], ["0:03.5", "speech"]]
    assert lines[3] == "2 events in 1:01.0 of sound, 1.5 s of it lost"
    many = closing_lines([event(i, i, i + 1) for i in range(100)], count=500, seconds=9.0, lost_seconds=0)
    assert len(many) == 43
    assert "460 earlier" in many[1]
    assert many[-1].endswith("nothing lost")
    timed = [event(0, 1.0, 2.0), event(1, 3.5, 5.5)]
    live = closing_lines(timed, count=2, seconds=9.0, lost_seconds=0, began={0: "14:03:21", 1: ""})
    assert [line.split()[0] for line in live[1:3]] == ["14:03:21", "0:03.5"]


def test_short_lines() -> None:
    lines: list[str] = []
    sink = PlainLines(lines.append, live=True, times=CaptureTimes(lambda: 100.0, lambda: 1e9))
    empty = Scores(None, None, None, ("speech",), 16000, 160)  # type: ignore[arg-type]
    sink.result(Result(empty, None, (event(0, 1.0, None), event(0, 1.0, 2.0)), captured_at=100.0, end=48000))  # type: ignore[arg-type]
    sink.result(Result(empty, None, gaps=(Gap(0, 24000, 16000),)))  # type: ignore[arg-type]
    sink.status(Status("recovering", 16000, 16000, "\x1bgone"))
    assert len(lines) == 3
    assert all(len(line) < 80 and "\x1b" not in line for line in lines)
    assert lines[0].count(":") == 3, "stream time and wall-clock time"
    assert "1.5 s of sound lost" in lines[1]


def listen(terminal: Terminal, name: str) -> str:
    command = f"PYTHONPATH={ROOT} TERM={name} {sys.executable} -m stream --demo --fast; echo ended with $?"
    terminal.type(f"clear; {command}")
    return terminal.wait_for(lambda text: "ended with 0" in text)


def test_events_are_left_on_the_terminal() -> None:
    with Terminal(80, 50) as terminal:
        screen = listen(terminal, "xterm-256color")
    assert "╭" not in screen
    assert sum("music" in line for line in screen.splitlines()) >= 1
    assert "of sound, nothing lost" in screen


def test_a_terminal_that_cannot_draw_gets_short_lines() -> None:
    with Terminal(80, 50) as terminal:
        screen = listen(terminal, "dumb")
    assert "{" not in screen.split("\n", 3)[-1]
    assert any("music" in line and " s " in line for line in screen.splitlines())
    assert "of sound, nothing lost" in screen
