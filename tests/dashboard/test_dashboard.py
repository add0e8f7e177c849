"""The picture: exactly the size asked for, with the right numbers, in every terminal."""

from __future__ import annotations

import colorsys
import io
import re
import time
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

from stream.dashboard import Screen, Theme, render, to_svg
from stream.dashboard.ground import Ground
from stream.dashboard.theme import Depth
from stream.dashboard.timeline import Axis
from stream.messages import Status
from stream.outputs.output_report import OutputReport
from stream.telemetry import Readings
from tests.support.watched import HOP, NOON, RATE, Watched, busy_scene, console, event

SIZES = [
    (80, 24),
    (200, 60),
    (40, 10),
    (60, 14),
    (59, 13),
    (120, 14),
    (60, 50),
    (24, 6),
    (23, 5),
    (9, 2),
    (1, 1),
]
MANY = tuple(f"class {i}" for i in range(20))
THEMES = {
    "full": Theme("full"),
    "256": Theme("cube"),
    "16": Theme("basic"),
    "no colour": Theme("none"),
    "ascii": Theme("none", "ascii"),
    "latin-1 in colour": Theme("cube", "iso-8859-1"),
}


@pytest.fixture(scope="module")
def scene() -> Readings:
    return busy_scene().telemetry.read()


def text(frame: Screen) -> list[str]:
    return ["".join(segment.text for segment in line) for line in frame.lines]


def shown(readings: Readings, width: int = 80, height: int = 24, theme: Theme | None = None) -> str:
    return "\n".join(text(render(readings, width, height, theme)))


def check_size(frame: Screen, width: int, height: int) -> None:
    assert len(frame.lines) == height
    assert {cell_len(line) for line in text(frame)} == {width}


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES.keys())
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_has_exactly_the_size_asked_for(scene: Readings, width: int, height: int, theme: Theme) -> None:
    check_size(render(scene, width, height, theme), width, height)
    check_size(render(Watched().telemetry.read(), width, height, theme), width, height)
    check_size(render(busy_scene(MANY).telemetry.read(), width, height, theme), width, height)


# A model card refuses names that cannot be printed; devices and files are called what they are called.
NAMES = st.text(min_size=1, max_size=30).filter(lambda name: name.isprintable() and bool(name.strip()))


@given(
    width=st.integers(1, 220),
    height=st.integers(1, 70),
    names=st.lists(NAMES, min_size=2, max_size=24, unique=True),
    device=st.text(max_size=60),
    encoding=st.sampled_from(["utf-8", "ascii"]),
)
@settings(max_examples=40, deadline=None)
def test_any_name_at_any_size_is_harmless(
    width: int, height: int, names: list[str], device: str, encoding: str
) -> None:
    scene = Watched(names, name=device, detail=device)
    scene.push(np.full((30, len(names)), 0.5))
    scene.telemetry.status(Status("failed", 0, RATE, device))
    frame = render(scene.telemetry.read(), width, height, Theme("full", encoding))
    check_size(frame, width, height)
    assert all(line.isprintable() for line in text(frame))
    "".join(text(frame)).encode(encoding)
    ElementTree.fromstring(to_svg(frame))


def test_frames_are_whole_in_a_large_picture(scene: Readings) -> None:
    for width, height in ((80, 24), (200, 60), (40, 10)):
        lines = text(render(scene, width, height))
        assert lines[0][0] + lines[0][-1] + lines[-1][0] + lines[-1][-1] == "╭╮╰╯"
        assert all(line[0] in "│├" and line[-1] in "│┤" for line in lines[1:-1])


def test_the_numbers_of_the_scene_are_there(scene: Readings) -> None:
    for size in ((80, 24), (200, 60)):
        screen = shown(scene, *size)
        for words in (
            "USB mic · 48000 → 16000 Hz · channel 1 of 2",
            "house sounds · cpu",
            "● listening  0:40",
            "lost 1.0 s in 1 gap   repaired 7 samples   behind  12 ms   computing   0 %",
            "-20.0 dBFS",
            "-30 s",
            "now",
        ):
            assert words in screen, words
        assert re.search(r"dog bark .*0\.83", screen)
        assert re.search(r"  \d\d:\d\d:\d\d speech +3\.0 s  0\.97", screen)
        assert re.search(r"▶ \d\d:\d\d:\d\d dog bark +8\.0 s  0\.83", screen)
    assert "threshold 0.60 · peak 0.83" in shown(scene, 200, 60)


