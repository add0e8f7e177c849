"""Dark or light: the terminal is asked, its answer never reaches anybody else, and nothing is asked in vain."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.dashboard.ground import QUESTION, Answers, ground_of_colour, ground_of_environment

ROOT = Path(__file__).resolve().parents[2]
KIND = b"\x1b[?64;1;2c"

PROGRAM = """
import os, sys, termios, time
from rich.console import Console
from stream.dashboard.terminal import Terminal
with Terminal(Console(force_terminal=True)) as terminal:
    early, typed = terminal.ground, ""
    while "q" not in typed:
        typed += terminal.wait(5.0)
    late = terminal.ground
termios.tcdrain(1)
print("\\nsaw", early, late, repr(typed), flush=True)
left = sys.stdin.readline()
print("left", repr(left), flush=True)
"""


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("rgb:ffff/ffff/ffff", "light"),
        ("rgb:fd/f6/e3", "light"),
        ("rgb:0000/2b2b/3636", "dark"),
        ("rgba:f/f/f/f", "light"),
        ("rgb:0d0d/1111/1717", "dark"),
        ("#ffffff", None),
        ("rgb:ffff/ffff", None),
        ("", None),
    ],
)
def test_a_colour_is_dark_or_light(text: str, ground: str | None) -> None:
    assert ground_of_colour(text) == ground


@pytest.mark.parametrize(
    ("value", "ground"),
    [
        ("15;0", "dark"),
        ("0;15", "light"),
        ("0;default;15", "light"),
        ("7;8", "dark"),
        ("0;7", "light"),
        ("x", "dark"),
    ],
)
def test_the_environment_may_say_it(value: str, ground: str) -> None:
    assert ground_of_environment({"COLORFGBG": value}) == ground
    assert ground_of_environment({}) == "dark"


@given(
    keys=st.lists(st.sampled_from([b"q", b"x", b"\x0c", b"", b"[", b"c"]), min_size=3, max_size=3),
    ending=st.sampled_from([b"\x07", b"\x1b\\"]),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_answers_are_taken_out_of_what_is_typed_however_it_comes(
    keys: list[bytes], ending: bytes, cuts: list[int]
) -> None:
    answers = Answers()
    answers.asked()
    data = keys[0] + b"\x1b]11;rgb:ffff/ffff/ffff" + ending + keys[1] + KIND + keys[2]
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    typed = b"".join(answers.take(data[a:b]) for a, b in pairwise(bounds))
    assert typed == b"".join(keys)
    assert answers.ground == "light"
    assert not answers.pending


def test_what_is_typed_is_left_alone_when_nothing_was_asked() -> None:
    assert Answers().take(b"\x1b[?6c") == b"\x1b[?6c"


class Played:
    """A terminal that the test plays, with a program in it."""

    def __init__(self, *words: str, **environment: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"} | environment
        env = {name: value for name, value in env.items() if value}
        self.child = subprocess.Popen(
            [sys.executable, *words], stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        os.close(slave)
        self.text = b""

    def wait_for(self, wanted: bytes, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while wanted not in self.text:
            assert time.monotonic() < end, self.text
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 4096)

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def close(self) -> None:
        self.child.kill()
        self.child.wait(20)
        os.close(self.master)


@pytest.mark.parametrize(
    ("colour", "ground"), [(b"rgb:ffff/ffff/ffff", "light"), (b"rgb:1010/1010/1010", "dark"), (b"", "dark")]
)
def test_a_terminal_that_answers(colour: bytes, ground: str) -> None:
    terminal = Played("-c", PROGRAM, COLORFGBG="")
    try:
        terminal.wait_for(QUESTION.encode())
        terminal.type((b"\x1b]11;" + colour + b"\x1b\\" if colour else b"") + KIND)
        terminal.wait_for(b"\x1b[?1049h")
        terminal.type(b"xq")
        terminal.wait_for(f"saw {ground} {ground} 'xq'".encode())
        terminal.type(b"more\n")
        terminal.wait_for(b"left 'more\\n'")
    finally:
        terminal.close()


def test_a_terminal_that_answers_late() -> None:
    """After the first drawing, in pieces, with a key between them."""
    terminal = Played("-c", PROGRAM, COLORFGBG="")
    try:
        terminal.wait_for(b"\x1b[?1049h")
        terminal.type(b"\x1b]11;rgb:ffff/ff")
        terminal.type(b"ff/ffff\x07x" + KIND + b"q")
        terminal.wait_for(b"saw dark light 'xq'")
        terminal.type(b"\n")
        terminal.wait_for(b"left '\\n'")
    finally:
        terminal.close()


def test_an_answer_that_comes_when_all_is_over_is_not_left_to_the_shell() -> None:
    terminal = Played("-c", PROGRAM, COLORFGBG="0;15")
    try:
        terminal.wait_for(b"\x1b[?1049h")
        terminal.type(b"q")
        terminal.wait_for(b"\x1b[?1049l")  # it waits a moment more before it gives the terminal back
        terminal.type(b"\x1b]11;rgb:0000/0000/0000\x1b\\" + KIND)
        terminal.wait_for(b"saw light light 'q'")
        terminal.type(b"\n")
        terminal.wait_for(b"left '\\n'")
    finally:
        terminal.close()


def test_a_terminal_that_never_answers() -> None:
    terminal = Played("-c", PROGRAM, COLORFGBG="0;15")
    try:
        terminal.wait_for(b"\x1b[?1049h")
        terminal.type(b"q")
        terminal.wait_for(b"saw light light 'q'")
    finally:
        terminal.close()


@pytest.mark.parametrize("case", ["dumb", "input"])
def test_nothing_is_asked_where_nobody_answers(case: str) -> None:
    """Neither a dumb terminal nor one that is not read."""
    line = "import sys; from stream.cli import main; main()"
    words = ["-m", "stream", "--input", "sim:noise?length=1s", "--model", "small"]
    if case == "input":
        words = ["-c", f"import os; os.dup2(os.open(os.devnull, os.O_RDONLY), 0); {line}", *words[2:]]
    terminal = Played(*words, TERM="dumb" if case == "dumb" else "xterm-256color")
    try:
        terminal.wait_for(b"of sound")
        assert b"]11;" not in terminal.text
        assert (b"\x1b[?1049h" in terminal.text) == (case == "input")
    finally:
        terminal.close()
