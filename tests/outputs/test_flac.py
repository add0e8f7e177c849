"""FLAC files as they are written: whole or not there, with their tags, whatever the disk and the process do."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile

from stream.errors import OutputError
from stream.outputs.flac import HIGHEST_RATE, FlacDraft, remove_leftovers
from stream.outputs.flac_tags import read_tags, write_tags
from tests.support.command import environment, running, wait_for
from tests.support.disk import small_disk

NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, 48_000).astype(np.float32)


def flac(folder: Path, stem: str = "a", *tags: tuple[str, str], sample_rate: int = 16_000) -> Path:
    draft = FlacDraft(folder, sample_rate)
    draft.write(NOISE)
    return draft.finish(stem, tags)


@pytest.mark.parametrize("sample_rate", [8000, 44_100, 192_000, HIGHEST_RATE])
def test_sound_and_tags_are_read_by_others(sample_rate: int, tmp_path: Path) -> None:
    tags = [("TITLE", 'the "dög" \n= 1'), ("COMMENT", "{}"), ("EMPTY", "")]
    path = flac(tmp_path / "new folder", "a", *tags, sample_rate=sample_rate)
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == sample_rate
    np.testing.assert_allclose(samples, NOISE, atol=1 / 32_000)
    read = mutagen.flac.FLAC(path)
    assert read.tags is not None
    assert list(read.tags) == tags
    assert read.info.total_samples == len(NOISE)
    assert read_tags(path) == dict(tags)
    assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044 & ~_umask()
    assert [each.name for each in path.parent.iterdir()] == ["a.flac"]


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_until_it_is_whole_nothing_bears_its_name(tmp_path: Path) -> None:
    draft = FlacDraft(tmp_path, 16_000)
    draft.write(NOISE)
    assert not list(tmp_path.glob("*.flac"))
    draft.discard()
    assert not list(tmp_path.iterdir())


def test_missing_samples_are_silent_and_loud_ones_are_clipped(tmp_path: Path) -> None:
    draft = FlacDraft(tmp_path, 16_000)
    draft.write(np.array([0.5, np.nan, 2.0, -2.0, np.inf, -np.inf], np.float32))
    samples, _ = soundfile.read(draft.finish("a"))
    np.testing.assert_allclose(samples, [0.5, 0, 1, -1, 1, -1], atol=1e-4)


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.flac").symlink_to("nowhere")
    paths = [flac(tmp_path), flac(tmp_path)]
    assert [path.name for path in paths] == ["a-2.flac", "a-3.flac"]
    assert os.readlink(tmp_path / "a.flac") == "nowhere"


def test_without_hard_links_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    assert [flac(tmp_path).name, flac(tmp_path).name] == ["a.flac", "a-2.flac"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("kibibytes", [8, 64])
def test_a_full_disk_leaves_nothing_behind(kibibytes: int, tmp_path: Path) -> None:
    with small_disk(tmp_path, kibibytes):
        draft = FlacDraft(tmp_path, 16_000)
        with pytest.raises(OutputError, match="No space left on device; make room"):
            draft.write(np.tile(NOISE, 10))
        draft.discard()
        assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_with_the_last_bytes_leaves_nothing_behind(tmp_path: Path) -> None:
    with small_disk(tmp_path, 64):
        draft = FlacDraft(tmp_path, 16_000)
        draft.write(NOISE[:6000])  # the newest block waits in the encoder
        with open(tmp_path / "other", "wb", buffering=0) as other, suppress(OSError):
            while other.write(bytes(1024)):
                pass
        with pytest.raises(OutputError, match="No space left"):
            draft.finish("a")
        assert [each.name for each in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize("rate", [HIGHEST_RATE + 1])
def test_a_rate_that_flac_does_not_have(rate: int, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"{rate} Hz: FLAC goes up to"):
        FlacDraft(tmp_path, rate)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: no sound can be written"):
        FlacDraft(tmp_path / "file", 16_000)


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, time, numpy as np; from stream.outputs.flac import FlacDraft\n"
        "draft = FlacDraft(sys.argv[1], 16000); draft.write(np.zeros(16000, np.float32)); time.sleep(60)"
    )
    (tmp_path / ".stream-classify-link.part").symlink_to("nowhere")
    (tmp_path / ".stream-classify-folder.part").mkdir()
    (tmp_path / "other.part").touch()
    others = {each.name for each in tmp_path.iterdir()}
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment())
    with running(child):
        wait_for(lambda: len(list(tmp_path.iterdir())) > len(others), "a draft", child)
        mine = FlacDraft(tmp_path, 16_000)
        wait_for(
            lambda: all(
                p.stat().st_size > 0
                for p in tmp_path.glob(".stream*.part")
                if p.is_file() and p != mine._path
            ),
            "sound",
            child,
        )
        assert remove_leftovers(tmp_path) == 0
        child.send_signal(signal.SIGKILL)
        child.wait(20)
        assert remove_leftovers(tmp_path) == 1
        mine.write(NOISE)
        assert mine.finish("mine").is_file()
    assert {each.name for each in tmp_path.iterdir()} == {*others, "mine.flac"}


def test_tags_that_are_too_long_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    draft = FlacDraft(tmp_path, 16_000, tag_bytes=100)
    draft.write(NOISE)
    with pytest.raises(OutputError, match="too long"):
        draft.finish("a", [("COMMENT", "x" * 1000)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", range(60, 140))
def test_tags_of_any_length_leave_the_sound_where_it_is(length: int, tmp_path: Path) -> None:
    draft = FlacDraft(tmp_path, 16_000, tag_bytes=100)
    draft.write(NOISE[:2000])
    try:
        path = draft.finish("a", [("COMMENT", "x" * length)])
    except OutputError:
        assert length > 60
        return
    assert len(soundfile.read(path)[0]) == 2000
    assert mutagen.flac.FLAC(path)["comment"] == ["x" * length]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"fLaC",
        b"RIFF" * 10,
        b"fLaC\x84\xff\xff\xff",
        b"fLaC\x84\x00\x00\x00",
        b"fLaC\x84\x00\x00\x08" + b"\xff" * 8,
    ],
)
def test_files_of_anybody_have_no_tags(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(content)
    assert read_tags(tmp_path / "a.flac") == {}


def test_what_is_no_flac_file_is_not_tagged(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"RIFF" * 10)
    with open(tmp_path / "a.flac", "r+b") as file, pytest.raises(ValueError, match="not a FLAC file"):
        write_tags(file, [])
    assert (tmp_path / "a.flac").read_bytes() == b"RIFF" * 10


def test_links_are_not_followed(tmp_path: Path) -> None:
    path = flac(tmp_path, "a", ("TITLE", "x"))
    (tmp_path / "b.flac").symlink_to(path)
    with pytest.raises(OSError):
        read_tags(tmp_path / "b.flac")
