"""Keys of the dashboard: what they change on the screen, what they ask for, and the line that names them."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from stream.dashboard import Dashboard, Key, Theme, render
from stream.dashboard.controls import Controls, split_keys
from stream.dashboard.layout import View
from stream.dashboard.terminal import Terminal
from stream.messages import Event
from tests.support.watched import RATE, Watched, busy_scene, console


class Tuner:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def move(self, label: str, steps: int) -> str:
        self.asked.append(("move", label, str(steps)))
        return f"{label}: moved"

    def mute(self, label: str) -> str:
        self.asked.append(("mute", label))
        return f"{label}: muted"


def text(lines: list[list[object]]) -> list[str]:
    return ["".join(segment.text for segment in line) for line in lines]  # type: ignore[attr-defined]


def test_sequences_of_terminals_are_single_keys() -> None:
    assert split_keys("Q\x1b[A\x1bOBx\x1b[5~\x1b[6~ \x1b[C\x1b[D\x1b[1;5Z\x1b") == [
        "Q", "up", "down", "x", "pageup", "pagedown", " ", "right", "left", "\x1b[1;5Z", "\x1b",
    ]  # fmt: skip


def test_arrows_choose_a_class_and_move_its_threshold() -> None:
    tuner, readings = Tuner(), busy_scene().telemetry.read()
    controls = Controls({}, tuner, lambda: "saved")
    assert "first choose" in (controls.press("right", readings) or "")
    assert controls.press("down", readings) is None
    assert controls.view.chosen == 0
    assert controls.press("right", readings) == "speech: moved"
    controls.press("up", readings)
    assert controls.view.chosen == len(readings.labels) - 1
    controls.press("up", readings)
    controls.press("left", readings)
    controls.press("m", readings)
    assert controls.press("s", readings) == "saved"
    assert controls.press("x", readings) is None
    assert tuner.asked == [("move", "speech", "1"), ("move", "dog bark", "-1"), ("mute", "dog bark")]


def test_without_a_tuner_those_keys_do_nothing_and_are_not_named() -> None:
    readings = busy_scene().telemetry.read()
    controls = Controls({}, None, lambda: "")
    for key in ("up", "down", "left", "right", "m"):
        assert controls.press(key, readings) is None
    assert controls.view == View()
    controls.press("?", readings)
    assert "threshold" not in controls.hint(200)


@pytest.mark.parametrize("width", [16, 40, 72, 192])
def test_the_help_names_every_key_on_as_many_pages_as_it_needs(width: int) -> None:
    readings = busy_scene().telemetry.read()
    keys = {"t": Key("teach", str), "k": Key("mark", str, is_main=False)}
    controls = Controls(keys, Tuner(), str)
    main = controls.hint(width)
    assert main == "t teach  ? keys  q quit"
    pages = []
    for _ in range(20):
        controls.press("?", readings)
        if (line := controls.hint(width)) == main:
            break
        pages.append(line)
    assert main == controls.hint(width)
    named = " ".join(pages)
    for word in (
        "t teach",
        "k mark",
        "p pause",
        "up/down class",
        "left/right threshold",
        "m mute",
        "s save",
        "q quit",
    ):
        assert word in named, word
    if width >= 40:
        assert all(len(page) <= width for page in pages)
    assert (len(pages) == 1) is (width == 192)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 12), (20, 5)])
def test_what_is_chosen_paused_and_scrolled_is_on_the_screen(width: int, height: int) -> None:
    scene = busy_scene()
    for number in range(12):
        scene.push(
            [[0.1, 0.1, 0.1]] * 20,
            events=(
                Event(100 + number, "speech", scene.end, scene.end + 800, 0.9, 0.8, RATE, scene.end + 800),
            ),
        )
    readings = scene.telemetry.read()
    plain = render(readings, width, height)
    seen = render(readings, width, height, view=View(chosen=1, skipped=8, paused=True))
    for screen in (plain, seen):
        assert [sum(cell_len(s.text) for s in line) for line in screen.lines] == [width] * height
    reversed_ = [
        s.text.strip() for line in seen.lines for s in line if s.style and s.style.reverse and "dog" in s.text
    ]
    assert reversed_ == (["dog bark"] if height > 5 else [])
    assert "paused" in text(seen.lines)[0] or width == 20
    if height > 20:
        assert any("events, 8 newer above" in line for line in text(seen.lines))
        assert text(seen.lines) != text(plain.lines)


def test_a_chosen_class_is_shown_among_many() -> None:
    scene = Watched(tuple(f"class {n:02d}" for n in range(40)))
    scene.push([[0.5] * 39 + [0.0]])
    readings = scene.telemetry.read()
    assert not any("class 39" in line for line in text(render(readings, 80, 24).lines))
    assert any("class 39" in line for line in text(render(readings, 80, 24, view=View(chosen=39)).lines))


def test_a_paused_picture_stands_still_and_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    scene = busy_scene()
    screen = console(80, 24)
    board = Dashboard(scene.telemetry, screen)
    typed = iter(["p", "", "", "s", " ", "", "q"])
    written: list[int] = []

    def wait(self: Terminal, seconds: float) -> str:
        assert isinstance(screen.file, io.StringIO)
        written.append(len(screen.file.getvalue()))
        scene.push([[0.9, 0.1, 0.1]] * 40)
        return next(typed)

    monkeypatch.setattr(Terminal, "wait", wait)
    assert board.run(lambda: True, lambda: None) == "quit"
    sizes = [after - before for before, after in itertools.pairwise(written)]
    assert sizes[0] > 0  # that it is paused
    assert sizes[1] == sizes[2] == 0  # sound came, and nothing was drawn
    assert sizes[5] > 0
    (picture,) = tmp_path.glob("stream-classify-*.svg")
    assert "paused" in picture.read_text()
    assert re.fullmatch(r"stream-classify-\d{8}T\d{6}\.svg", picture.name)
    assert board._note == f"saved {picture.name}"


def test_colours_are_not_needed_to_see_the_choice() -> None:
    readings = busy_scene().telemetry.read()
    theme = Theme.of(console(80, 24, no_color=True), "dark")
    lines = render(readings, 80, 24, theme, view=View(chosen=0)).lines
    assert any(s.style and s.style.reverse and "speech" in s.text for line in lines for s in line)
