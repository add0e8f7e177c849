"""The shell of the dashboard: what it writes, when, and the picture it saves."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from stream.dashboard import Dashboard
from stream.dashboard.shell import drawing_period
from stream.dashboard.terminal import Terminal
from stream.errors import OutputError
from tests.support.watched import Watched, busy_scene, console


def test_a_picture_is_valid_svg_with_the_words_in_it(tmp_path: Path) -> None:
    scene = busy_scene(("<speech> & co", "dog bark"))
    path = tmp_path / "live.svg"
    Dashboard(scene.telemetry, console(100, 30)).save_svg(path)
    root = ElementTree.parse(path).getroot()
    words = " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("text"))
    for wanted in ("<speech> & co", "stream-classify", "48000 → 16000 Hz", "behind", "12 ms"):
        assert wanted in words, wanted
    assert root.attrib["viewBox"] == "0 0 1032 632"
    assert len([e for e in root.iter() if e.tag.endswith("path")]) > 10
    assert "│" not in words  # lines are shapes


def test_a_picture_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    board = Dashboard(Watched().telemetry, console(80, 24))
    with pytest.raises(OutputError, match=r"no/such.*--screenshot"):
        board.save_svg(tmp_path / "no" / "such" / "live.svg")


def test_it_suits_terminals_that_can_move_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Dashboard.suits(console(80, 24))
    assert not Dashboard.suits(console(80, 24, force_terminal=False))
    monkeypatch.setenv("TERM", "dumb")
    assert not Dashboard.suits(console(80, 24))


def test_only_what_changed_is_written() -> None:
    scene = busy_scene()
    scene.push([[0.05, 0.83, 0.1]])  # into a new cell, so that the next push does not scroll
    screen = console(80, 24)
    board = Dashboard(scene.telemetry, screen, fps=1000)
    written: list[int] = []
    looks = iter([True] * 4 + [False])

    def alive() -> bool:
        assert isinstance(screen.file, io.StringIO)
        written.append(len(screen.file.getvalue()))
        if len(written) == 4:
            scene.push([[0.05, 0.83, 0.2]])
        return next(looks)

    assert board.run(alive, lambda: None) == "ended"
    first, second, third, last = np.diff(written)
    assert first > 3000
    assert second == third == 0  # nothing new, nothing written
    assert 0 < last < first / 4


def test_leaving_gives_the_screen_back_and_stops_after_an_error() -> None:
    screen = console(80, 24)
    stopped: list[bool] = []

    def fail() -> bool:
        raise RuntimeError("a worker's trouble")

    with pytest.raises(RuntimeError, match="trouble"):
        Dashboard(Watched().telemetry, screen).run(fail, lambda: stopped.append(True))
    assert isinstance(screen.file, io.StringIO)
    assert stopped == [True]
    assert screen.file.getvalue().endswith("\x1b[?25h\x1b[?1049l")
    assert not screen.is_alt_screen


@pytest.mark.parametrize(
    ("cost_seconds", "period"),
    [(0.0, 0.1), (0.0004, 0.1), (0.0016, 0.2), (0.004, 0.5), (0.1, 0.5)],
)
def test_drawing_stays_within_its_share_of_a_core(cost_seconds: float, period: float) -> None:
    """0.8 %: ten drawings per second where one costs up to 0.8 ms, fewer where it costs more, never under two."""
    assert drawing_period(0.1, cost_seconds) == pytest.approx(period)


def test_costly_drawings_are_spaced_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop measures what its own thread spends on each drawing, and waits accordingly."""
    spent = 0.0
    scene = Watched()
    waits: list[float] = []

    def costly(self: Dashboard, hint: str) -> None:
        nonlocal spent
        spent += 0.002

    def wait(self: Terminal, seconds: float) -> str:
        waits.append(seconds)
        return "q" if len(waits) == 50 else ""

    monkeypatch.setattr("stream.dashboard.shell.time.thread_time", lambda: spent)
    monkeypatch.setattr(Dashboard, "_draw", costly)
    monkeypatch.setattr(Terminal, "wait", wait)
    assert Dashboard(scene.telemetry, console(80, 24)).run(lambda: True, lambda: None) == "quit"
    assert waits[0] == pytest.approx(0.1)  # one dear drawing, such as the first, does not slow it down
    assert waits[-1] == pytest.approx(0.002 / 0.008, rel=1e-3)
    assert waits == sorted(waits)


def test_a_picture_replaces_only_pictures(tmp_path: Path) -> None:
    scene = busy_scene()
    board = Dashboard(scene.telemetry, console(100, 30))
    (tmp_path / "sound.wav").write_bytes(b"RIFF")
    with pytest.raises(OutputError, match="no SVG file"):
        board.save_svg(tmp_path / "sound.wav")
    assert (tmp_path / "sound.wav").read_bytes() == b"RIFF"
    board.save_svg(tmp_path / "live.svg")
    board.save_svg(tmp_path / "live.svg")
