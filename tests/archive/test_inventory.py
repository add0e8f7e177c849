"""Which recordings are meant by files, folders, patterns and lists; and when they were made."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream.archive.inventory import find_recordings
from stream.archive.recorded_at import named_time, recorded_at
from stream.errors import StreamClassifyError, UsageError


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "b.wav",
        "a.FLAC",
        "notes.txt",
        ".hidden.wav",
        "night/c.ogg",
        "night/deep/d.wav",
        ".trash/e.wav",
    ):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*paths: str) -> list[str]:
    return [each.name for each in find_recordings(paths)]


@pytest.mark.usefixtures("archive")
def test_folders_hold_all_sound_below_them_but_what_is_hidden() -> None:
    assert names(".") == ["./a.FLAC", "./b.wav", "./night/c.ogg", "./night/deep/d.wav"]
    assert names("night", "b.wav") == ["b.wav", "night/c.ogg", "night/deep/d.wav"]


@pytest.mark.usefixtures("archive")
def test_a_recording_counts_once_however_it_is_named(archive: Path) -> None:
    os.symlink(archive / "b.wav", archive / "link.wav")
    assert names("b.wav", "./b.wav", str(archive / "b.wav"), "link.wav") == ["b.wav"]


@pytest.mark.usefixtures("archive")
def test_patterns_are_expanded_where_the_shell_did_not() -> None:
    assert names("night/**/*") == ["night/c.ogg", "night/deep/d.wav"]
    assert names("*.wav") == ["b.wav"]
    with pytest.raises(UsageError, match=r"'?\*\.mp3'?.*holds no recordings"):
        names("*.mp3")


@pytest.mark.usefixtures("archive")
def test_a_file_that_is_named_is_taken_whatever_its_suffix() -> None:
    Path("sound.bin").write_bytes(b"x")
    assert names("sound.bin") == ["sound.bin"]


def test_lists_name_files_beside_them(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (archive / "night" / "list.txt").write_text("# last night\nc.ogg\n\ndeep/d.wav\n")
    (archive / "table.csv").write_text("label,filename\ndog,b.wav\ncat,a.FLAC\n")
    (archive / "table.tsv").write_text("\ufefffile\tlabel\nb.wav\tdog\n", encoding="utf-8")
    assert names("night/list.txt") == ["night/c.ogg", "night/deep/d.wav"]
    assert names("table.csv") == ["a.FLAC", "b.wav"]
    assert names("table.tsv") == ["b.wav"]
    monkeypatch.setattr("sys.stdin", io.StringIO("b.wav\n"))
    assert names("-") == [str(archive / "b.wav")]


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ((), "no recordings"),
        (("",), "empty path"),
        (("nothere.wav",), "No such file"),
        (("empty",), "holds no recordings"),
        (("list.csv",), "no column of file names"),
        (("bad.txt",), "write it as UTF-8"),
        (("gone.lst",), "No such file"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_heard(
    archive: Path, paths: tuple[str, ...], said: str
) -> None:
    (archive / "empty").mkdir()
    (archive / "list.csv").write_text("label,where\ndog,b.wav\n")
    (archive / "bad.txt").write_bytes(b"b\xff.wav\n")
    (archive / "gone.lst").write_text("gone.wav\n")
    with pytest.raises(StreamClassifyError, match=said):
        names(*paths)


def test_names_that_are_no_utf8_can_be_written_and_opened(archive: Path) -> None:
    file = os.fsencode(archive / "night") + b"/caf\xe9.wav"
    Path(os.fsdecode(file)).write_bytes(b"x")
    found = next(each for each in find_recordings(["night"]) if "caf" in each.name)
    assert found.name == "night/caf\\xe9.wav"
    assert os.path.getsize(found.path) == 1


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("20260131_235958.WAV", (2026, 1, 31, 23, 59, 58)),
        ("/night/SM4_20260131_235958.wav", (2026, 1, 31, 23, 59, 58)),
        ("2026-01-31T23-59-58.flac", (2026, 1, 31, 23, 59, 58)),
        ("garden 2026-01-31 23h59m58.ogg", (2026, 1, 31, 23, 59, 58)),
    ],
)
def test_the_name_says_when_it_was_recorded(name: str, moment: tuple[int, ...]) -> None:
    year, month, day, hour, minute, second = moment
    assert (
        recorded_at(named_time(name), 0, 10.0) == datetime(year, month, day, hour, minute, second).timestamp()
    )
    in_utc = name.replace("58", "58Z")
    assert (
        recorded_at(named_time(in_utc), 0, 10.0)
        == datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    )


@pytest.mark.parametrize(
    "name", ["talk.wav", "20261399_996199.wav", "120260131_2359581.wav", "serial_123456.wav"]
)
def test_else_the_file_was_written_when_the_recording_ended(name: str) -> None:
    assert recorded_at(named_time(name), 2_000_000_000_000_000_000, 50.0) == 2_000_000_000 - 50