def test_latency_is_shown_in_milliseconds() -> None:
    scene = Watched()
    for _ in range(10):
        scene.push(np.zeros((1, 3)), busy=0.0042)
    assert "a chunk takes  4.2 ms   slowest 1 %  4.2 ms" in shown(scene.telemetry.read(), 200, 60)
    assert "computing  42 %" in shown(scene.telemetry.read())


def test_bar_length_threshold_and_peak() -> None:
    scene = Watched(("a", "b"))
    scene.push(np.tile([0.25, 0.9], (10, 1)))
    scene.push(np.tile([0.25, 0.4], (10, 1)))
    screen = text(render(scene.telemetry.read(), 80, 24))
    rows = [line[4:31] for line in screen if line.startswith(("│ a ", "│ b "))]
    width = len(rows[0])
    assert rows[0].count("█") == int(0.25 * width)
    assert rows[0].index("┊") == int(0.6 * width)
    assert rows[1].rindex("▏") == int(0.9 * width)


def test_twenty_classes_become_the_strongest_and_a_count() -> None:
    scene = busy_scene(MANY).telemetry.read()
    screen = shown(scene, 80, 24)
    assert "+ 9 more, highest 0.05" in screen
    for name in ("class 0 ", "class 1 ", "class 19"):  # the three that were high
        assert name in screen
    assert all(f"{name} " in shown(scene, 200, 60) for name in MANY)


def test_three_classes_have_their_place_on_a_low_screen(scene: Readings) -> None:
    screen = shown(scene, 60, 14)
    assert all(label in screen for label in ("speech", "dog bark", "background"))
    assert "more, highest" not in screen


def test_gaps_and_cold_columns_look_different(scene: Readings) -> None:
    lines = text(render(scene, 80, 24))
    under = next(y for y, line in enumerate(lines) if "speech" in line) + 1  # the last line of the class
    timeline = lines[under].split("│")[2]
    assert "╱" in timeline
    assert "·" in timeline  # cold
    assert timeline.index("·") < timeline.index("╱")


def colours_of(frame: Screen, part: str) -> set[str]:
    return {
        segment.style.color.name
        for line in frame.lines
        for segment in line
        if part in segment.text and segment.style is not None and segment.style.color is not None
    }


def test_a_class_has_one_colour_everywhere(scene: Readings) -> None:
    frame = render(scene, 80, 24)
    accent = Theme().accent(1).color
    assert accent is not None
    assert colours_of(frame, "dog bark") == {accent.name}
    newest = [line[-3] for line in frame.lines if len(line) > 3]
    bars = [segment for segment in newest if set(segment.text) == {"█"}]  # at "now" on the timelines
    assert {s.style.color.name for s in bars if s.style and s.style.color} == {accent.name}
    assert len({Theme().accent(i) for i in range(20)}) == 20


def test_a_class_that_is_never_reported_is_grey(scene: Readings) -> None:
    grey = Theme().accent(2, enabled=False).color
    assert grey is not None
    assert colours_of(render(scene, 80, 24), "background") == {grey.name}


def test_the_spectrogram_has_two_bands_a_cell_and_follows_the_sound() -> None:
    scene = Watched(spec=None)
    tone = np.full((300, 40), 0.0, np.float32)
    log_mel = np.full((300, 40), -80.0)
    log_mel[:, 35] = 0.0  # one loud high band
    n = np.arange(40)
    dct = np.cos(np.pi * n[:, None] * (2 * n + 1) / 80) * np.sqrt(2 / 40)
    dct[0] /= np.sqrt(2)
    tone[:] = log_mel @ dct.T
    scene.push(np.zeros((300, 3)), features=tone)
    frame = render(scene.telemetry.read(), 200, 60)
    rows = [y for y, line in enumerate(text(frame)) if "▀" in line]
    picture = [y for y, line in enumerate(frame.lines) if any(s.style and s.style.bgcolor for s in line)]
    assert rows
    assert max(rows) < (min(picture) + max(picture)) / 2  # high bands are at the top
    assert any(s.style and s.style.color and s.style.bgcolor for y in rows for s in frame.lines[y])


