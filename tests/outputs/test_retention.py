"""How long clips are kept: the oldest go first, and nothing goes that is not ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.errors import UsageError
from stream.outputs.clip_record import MARK
from stream.outputs.flac import FlacDraft
from stream.outputs.retention import REVIEWS, Keep, Retention, parse_keep
from tests.outputs.test_clips import Room
from tests.outputs.test_flac import NOISE

NOW = 1_000_000.0
HOUR = 3600.0


def clip(folder: Path, name: str, *, age: float, mark: str = MARK) -> Path:
    draft = FlacDraft(folder, 16_000)
    draft.write(NOISE[:1000])
    path = draft.finish(name, [(mark, "clip 1")])
    os.utime(path, (NOW - age, NOW - age))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def retention(folder: Path, keep: Keep) -> Retention:
    return Retention(folder, keep, lambda: NOW)


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("7d", Keep(7 * 24 * HOUR)),
        ("12h", Keep(12 * HOUR)),
        ("1.5 w", Keep(1.5 * 7 * 24 * HOUR)),
        ("90min", Keep(5400.0)),
        ("2GB", Keep(size=2_000_000_000)),
        ("500mb", Keep(size=500_000_000)),
        ("1GiB", Keep(size=2**30)),
        (" 7d, 2GB ", Keep(7 * 24 * HOUR, 2_000_000_000)),
        ("2GB,7d", Keep(7 * 24 * HOUR, 2_000_000_000)),
    ],
)
def test_ages_and_sizes(text: str, keep: Keep) -> None:
    assert parse_keep(text) == keep
    assert str(parse_keep(text)) == text  # as `stream-classify settings` shows it


@pytest.mark.parametrize(
    "text", ["", "7", "d", "7d,", "7d,8d", "-1d", "0d", "2 G B", "1e9d", "infd", "7x", "7d|2GB"]
)
def test_what_is_neither(text: str) -> None:
    with pytest.raises(UsageError, match=r"--keep .*: want an age such as 7d"):
        parse_keep(text)


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    for age in (3, 2, 1):
        clip(tmp_path, f"{age}", age=age * HOUR)
    assert retention(tmp_path, Keep(1.5 * HOUR)).prune() == 2
    assert names(tmp_path) == ["1.flac"]
    assert retention(tmp_path, Keep(0.5 * HOUR)).prune() == 1


def test_what_is_too_much_goes_the_oldest_first(tmp_path: Path) -> None:
    sizes = [clip(tmp_path, name, age=age).stat().st_size for name, age in (("b", 3), ("a", 2), ("c", 1))]
    kept = retention(tmp_path, Keep(size=sum(sizes[1:])))
    assert kept.prune() == 1
    assert names(tmp_path) == ["a.flac", "c.flac"]
    kept.add(clip(tmp_path, "d", age=0))
    assert kept.prune() == 1
    assert names(tmp_path) == ["c.flac", "d.flac"]
    assert retention(tmp_path, Keep(size=1)).prune() == 1  # the newest stays until there is another
    assert names(tmp_path) == ["d.flac"]


def test_nothing_goes_that_is_not_ours(tmp_path: Path) -> None:
    inside, outside = tmp_path / "clips", tmp_path / "outside"
    (inside / "folder.flac").mkdir(parents=True)
    outside.mkdir()
    old = 100 * HOUR
    clip(inside, "ours", age=old)
    clip(inside, "of somebody", age=old, mark="TITLE")
    (inside / "link.flac").symlink_to(clip(outside, "linked", age=old))
    clip(inside / "below", "deeper", age=old)
    (inside / "broken.flac").write_bytes(b"fLaC")
    (inside / "notes.txt").write_text("mine")
    os.utime(inside / "broken.flac", (0, 0))
    before = names(inside)
    assert retention(inside, Keep(HOUR, 1)).prune() == 1
    assert names(inside) == [name for name in before if name != "ours.flac"]
    assert names(outside) == ["linked.flac"]
    assert names(inside / "below") == ["deeper.flac"]


def test_what_a_person_has_judged_stays(tmp_path: Path) -> None:
    for name in ("judged", "other"):
        clip(tmp_path, name, age=100 * HOUR)
    (tmp_path / REVIEWS).write_text(
        "label,filename\ndog,judged.flac\n"
    )  # a spreadsheet may have moved columns
    assert retention(tmp_path, Keep(HOUR)).prune() == 1
    assert names(tmp_path) == ["judged.flac", REVIEWS]


def test_where_it_cannot_be_read_what_was_judged_nothing_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip(tmp_path, "judged", age=100 * HOUR)
    (tmp_path / REVIEWS).mkdir()
    assert retention(tmp_path, Keep(HOUR)).prune() == 0
    assert len(caplog.messages) == 1
    assert (tmp_path / "judged.flac").exists()


def test_a_file_that_was_replaced_meanwhile_stays(tmp_path: Path) -> None:
    path = clip(tmp_path, "a", age=2 * HOUR)
    kept = retention(tmp_path, Keep(3 * HOUR))
    assert kept.prune() == 0
    path.write_bytes(b"somebody else's")
    kept._keep = Keep(HOUR)
    assert kept.prune() == 0
    assert path.read_bytes() == b"somebody else's"


def test_a_folder_that_cannot_be_read_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = retention(tmp_path / "gone", Keep(HOUR))
    assert [kept.prune(), kept.prune()] == [0, 0]
    assert len(caplog.messages) == 1


def test_clips_keep_what_they_were_told(tmp_path: Path) -> None:
    room = Room(tmp_path, 8000, keep=Keep(size=20_000))
    old = clip(tmp_path, "old", age=0)
    os.utime(old, (5, 5))
    room.hear(1.0)
    for number in range(4):
        onset = room.seconds - 0.1
        room.event(number, onset)
        room.hear(0.3)
        room.event(number, onset, onset + 0.1)
        room.hear(0.5)
        for path in tmp_path.glob(f"*{number}_dog*"):
            os.utime(path, (10 + number, 10 + number))
    room.tell()
    assert not old.exists()
    assert 0 < sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000


def test_leftovers_of_a_killed_run_go_at_the_start(tmp_path: Path) -> None:
    (tmp_path / ".stream-classify-0123456789abcdef.part").write_bytes(b"half a clip")
    Room(tmp_path)
    assert names(tmp_path) == []
