"""The screen of a review: any size, any clip, and what stands on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream.dashboard.layout import Screen
from stream.dashboard.sound_picture import SoundPicture
from stream.dashboard.text import width_of
from stream.dashboard.theme import Theme
from stream.review.desk import LONGEST_SECONDS, load_sound
from stream.review.drawing import draw
from stream.review.session import Session
from stream.review.waiting import clips_of_folder
from tests.support.clips import RATE, write_clip


def lines(screen: Screen) -> list[str]:
    return ["".join(segment.text for segment in line) for line in screen.lines]


def open_session(folder: Path, label: str = "dog", seconds: float = 1.0) -> Session:
    write_clip(folder, 0, label, seconds=seconds, wall=1e9)
    return Session(clips_of_folder(folder))


def shown(session: Session, width: int = 80, height: int = 24, theme: Theme | None = None) -> list[str]:
    assert session.clips
    return lines(draw(session, load_sound(session.clips[0].path), width, height, theme or Theme()))


@pytest.mark.parametrize("theme", [Theme(), Theme("none", "ascii"), Theme("basic")])
@pytest.mark.parametrize("keys", ["", "l", "ly", "y", "s"])
def test_every_size_is_filled_exactly(theme: Theme, keys: str, tmp_path: Path) -> None:
    session = open_session(tmp_path, "a\x1b[31mb\nc犬" * 10)
    session.press(keys)
    sound = load_sound(session.clips[0].path)
    for width, height in [(1, 1), (2, 3), (15, 6), (16, 7), (40, 10), (80, 24), (300, 5), (30, 100)]:
        screen = draw(session, sound, width, height, theme)
        assert len(screen.lines) == height
        assert {width_of(line) for line in screen.lines} == {width}
        text = "".join(lines(screen))
        assert text.isprintable()
        assert theme.encoding != "ascii" or text.isascii()


def test_what_is_asked_and_which_keys_there_are(tmp_path: Path) -> None:
    text = shown(open_session(tmp_path))
    assert text[0].split(" · ")[:3] == [
        "clip 1 of 1",
        "2001-09-09 01:46:40 UTC",
        "hall".ljust(len(text[0].split(" · ")[2])),
    ]
    assert text[1].startswith("Is it dog?  peak 0.90 · 1.0 s")
    assert text[-1].rstrip() == "y right  n wrong  l label  space play  s skip  u undo  q quit"
    assert shown(open_session(tmp_path), width=30)[-1].rstrip() == "y n l space s u q"


def test_the_event_is_marked_where_it_is(tmp_path: Path) -> None:
    text = shown(open_session(tmp_path))
    mark = next(line for line in text if "──" in line)
    cells = 80 - 5
    begin, end = mark.index("─"), mark.rindex("─") + 1
    assert abs(begin - cells * 0.5 / 1.75) <= 1
    assert abs(end - cells * 1.5 / 1.75) <= 1
    wave = text[text.index(mark) - 1]
    assert wave[begin + 2 : end - 2] == "█" * (end - begin - 4)
    assert not wave[: begin - 1].strip()


def test_what_is_missing_or_cut_is_said(tmp_path: Path) -> None:
    session = open_session(tmp_path, seconds=LONGEST_SECONDS + 5)
    assert "the beginning of 1:05.7" in "".join(shown(session))
    sound = load_sound(session.clips[0].path)
    assert len(sound.samples) == LONGEST_SECONDS * RATE
    session.clips[0].path.unlink()
    assert "cannot be read" in "".join(shown(session))


def test_when_all_is_judged_it_says_so(tmp_path: Path) -> None:
    session = open_session(tmp_path)
    session.press("y")
    text = shown(session)
    assert text[0].startswith("All clips are judged.")
    assert text[-1].rstrip() == "u undo  q quit"


@pytest.mark.parametrize("rate", [1000, 8000, 48_000])
@pytest.mark.parametrize("length", [1, 10, 4000])
def test_any_sound_can_be_drawn(rate: int, length: int) -> None:
    for samples in (
        np.zeros(length, np.float32),
        np.full(length, np.nan, np.float32),
        np.ones(length, np.float32),
    ):
        picture = SoundPicture.of(samples, rate, 50)
        assert len(picture.waveform(2, Theme(), Theme().strong)) == 2
        assert len(picture.spectrogram(5, Theme())) == 5
        assert len(picture.scale(5, 5, Theme())) == 5


def test_a_tone_lies_where_it_is(tmp_path: Path) -> None:
    time = np.arange(2 * RATE) / RATE
    samples = (0.5 * np.sin(2 * np.pi * 1000 * time) * (time >= 1)).astype(np.float32)
    picture = SoundPicture.of(samples, RATE, 40)
    assert np.isnan(picture.spectrum[:, :19]).all()  # nothing at all
    loudest = picture.centres[np.nanargmax(picture.spectrum[:, 30])]
    assert 900 < loudest < 1100
    assert picture.peaks[:19].max() == 0
    assert picture.peaks[21:] == pytest.approx(0.5, abs=0.01)
    assert [picture.cell_of(seconds) for seconds in (-1, 0, 1, 2, 9)] == [0, 0, 20, 39, 39]
