"""A session that was cut, edited or made by somebody with bad intentions is refused by the name of the file."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.classifier import StreamClassifier
from stream.errors import SessionInvalid
from stream.inference.session import Model
from stream.messages import Chunk
from stream.session.index import Closing, encode
from stream.session.recorded import RecordedSession
from stream.snapshot import pack
from tests.support.recording import compared, record, scene
from tests.support.sounds import demo


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.bundled("small")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    """Four seconds, a segment for each; the first two have FLAC."""
    folder = tmp_path_factory.mktemp("sessions") / "whole"
    chunks = [
        Chunk((32768 * chunk.samples).round() / 32768 + 0.0, chunk.start, 16000, chunk.captured_at)
        if chunk.start < 32000
        else chunk
        for chunk in scene(demo(16000)[4 * 16000 : 8 * 16000], 16000, 4, sizes=1000)
    ]
    session = record(folder, StreamClassifier(model), chunks, 16000)
    assert len(session.segments) > 3
    assert compared(session, model).difference == ""
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def cut(name: str, share: float = 0.5) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        os.truncate(path, int(path.stat().st_size * share))

    return change


def edited(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        assert old in data
        (folder / name).write_bytes(data.replace(old, new, 1))

    return change


def line(name: str, number: int, text: bytes) -> Callable[[Path], None]:
    """A line of an index, and a checksum that fits."""

    def change(folder: Path) -> None:
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        lines[number] = text + b"\n"
        body = b"".join(lines[:-1])
        closing = json.loads(lines[-1]) | {"index": zlib.crc32(body)}
        (folder / name).write_bytes(body + encode(Closing(**closing)))

    return change


def flipped(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return change


def gone(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    return change


def linked(name: str, to: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        gone(name)(folder)
        (folder / name).symlink_to(to)

    return change


def fifo(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def sparse(name: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, 1 << 40)


def snapshot(values: dict[str, object]) -> Callable[[Path], None]:
    """Another snapshot, and a checksum that fits."""

    def change(folder: Path) -> None:
        data = pack(values)
        (folder / "000002" / "snapshot.bin").write_bytes(data)
        path = folder / "000002" / "index.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        closing = json.loads(lines[-1]) | {"snapshot": zlib.crc32(data)}
        path.write_bytes(b"".join(lines[:-1]) + encode(Closing(**closing)))

    return change


WAV = "000003/sound.wav"
HOSTILE = {
    "no description": (gone("session.json"), "session.json"),
    "description cut": (cut("session.json"), "session.json"),
    "description of anything": (edited("session.json", b'"labels"', b'"labours"'), "session.json"),
    "description nested deep": (lambda f: (f / "session.json").write_bytes(b"[" * 10**6), "session.json"),
    "description larger than any": (sparse("session.json"), "session.json"),
    "a newer version": (edited("session.json", b'"format": 1', b'"format": 9'), "upgrade"),
    "index cut": (cut("000002/index.jsonl"), "000002/index.jsonl"),
    "index gone": (gone("000002/index.jsonl"), "000002/index.jsonl"),
    "index edited": (edited("000002/index.jsonl", b'"n":', b'"n":1'), "000002/index.jsonl"),
    "index of anything": (line("000002/index.jsonl", 2, b"null"), "000002/index.jsonl"),
    "index with a hostile count": (line("000002/index.jsonl", 2, b'{"n":99999999999}'), "line 3"),
    "index with a negative count": (line("000002/index.jsonl", 2, b'{"n":-5}'), "line 3"),
    "index that goes back": (line("000002/index.jsonl", 2, b'{"n":5,"start":0}'), "line 3"),
    "index with more rows than there are": (line("000002/index.jsonl", 2, b'{"rows":60000000}'), "000002/"),
    "first line with no rate": (
        line(
            "000002/index.jsonl",
            0,
            b'{"begins":"new","follows":true,"sample_rate":0,"start":0,"clock":[0,0]}',
        ),
        "line 1",
    ),
    "missing samples beyond": (line("000002/index.jsonl", 2, b'{"n":2,"nan":[[1,5]]}'), "line 3"),
    "index larger than any": (sparse("000002/index.jsonl"), "000002/index.jsonl"),
    "index is a pipe": (fifo("000002/scores.bin"), "000002/scores.bin"),
    "segment gone": (gone("000002"), "000002"),
    "segment elsewhere": (linked("000002", "/etc"), "000002"),
    "sound elsewhere": (linked(WAV, "/etc/passwd"), WAV),
    "scores elsewhere": (linked("000003/scores.bin", "../../secret"), "000003/scores.bin"),
    "sound gone": (gone("000001/sound.flac"), "000001/sound"),
    "sound cut": (cut("000001/sound.flac"), "000001/sound.flac"),
    "sound changed": (flipped(WAV), WAV),
    "sound larger than any": (sparse(WAV), WAV),
    "sound of another rate": (edited(WAV, struct.pack("<I", 16000), struct.pack("<I", 8000)), WAV),
    "scores cut": (cut("000002/scores.bin"), "000002/scores.bin"),
    "scores changed": (flipped("000002/scores.bin"), "000002/scores.bin"),
    "events cut": (cut("000002/events.jsonl", 0.9), "000002/events.jsonl"),
    "snapshot gone": (gone("000002/snapshot.bin"), "000002/snapshot.bin"),
    "snapshot changed": (flipped("000002/snapshot.bin"), "000002/snapshot.bin"),
    "snapshot of anything": (snapshot({"kind": "classifier"}), "000002/snapshot.bin"),
    "snapshot of another rate": (
        snapshot({"kind": "classifier", "version": 1, "conditioner": {"in_rate": 1}}),
        "000002/snapshot.bin",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_by_name(folder: Path, model: Model, name: str) -> None:
    change, named = HOSTILE[name]
    before = (folder / "000002" / "events.jsonl").stat().st_size
    if name == "events cut" and not before:
        (folder / "000002" / "events.jsonl").write_bytes(b"{}\n")
        change = lambda folder: None  # noqa: E731
    change(folder)
    with pytest.raises(SessionInvalid) as raised:
        compared(RecordedSession(folder), model, first=2 if "snapshot" in name else None)
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_part_before_the_damage_can_be_replayed(folder: Path, model: Model) -> None:
    cut("000003/scores.bin")(folder)
    session = RecordedSession(folder)
    session.segments = session.segments[:2]
    assert compared(session, model).difference == ""


def test_what_is_no_session(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SessionInvalid, match=r"is none, as it has no session\.json; give a folder"):
        RecordedSession(tmp_path)
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(SessionInvalid, match=str(path)):
            RecordedSession(path)
