"""File names that are not UTF-8, and feature caches that cannot be written or are damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from export.data.cache import build_store
from export.data.dataset import read_dataset
from stream import FileSource, UnreadableAudio
from stream.errors import OutputError
from stream.features.spec import MfccSpec

ODD = os.fsdecode(b"caf\xe9")
RATE = 16_000
needs_bytes = pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are text on this system")


def sound(path: Path, seed: int = 0, seconds: float = 0.3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
        soundfile.write(file, samples, RATE, format="WAV")
    return path


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for label in ("a", ODD):
        for i in range(6):
            sound(tmp_path / "data" / label / f"{ODD}{i}.wav", i)
    (tmp_path / "data" / ODD / f"broken{ODD}.wav").write_bytes(b"junk")
    return tmp_path / "data"


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stream", *(os.fsencode(each) for each in arguments)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=200,
        env={**os.environ, **environment},
    )


@needs_bytes
def test_a_recording_is_heard_and_named_in_the_lines(tmp_path: Path) -> None:
    path = sound(tmp_path / f"{ODD}.wav", seconds=2)
    lines = tmp_path / f"{ODD}.jsonl"
    done = run("--input", path, "--fast", "--jsonl", lines, "--scores")
    assert done.returncode == 0, done.stderr
    text = lines.read_bytes().decode()  # UTF-8
    assert r"caf\\xe9.wav" in text
    with FileSource(path) as source:
        assert source.info().name == r"caf\xe9.wav"


@needs_bytes
def test_errors_name_it_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnreadableAudio):
        FileSource(tmp_path / f"{ODD}.wav")
    for arguments in (
        ("--input", f"{ODD}.wav", "--fast"),
        ("--model", f"{ODD}.onnx", "--demo"),
        ("inspect", f"{ODD}.onnx"),
        ("evaluate", "default", f"{ODD}"),
    ):
        done = run(*arguments)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


@needs_bytes
def test_class_folders_and_files_become_text(recordings: Path, tmp_path: Path) -> None:
    data = read_dataset(recordings)
    assert data.labels == ("a", r"caf\xe9")
    store = build_store(data.recordings, MfccSpec(), cache=tmp_path / ODD)
    assert len(store.skipped) == 1
    for text in (data.digest(), *(each.where for each in data.recordings), *store.skipped[0]):
        text.encode()
    again = build_store(data.recordings, MfccSpec(), cache=tmp_path / ODD)
    np.testing.assert_array_equal(again.features, store.features)


@needs_bytes
@pytest.mark.torch
def test_from_training_to_evaluation(recordings: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    checkpoint, model = tmp_path / f"{ODD}.pt", tmp_path / f"{ODD}.onnx"
    for arguments in (
        ("train", recordings, "-o", checkpoint, "--epochs", "1", "--cache", tmp_path / ODD,
         "--set", "compose=false", "--hidden", "8", "--layers", "1", "-q"),
        ("export", checkpoint, "-o", model),
        ("evaluate", model, recordings, "--report", tmp_path / f"report{ODD}"),
    ):  # fmt: skip
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    left_out = (tmp_path / f"{ODD}.run" / "skipped.tsv").read_bytes().decode()
    assert r"brokencaf\xe9.wav" in left_out


def below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file" / "below"


def a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file"


def in_proc(tmp_path: Path) -> Path:
    return Path("/proc/nothing")


@pytest.mark.parametrize("where", [below_a_file, a_file, in_proc])
def test_a_cache_that_cannot_be_written(tmp_path: Path, where: Callable[[Path], Path]) -> None:
    if where is in_proc and not Path("/proc").is_dir():
        pytest.skip("no /proc")
    data = read_dataset(sound(tmp_path / "data/a/1.wav").parent.parent)
    with pytest.raises(OutputError, match=r"the feature cache cannot be used \(.*--cache"):
        build_store(data.recordings, MfccSpec(), cache=where(tmp_path))


@pytest.mark.torch
@pytest.mark.parametrize("environment", [{"HOME": "/proc/nothing"}, {"XDG_CACHE_HOME": "/dev/null"}])
def test_a_home_that_cannot_be_written(tmp_path: Path, environment: dict[str, str]) -> None:
    pytest.importorskip("torch")
    for label in "ab":
        for i in range(4):
            sound(tmp_path / "data" / label / f"{i}.wav", i)
    unset = {} if "XDG_CACHE_HOME" in environment else {"XDG_CACHE_HOME": ""}
    done = run("train", tmp_path / "data", "-o", tmp_path / "m.pt", "-q", **unset, **environment)
    assert done.returncode == 7
    assert "--cache" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def truncated(content: bytes) -> bytes:
    return content[:-100]


def zeroed(content: bytes) -> bytes:
    return content[:50] + bytes(len(content) - 50)


def flipped(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


def foreign(content: bytes) -> bytes:
    return b"<html>"


def emptied(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("name", ["features.npy", "centres.npy", "index.json"])
@pytest.mark.parametrize("damage", [truncated, zeroed, flipped, foreign, emptied])
def test_a_damaged_cache_is_computed_again_with_a_word(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    data = read_dataset(sound(tmp_path / "data/a/1.wav").parent.parent)
    cache = tmp_path / "cache"
    wanted = np.array(build_store(data.recordings, MfccSpec(), cache=cache).features)
    (path,) = cache.glob(f"*/{name}")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match="is damaged .* computed again"):
        store = build_store(data.recordings, MfccSpec(), cache=cache)
    np.testing.assert_array_equal(store.features, wanted)
    np.testing.assert_array_equal(build_store(data.recordings, MfccSpec(), cache=cache).features, wanted)


def test_what_a_crash_left_behind_is_computed_again(tmp_path: Path) -> None:
    data = read_dataset(sound(tmp_path / "data/a/1.wav").parent.parent)
    cache = tmp_path / "cache"
    wanted = np.array(build_store(data.recordings, MfccSpec(), cache=cache).features)
    (index,) = cache.glob("*/index.json")
    index.unlink()
    np.testing.assert_array_equal(build_store(data.recordings, MfccSpec(), cache=cache).features, wanted)


def test_odd_recordings_are_counted_with_a_word(tmp_path: Path) -> None:
    """Once for all of them, when they are computed and when they come from the cache."""
    rng = np.random.default_rng(0)
    for i in range(3):
        sound(tmp_path / "data" / "a" / f"{i}.wav", i, 1.0)
        left = rng.normal(0, 0.1, RATE)
        soundfile.write(tmp_path / "data" / "a" / f"odd{i}.wav", np.stack([left, -left], 1), RATE)
    soundfile.write(tmp_path / "data" / "a" / "z.wav", rng.normal(0, 3000, RATE), RATE, subtype="FLOAT")
    data = read_dataset(tmp_path / "data")
    for _ in range(2):
        with pytest.warns(
            UserWarning, match=r"4 recordings sound odd; the first is odd0.wav .*cancel each other"
        ):
            build_store(data.recordings, MfccSpec(), cache=tmp_path / "cache")
