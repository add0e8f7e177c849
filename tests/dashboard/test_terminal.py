"""The dashboard in a real terminal: drawn, resized, left in every way, and the terminal as it was."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, sys, threading, time
import numpy as np
from stream.dashboard import Dashboard
from tests.support.watched import Watched, busy_scene

scene = busy_scene()
stopped, trouble = threading.Event(), []

def work():
    while not stopped.wait(0.01):
        scene.push([[0.05, 0.83, 0.1]])
        if sys.argv[1] == "worker-error" and scene.end > 41 * 16000:
            trouble.append("the worker had an error")
            return

def draw_error():
    raise RuntimeError("drawing failed")

worker = threading.Thread(target=work)
worker.start()
board = Dashboard(scene.telemetry)
if sys.argv[1] == "draw-error":
    scene.telemetry.read = draw_error
print("pid", os.getpid(), file=open(sys.argv[2], "w"))
ending = board.run(worker.is_alive, stopped.set)
print("the ending:", ending, *trouble)
worker.join(5)
print("worker alive:", worker.is_alive())
"""


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal(80, 24) as terminal:
        yield terminal


class Session:
    """The program in a terminal, between two looks at the terminal's settings."""

    def __init__(self, terminal: Terminal, folder: Path) -> None:
        self.terminal, self.folder, self.checks = terminal, folder, 0
        (folder / "program.py").write_text(PROGRAM)
        terminal.type(f"cd {folder} && stty -a > before && clear && echo prepared")
        terminal.wait_for(lambda text: text.startswith("prepared"))

    def start(self, how: str = "plain") -> None:
        python = f"PYTHONPATH={ROOT} {sys.executable}"
        self.terminal.type(
            f"TERM=xterm-256color COLUMNS=80 LINES=24 OMP_NUM_THREADS=1 {python} program.py {how} pid"
        )

    def check_that_all_is_as_before(self, words: str) -> str:
        """Wait for ``words`` and the prompt after them; the screen then."""
        terminal = self.terminal
        screen = terminal.wait_for(lambda text: words in text and text.rstrip().endswith("ready$"))
        assert terminal.ask("#{alternate_on} #{cursor_flag}") == "0 1"
        self.checks += 1  # an answer of its own each time: the last one may still be on the screen
        terminal.type(f"stty -a > after; echo typed $((6 * {6 + self.checks}))")
        echoed = terminal.wait_for(lambda text: f"typed {6 * (6 + self.checks)}" in text)
        assert "echo typed $((6" in echoed.replace("\n", "")  # what is typed can be seen
        assert (self.folder / "after").read_text() == (self.folder / "before").read_text()
        return screen


@pytest.fixture
def session(terminal: Terminal, tmp_path: Path) -> Session:
    return Session(terminal, tmp_path)


def whole(text: str, width: int, height: int) -> bool:
    lines = text.split("\n")[:height]
    framed = all(len(line) == width and line[0] in "╭│├╰" and line[-1] in "╮│┤╯" for line in lines)
    return len(lines) == height and framed and "dog bark" in text


def test_drawn_resized_and_left_with_ctrl_c(session: Session) -> None:
    terminal = session.terminal
    session.start()
    screen = terminal.wait_for(lambda text: whole(text, 80, 24))
    assert "● listening" in screen
    assert "48000 → 16000 Hz" in screen
    assert terminal.ask("#{alternate_on} #{cursor_flag}") == "1 0"
    for width, height in ((120, 40), (40, 10), (200, 60), (80, 24)):
        terminal.resize(width, height)
        terminal.wait_for(lambda text, w=width, h=height: whole(text, w, h))  # type: ignore[misc]
    terminal.press("x", "C-c")
    screen = session.check_that_all_is_as_before("the ending: interrupted")
    assert "worker alive: False" in screen
    assert "╭" not in screen


def test_left_with_q_and_by_the_end_of_the_worker(session: Session) -> None:
    session.start()
    session.terminal.wait_for(lambda text: "q quit" in text)
    session.terminal.press("q")
    session.check_that_all_is_as_before("the ending: quit")
    session.start("worker-error")
    session.check_that_all_is_as_before("the ending: ended the worker had an error")


def test_left_with_sigterm(session: Session) -> None:
    session.start()
    session.terminal.wait_for(lambda text: whole(text, 80, 24))
    os.kill(int((session.folder / "pid").read_text().split()[1]), 15)
    session.check_that_all_is_as_before("the ending: terminated")


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGALRM"])
def test_left_with_a_signal_that_ends_a_process(name: str, session: Session) -> None:
    session.start()
    session.terminal.wait_for(lambda text: whole(text, 80, 24))
    os.kill(int((session.folder / "pid").read_text().split()[1]), getattr(signal, name))
    ending = "terminated" if name == "SIGHUP" else "killed"
    session.check_that_all_is_as_before(f"the ending: {ending}")


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT", "SIGABRT", "SIGUSR1"])
def test_the_command_gives_the_terminal_back(name: str, session: Session) -> None:
    """It then ends as the signal says, which the shell can tell; a hangup is an orderly end."""
    command = f"PYTHONPATH={ROOT} TERM=xterm-256color {sys.executable} -m stream --demo"
    session.terminal.type(f"(ulimit -c 0; sh -c 'echo pid $$ > pid; exec env {command}'); echo ended with $?")
    session.terminal.wait_for(lambda text: "╭" in text)
    number = getattr(signal, name)
    os.kill(int((session.folder / "pid").read_text().split()[1]), number)
    session.check_that_all_is_as_before(f"ended with {0 if name == 'SIGHUP' else 128 + number}")


def test_left_by_an_error_while_drawing(session: Session) -> None:
    session.start("draw-error")
    screen = session.check_that_all_is_as_before("RuntimeError: drawing failed")
    assert "in draw_error" in screen  # the traceback, on the normal screen, where it can be read


def test_suspended_and_continued(session: Session) -> None:
    terminal = session.terminal
    session.start()
    terminal.wait_for(lambda text: whole(text, 80, 24))
    terminal.press("C-z")
    session.check_that_all_is_as_before("Stopped")
    terminal.type("fg")
    terminal.wait_for(lambda text: whole(text, 80, 24))
    terminal.press("q")
    session.check_that_all_is_as_before("the ending: quit")
