"""``teach --record`` in a real terminal, with a microphone that hears what is played."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.command import ROOT, stream_classify
from tests.support.pulse import PulseServer, pulse_server
from tests.support.terminal import Terminal

RATE = 16_000


@pytest.fixture(scope="module")
def server() -> Iterator[PulseServer]:
    with pulse_server() as server:
        yield server


def test_a_press_takes_what_sounded_once_and_ctrl_c_leaves(server: PulseServer, tmp_path: Path) -> None:
    time = np.arange(RATE // 2) / RATE
    bell = 0.3 * np.sin(2 * np.pi * 880 * time) * np.exp(-time / 0.15)
    soundfile.write(tmp_path / "bell.wav", bell, RATE)
    env = " ".join(f"{name}={value}" for name, value in server.env.items())
    with Terminal(100, 24) as terminal:
        words = f"-W error -m stream teach bell --record -o {tmp_path}/mine.onnx"
        terminal.type(
            f"clear; env {env} PYTHONPATH={ROOT} OMP_NUM_THREADS=1 {sys.executable} {words}; echo rc=$?"
        )
        terminal.wait_for(lambda text: "\npress the space bar" in f"\n{text}")
        answered = 0
        for turn in (1, 2):
            server.play(tmp_path / "bell.wav", wait=True)
            for _ in range(8):  # what is played is heard a little later
                terminal.press("Space")
                text = terminal.wait_for(lambda text, before=answered: _answers(text) > before)  # type: ignore[misc]
                answered = _answers(text)
                if f"{turn} example" in text:
                    break
            assert f"{turn} example" in text
        terminal.press("Space")
        terminal.wait_for(lambda text: text.rstrip().endswith("closer, or louder"))
        terminal.press("u")
        terminal.wait_for(lambda text: text.rstrip().endswith("\n1 example"))
        terminal.press("C-c")
        text = terminal.wait_for(lambda text: "\nrc=130" in text)
        assert "teach: stopped before it was done" in text
        assert "listening to the background" not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bell.wav"]


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    done = stream_classify("teach", "bell", "--record", "-o", "mine.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert "--record: its keys need a terminal" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def _answers(text: str) -> int:
    return text.count("closer, or louder") + text.count("this one of")
