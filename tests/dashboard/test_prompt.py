"""A line that is typed on the dashboard: what keys do to it, what is drawn, and what becomes of the answer."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from stream.dashboard import Dashboard, Key, Question, Theme, render
from stream.dashboard.controls import Controls, split_keys
from stream.dashboard.layout import View
from stream.dashboard.prompt import LONGEST, Prompt
from stream.dashboard.terminal import Terminal
from stream.errors import UsageError
from tests.support.watched import busy_scene, console


class Names:
    """A key that asks for a name, and takes any but "bad"."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def answer(self, name: str) -> str:
        if name == "bad":
            raise UsageError("name bad: choose another")
        self.given.append(name)
        return f"{name}: kept 1"

    @property
    def keys(self) -> dict[str, Key]:
        return {"t": Key("teach", lambda: Question("name", self.answer))}


def typed(controls: Controls, text: str) -> list[str | None]:
    readings = busy_scene().telemetry.read()
    return [controls.press(key, readings) for key in split_keys(text)]


def test_every_key_belongs_to_the_line_until_enter() -> None:
    names = Names()
    controls = Controls(names.keys, None, lambda: "saved")
    said = typed(controls, "T  My Qx\x7f\x1b[A dog \r")
    assert names.given == ["My Q dog"]  # no "s saved", no pause; spaces about it are cut
    assert said[-1] == "My Q dog: kept 1"
    assert set(said[:-1]) == {None}
    assert not controls.asking
    assert controls.view == View()


def test_escape_leaves_and_enter_alone_gives_no_name() -> None:
    names = Names()
    controls = Controls(names.keys, None, str)
    typed(controls, "tdog\x1b")
    assert names.given == []
    assert not controls.asking
    typed(controls, "tdog\x15\r")
    assert names.given == [""]


def test_a_line_that_cannot_be_is_said_and_can_be_changed() -> None:
    names, theme = Names(), Theme()
    controls = Controls(names.keys, None, str)
    assert typed(controls, "tbad\r")[-1] is None
    assert controls.asking
    assert controls.view.prompt is not None
    assert controls.view.prompt.line(40, theme).strip() == "name bad: choose another"
    typed(controls, "ger")
    assert controls.view.prompt.line(60, theme).startswith("name: badger")
    typed(controls, "\r")
    assert names.given == ["badger"]


def test_a_line_ends_somewhere() -> None:
    prompt = Prompt("name", "x" * LONGEST)
    assert prompt.typing("y") == prompt


@pytest.mark.parametrize(
    ("width", "height"), [(200, 60), (80, 24), (60, 14), (40, 12), (24, 6), (20, 5), (3, 1)]
)
@pytest.mark.parametrize("colour", [True, False])
def test_the_line_is_on_screens_of_every_size(width: int, height: int, colour: bool) -> None:
    readings = busy_scene().telemetry.read()
    theme = Theme() if colour else Theme.of(console(width, height, no_color=True), "dark")
    text = "\u72ac and a very long name of it, mydog"
    lines = render(readings, width, height, theme, "q quit", View(prompt=Prompt("name", text))).lines
    assert [sum(cell_len(s.text) for s in line) for line in lines] == [width] * height
    last = "".join(segment.text for segment in lines[-1])
    assert "q quit" not in last
    if width >= 20:
        assert "mydog" in last
    assert ("name: \u72ac" in last and "Esc" in last) is (width >= 80)


def test_what_is_typed_cannot_steer_the_terminal() -> None:
    assert "\x9b" not in Prompt("name", "a\x9bb").line(40, Theme())


def test_in_the_loop_q_is_a_letter_while_a_name_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    names, screen = Names(), console(80, 24)
    keys = iter(["t", "q", "uiet Q", "\r", "", "Q"])
    seen: list[str] = []

    def wait(self: Terminal, seconds: float) -> str:
        seen.append(board._controls.hint(70) if board._controls.view.prompt is None else "asking")
        return next(keys)

    monkeypatch.setattr(Terminal, "wait", wait)
    board = Dashboard(busy_scene().telemetry, screen, keys=names.keys)
    assert board.run(lambda: True, lambda: None) == "quit"
    assert names.given == ["quiet Q"]
    assert seen[1:4] == ["asking"] * 3
    assert board._note == "quiet Q: kept 1"