def test_without_blocks_everything_is_ascii(scene: Readings) -> None:
    for width, height in SIZES:
        assert shown(scene, width, height, Theme("none", "ascii")).isascii()
    assert "###" in shown(scene, 80, 24, Theme("none", "ascii"))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 10)])
def test_printed_on_a_console_nothing_wraps(scene: Readings, width: int, height: int) -> None:
    screen = console(width, height)
    screen.print(render(scene, width, height, Theme.of(screen)), end="")
    assert isinstance(screen.file, io.StringIO)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.file.getvalue())
    assert [cell_len(line) for line in plain.split("\n")] == [width] * height


def test_no_color_is_respected(scene: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = console(80, 24)
    theme = Theme.of(screen)
    assert theme.depth == "none"
    screen.print(render(scene, 80, 24, theme), end="")
    assert isinstance(screen.file, io.StringIO)
    codes = set(";".join(re.findall(r"\x1b\[([0-9;]*)m", screen.file.getvalue())).split(";"))
    assert codes <= {"0", "1", "2", "7"}  # bold, dim and reverse are no colours


def test_the_theme_follows_the_terminal() -> None:
    assert Theme.of(console(80, 24)).depth == "full"
    assert Theme.of(console(80, 24, color_system="256")).depth == "cube"
    assert Theme.of(console(80, 24, color_system="standard")).depth == "basic"
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert Theme.of(console(80, 24, file=latin)).glyphs.rules == "-|"


def test_the_cube_colours_need_no_rounding() -> None:
    for colour in Theme("cube").spectrum:
        near = colour.downgrade(ColorSystem.EIGHT_BIT)
        assert near.get_truecolor() == colour.get_truecolor()


def test_states_are_said_in_words() -> None:
    scene = Watched()
    scene.push(np.zeros((10, 3)))
    scene.heartbeat("silent", 0.0)
    scene.heartbeat("silent", 12.0)
    assert "○ no sound for 12 s" in shown(scene.telemetry.read())
    scene.status("recovering", "PortAudio: device unavailable")
    scene.heartbeat("recovering", 3.0, "PortAudio: device unavailable")
    screen = shown(scene.telemetry.read())
    assert "↻ microphone gone, trying again, 3 s" in screen
    assert "PortAudio: device unavailable" in screen
    scene.heartbeat("failed", 0.0)
    assert "✕ microphone failed" in shown(scene.telemetry.read())


def test_a_file_shows_how_far_it_is() -> None:
    scene = Watched(live=False, duration=48000 * 95, name="street.wav", channels=1)
    scene.push(np.zeros((400, 3)))
    assert "● playing  0:04 / 1:35" in shown(scene.telemetry.read())
    paced = Watched(live=True, duration=48000 * 95, name="street.wav")
    assert "● playing  0:00 / 1:35" in shown(paced.telemetry.read())


def test_clipping_is_marked() -> None:
    scene = Watched()
    scene.push(np.zeros((10, 3)), samples=np.ones(1600))
    frame = render(scene.telemetry.read(), 80, 24)
    assert "  0.0 CLIP" in "\n".join(text(frame))
    alarm = Theme().alarm.color
    meter = next(line for line in frame.lines if any("CLIP" in segment.text for segment in line))
    assert [s.text for s in meter if s.style and s.style.color == alarm] == ["CLIP"]  # and nothing else


def test_rendering_is_pure(scene: Readings) -> None:
    before = {
        name: np.copy(getattr(scene, name)) for name in ("timeline", "spectrum", "probs", "peaks", "active")
    }
    assert render(scene, 80, 24).lines == render(scene, 80, 24).lines
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(scene, name), value)


