"""Keys to verdicts: each is kept at once, can be undone, and the next session goes on where this one ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import OutputError, UsageError
from stream.outputs.retention import REVIEWS
from stream.review.session import Session
from stream.review.verdicts import Verdict, Verdicts
from stream.review.waiting import clips_of_folder
from tests.support.clips import write_clip

LABELS = ("dog", "cat", "dog", "cow")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, label in enumerate(LABELS):
        write_clip(tmp_path, number, label)
    return tmp_path


def open_session(folder: Path, **options: bool) -> Session:
    return Session(clips_of_folder(folder), **options)


def said(folder: Path) -> list[Verdict | None]:
    store = Verdicts(folder)
    return [store.of(clip.path.name) for clip in clips_of_folder(folder)]


RIGHT, WRONG, CAT = Verdict("right", "dog"), Verdict("wrong", ""), Verdict("other", "cat")


@pytest.mark.parametrize(
    ("keys", "verdicts", "place"),
    [
        ("", [None, None], 0),
        ("y", [RIGHT, None], 1),
        ("N", [WRONG, None], 1),
        ("lcat\r", [CAT, None], 1),
        ("lc\t\r", [CAT, None], 1),  # the first label that begins so
        ("lcat\x7f\x7f\x7fdog\n", [RIGHT, None], 1),  # its own label
        ("lcat\x1by", [RIGHT, None], 1),
        ("l  \r", [None, None], 0),
        ("lhünd;|x \r", [Verdict("other", "hünd x"), None], 1),
        ("s", [None, None], 1),
        ("sn", [None, WRONG], 2),
        ("yu", [None, None], 0),
        ("yun", [WRONG, None], 1),
        ("suy", [RIGHT, None], 1),
        ("u", [None, None], 0),
        ("yq n", [RIGHT, None], 1),  # nothing after q
        ("\x1b[A\x1bOS\x1b[3~y", [RIGHT, None], 1),  # keys that send several characters
        ("xz\x00\ufffdy", [RIGHT, None], 1),
    ],
)
def test_keys(keys: str, verdicts: list[Verdict | None], place: int, folder: Path) -> None:
    session = open_session(folder)
    session.press(keys)
    assert said(folder)[:2] == verdicts
    assert session.place == place
    assert session.ended is ("q" in keys)
    assert session.typed is None


def test_a_label_is_typed_letter_by_letter_and_known_ones_follow_each_other(folder: Path) -> None:
    session = open_session(folder)
    session.press("l")
    shown = []
    for key in "\t\t\t\t":
        session.press(key)
        shown.append(session.typed)
    assert shown == ["cat", "cow", "dog", "cat"]
    session.press("x" * 200)
    assert session.typed is not None
    assert len(session.typed) == 64


def test_a_new_label_is_known_from_then_on(folder: Path) -> None:
    session = open_session(folder)
    session.press("lbird\rlb\t")
    assert session.typed == "bird"
    assert open_session(folder).labels == ["bird", "cat", "cow", "dog"]


def test_the_next_session_goes_on(folder: Path) -> None:
    open_session(folder).press("ysn")
    session = open_session(folder)
    assert [clip.record.label for clip in session.clips] == ["cat", "cow"]
    assert session.done_before == 2
    again = open_session(folder, again=True)
    assert len(again.clips) == 4
    again.press("n")
    assert said(folder) == [WRONG, None, WRONG, None]
    again.press("u")
    assert said(folder) == [RIGHT, None, WRONG, None]


def test_all_the_way_and_back(folder: Path) -> None:
    session = open_session(folder)
    session.press("yyyy")
    assert session.clip is None
    assert dict(session.said) == {"right": 4}
    session.press("ynsl")
    assert session.place == 4
    session.press("uuuuu")
    assert session.place == 0
    assert session.said["right"] == 0
    assert session.note == "nothing to undo"
    assert said(folder) == [None] * 4


def test_what_cannot_be_kept_is_said_and_the_clip_stays(folder: Path) -> None:
    session = open_session(folder)
    (folder / REVIEWS).mkdir()
    session.press("y")
    assert session.place == 0
    assert "review.csv: cannot be read" in session.note
    (folder / REVIEWS).rmdir()
    session.press("y")
    assert session.place == 1


def test_sound_is_asked_for(folder: Path) -> None:
    session = open_session(folder)
    session.press(" p")
    assert session.plays == 2


def test_places_without_clips(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no clip in it; listen with --clips"):
        clips_of_folder(tmp_path)
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    with pytest.raises(UsageError, match="no clip in it"):
        clips_of_folder(tmp_path)
    for place in (tmp_path / "none", tmp_path / "a.flac"):
        with pytest.raises(UsageError, match="no such folder"):
            clips_of_folder(place)


def test_a_list_of_somebody_else_is_said_at_once(folder: Path) -> None:
    (folder / REVIEWS).write_text("a,b\n")
    with pytest.raises(OutputError, match="is no list of reviews"):
        open_session(folder)