def test_while_the_source_is_gone_the_past_is_faint_and_the_gap_is_seen_to_grow(scene: Readings) -> None:
    gone = busy_scene()
    for tenths in range(1, 81):
        gone.now += 0.1
        gone.gone(tenths * RATE // 10)
    before, after = (render(each, 80, 24) for each in (scene, gone.telemetry.read()))
    accent, quiet = Theme().accent(1).color, Theme().quiet.color
    assert accent is not None
    assert quiet is not None
    for frame, colour in ((before, accent), (after, quiet)):
        bar = next(line for line in frame.lines if any("dog bark" in segment.text for segment in line))
        assert colours_of(Screen([bar], 80, 1), "dog bark") == {colour.name}
    hatched = [max(line.count("╱") for line in text(frame)) for frame in (before, after)]
    assert hatched[1] >= hatched[0] + 8
    assert "no sound" in "\n".join(text(after))
    assert "0:48" in text(after)[0]  # the clock goes on


GROUNDS: dict[Ground, tuple[int, int, int]] = {"dark": (13, 17, 23), "light": (255, 255, 255)}


def distance(style: Style, ground: tuple[int, int, int]) -> float:
    """How much a colour stands out: the difference of lightness, 0 to 1."""
    assert style.color is not None
    weights = (0.299, 0.587, 0.114)
    ink = style.color.get_truecolor()
    return abs(sum(w * (a - b) for w, a, b in zip(weights, ink, ground, strict=True))) / 255


def hue(style: Style) -> float:
    """Of a colour, in turns."""
    assert style.color is not None
    return colorsys.rgb_to_hsv(*(part / 255 for part in style.color.get_truecolor()))[0]


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("depth", ["full", "cube"])
def test_what_is_no_event_stands_out_less_and_has_the_same_hue(depth: Depth, ground: Ground) -> None:
    theme = Theme(depth, ground=ground)
    for index in range(20):
        full, faint = theme.accent(index), theme.faint(index)
        assert distance(faint, GROUNDS[ground]) < 0.8 * distance(full, GROUNDS[ground]), index
        assert distance(faint, GROUNDS[ground]) > 0.03, index
        assert distance(full, GROUNDS[ground]) > 0.25, index
        turned = abs(hue(full) - hue(faint))
        assert min(turned, 1 - turned) < 1 / 8, index


def test_sixteen_colours_are_dimmed() -> None:
    for ground in GROUNDS:
        theme = Theme("basic", ground=ground)
        for index in range(6):
            assert theme.faint(index).dim
            assert theme.faint(index).color == theme.accent(index).color


@pytest.mark.parametrize("depth", ["full", "cube"])
def test_louder_stands_out_more_on_both_grounds(depth: Depth) -> None:
    for ground, colour in GROUNDS.items():
        steps = [distance(Style(color=step), colour) for step in Theme(depth, ground=ground).spectrum]
        assert steps[-1] > 0.8
        assert steps[0] < 0.12
        assert all(b > a - 0.1 for a, b in pairwise(steps))


def test_a_timeline_shows_the_threshold_where_it_is() -> None:
    scene = Watched(("a", "b"))
    scene.push(np.tile([0.1, 0.9], (300, 1)))
    lines = text(render(scene.telemetry.read(), 100, 40))
    dashed = [y for y, line in enumerate(lines) if "┄" in line]
    assert all(lines[y].rstrip(" │").endswith("0.60") for y in dashed)
    first = next(y for y, line in enumerate(lines) if "┄" in line)
    assert lines[first].count("┄") > 40
    assert "▆" in lines[first + 4]  # 0.1 of 8 lines, under the threshold at 0.6
    assert len(dashed) == 2
    assert "█" in lines[dashed[1]]  # the second class is above it


def test_the_spectrogram_has_a_scale_of_frequencies() -> None:
    lines = text(render(busy_scene().telemetry.read(), 200, 60))
    heading = next(y for y, line in enumerate(lines) if " Hz ┤" in line)
    words = {line.rstrip(" │").split()[-1]: y for y, line in enumerate(lines) if y > heading}
    order = [words[name] for name in ("4k", "2k", "1k", "500", "200")]
    assert order == sorted(order)
    readings = busy_scene().telemetry.read()
    assert 50 < readings.centres[0] < readings.centres[-1] < 8000


@pytest.mark.parametrize(("seconds", "window"), [(4, 10), (10, 10), (11, 20), (20, 20), (25, 30), (60, 30)])
def test_the_window_grows_with_the_stream(seconds: int, window: int) -> None:
    for first in (0, 10_000_000):
        scene = Watched()
        scene.end = first
        scene.push(np.full((seconds * RATE // HOP, 3), 0.5))
        axis = Axis.of(scene.telemetry.read(), 100)
        assert window <= axis.cells * axis.seconds < window + 1


def test_figures_stay_where_they_are_while_their_numbers_change() -> None:
    scene = Watched()
    columns = set()
    for lag, busy in ((0.0, 1e-5), (0.123, 0.001), (0.0007, 0.0065), (0.45, 0.0001)):
        scene.lag = lag
        for _ in range(2000):
            scene.push(np.zeros((1, 3)), busy=busy)
        line = text(render(scene.telemetry.read(), 120, 24))[-2]
        columns.add(tuple(line.index(word) for word in ("behind", "computing", "nothing lost", "a chunk")))
    assert len(columns) == 1


def test_what_is_wrong_comes_first() -> None:
    scene = Watched()
    scene.lag = 2.0
    scene.push(np.zeros((1, 3)), busy=0.009)
    line = text(render(scene.telemetry.read(), 80, 24))[-2]
    assert line.startswith("│ behind  2.0 s   computing  90 %   nothing lost")
    scene.lag = 0.0
    scene.push(np.zeros((1, 3)), busy=0.009, gaps=(scene.skip(8000),))
    line = text(render(scene.telemetry.read(), 80, 24))[-2]
    assert line.startswith("│ lost 500 ms in 1 gap   computing  90 %   behind   0 ms")


def test_events_of_live_sound_have_the_time_of_day() -> None:
    times = {}
    for name, source in {"live": {}, "file": {"live": False}, "paced": {"duration": 10**7}}.items():
        scene = Watched(**source)  # type: ignore[arg-type]
        scene.push(np.full((200, 3), 0.9), events=(event(0, "speech", RATE),))
        scene.push(np.full((200, 3), 0.9), events=(event(0, "speech", RATE, 2 * RATE),))
        times[name] = scene.telemetry.read().began[0]
        assert (times[name] or "0:01.0") in shown(scene.telemetry.read())
    began = NOON + 1.0 - 0.012  # the stream began at noon, and sound is 12 ms old when it arrives
    assert times == {"live": time.strftime("%H:%M:%S", time.localtime(began)), "file": "", "paced": ""}


def test_a_hint_about_the_sound_is_shown_while_it_listens() -> None:
    scene = Watched()
    scene.push(np.zeros((10, 3)))
    scene.status("listening", "its channels cancel each other when they are mixed: listen to one of them")
    assert "its channels cancel each other" in shown(scene.telemetry.read())


def with_outputs(*reports: OutputReport) -> Readings:
    scene = busy_scene()
    scene.outputs = reports
    return scene.telemetry.read()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_outputs_keep_the_size(width: int, height: int) -> None:
    reports = [OutputReport(f"output{i}\x1b", "x", i, i, i, i, trouble="gone " * i) for i in range(6)]
    check_size(render(with_outputs(*reports), width, height), width, height)


def test_what_outputs_do_has_a_line_of_its_own() -> None:
    away = OutputReport("mqtt", "mqtt://hub", 9, 5, trouble="hub: Connection refused")
    full = OutputReport("clips", "clips", 4, 0, 2, 1)
    fine = OutputReport("labels", "events.txt", 7, 1)
    line = "clips 3 not delivered   mqtt trying again, 5 waiting   labels up to date"
    low, wide = (text(render(with_outputs(fine, full, away), *size)) for size in ((80, 24), (200, 60)))
    assert low[-2] == f"│ {line:<76} │"
    assert "labels up to date   hub: Connection refused " in wide[-2]
    assert "lost 1.0 s in 1 gap" in low[-3]
    assert "clips 3 not delivered" in shown(with_outputs(fine, full, away), 40, 10)
    assert "labels" not in shown(with_outputs(fine), 40, 10)
    assert "labels, clips up to date" in shown(with_outputs(fine, OutputReport("clips", "clips")))
