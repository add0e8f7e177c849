"""Which files are taken for a history, and which are refused, whatever is in them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import HistoryInvalid, OutputError, StreamClassifyError, TryAgain
from stream.logbook import file
from stream.logbook.file import APPLICATION_ID, VERSION
from stream.logbook.packing import pack_curve, pack_peaks, unpack_curve, unpack_peaks
from stream.logbook.reader import HistoryReader
from stream.outputs.history import History
from stream.outputs.marks import Marks
from tests.logbook.test_writing import event
from tests.support.command import stream_classify
from tests.support.simulated_history import RATE, context, result, rows

STORED = Path(__file__).with_name("history-v1.sql")


def written(path: Path) -> Path:
    history = History(context(), str(path))
    history.result(
        result(rows(0, np.full((100, 3), 0.75)), 10 * RATE, event(), event(offset=7 * RATE), captured_at=10.0)
    )
    history.close()
    return path


def read_all(path: Path) -> None:
    with HistoryReader(path) as history:
        for rows in (history.events(), history.minutes(), history.lost(), history.states(), history.marks()):
            list(rows)


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b"hello, I am a diary"), "something else"),
        (lambda path: path.mkdir(), "is no file"),
        (lambda path: os.mkfifo(path), "is no file"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(5000)), "damaged"),
        (lambda path: written(path).write_bytes(written(path).read_bytes()[:5000]), "damaged"),
        (lambda path: sqlite3.connect(path).execute("CREATE TABLE photos (x)").close(), "another program"),
        (lambda path: numbered(path, VERSION + 1), "newer version"),
        (lambda path: numbered(path, -1), "damaged"),
    ],
)
def test_other_files_are_refused_and_stay_as_they_are(
    reading: bool, make: object, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "h.sqlite"
    make(path)  # type: ignore[operator]
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(OutputError, match=words) as caught:
        read_all(path) if reading else History(context(), str(path))
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else b"") == before


def numbered(path: Path, version: int) -> None:
    written(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def test_where_nothing_can_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        History(context(), str(tmp_path / "no" / "h.sqlite"))
    with pytest.raises(HistoryInvalid, match="no such file"):
        read_all(tmp_path / "h.sqlite")
    with pytest.raises(OutputError, match="another file"):
        History(context(), "a\0b")


def test_an_empty_file_becomes_a_history_and_is_none_before(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    path.touch()
    with pytest.raises(HistoryInvalid, match="is empty"):
        read_all(path)
    written(path)
    read_all(path)


def test_the_newer_file_is_refused_before_anything_is_heard(tmp_path: Path) -> None:
    numbered(tmp_path / "h.sqlite", VERSION + 1)
    done = stream_classify("--demo", "--fast", "--history", str(tmp_path / "h.sqlite"))
    assert done.returncode == 7
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "upgrade stream-classify" in done.stderr


def test_the_tables_are_those_of_their_version(tmp_path: Path) -> None:
    """A file as version 1 wrote it reads as it always did; tables that change need a new version and an update."""
    old = tmp_path / "old.sqlite"
    connection = sqlite3.connect(old)
    connection.executescript(STORED.read_text())
    connection.close()
    with HistoryReader(old) as history:
        assert [(e.label, e.seconds, len(e.curve)) for e in history.events()] == [("knock", 2.0, 50)]
        (minute,) = history.minutes()
        assert minute.heard == 10.0
        np.testing.assert_allclose(minute.peaks, 0.75, atol=1e-4)
    History(context(), str(old)).close()  # and is written on
    assert VERSION == 1, "store a file of the new version beside it, and test the update"

    def tables(path: Path) -> list[str]:
        with sqlite3.connect(path) as connection:
            return sorted(
                str(row[0]) for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql <> ''")
            )

    assert tables(old) == tables(written(tmp_path / "new.sqlite"))


def test_two_processes_write_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    words = [sys.executable, "-m", "tests.support.simulated_history", str(path), "0", "0.5"]
    children = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    told = 0
    for child in children:
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, err.decode()
        told += out.count(b'"what": "onset"')
    with HistoryReader(path, now=1e10) as history:
        assert len(history.runs) == 3
        assert len(list(history.minutes())) == 3 * 30
        assert len(list(history.events())) == len({(e.run.id, e.number) for e in history.events()})
        assert told == sum(1 for _ in history.events()) > 30


def test_a_reader_sees_one_moment_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    with HistoryReader(path) as reader:
        assert list(reader.events()) == []
        history.result(result(rows(0, np.zeros((10, 3))), RATE, event(), captured_at=1.0))
        assert list(reader.events()) == []
    with HistoryReader(path) as reader:
        assert len(list(reader.events())) == 1
    history.close()


def test_a_file_that_is_held_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "BUSY_SECONDS", 0.05)
    path = written(tmp_path / "h.sqlite")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TryAgain, match="another program holds it"):
        History(context(), str(path))
    other.close()


def test_a_history_on_a_read_only_medium_can_be_read(tmp_path: Path) -> None:
    path = written(tmp_path / "h.sqlite")
    for left in tmp_path.glob("h.sqlite-*"):
        left.unlink()
    os.chmod(path, 0o400)
    os.chmod(tmp_path, 0o500)
    try:
        read_all(path)
    finally:
        os.chmod(tmp_path, 0o700)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_is_an_error_and_nothing_worse(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("damage") / "h.sqlite")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for use in (read_all, lambda path: History(context(), str(path)).close()):
        with suppress(StreamClassifyError):
            use(path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET \"offset\" = 'today'",
        "UPDATE events SET label = x'00ff'",
        "UPDATE events SET onset = 9e99",
        "UPDATE events SET curve = 'text'",
        "UPDATE events SET run = 77",
        "UPDATE runs SET labels = '[1, 2]'",
        "UPDATE runs SET labels = '{'",
        "UPDATE runs SET promised = '[3]'",
        "UPDATE minutes SET peaks = x'00'",
        "UPDATE minutes SET peaks = x'0000'",
        "UPDATE minutes SET heard = 'x'",
        "UPDATE minute_classes SET label = x'00' WHERE label = 'bark'",
        "DROP TABLE gaps",
        "DROP TABLE events; CREATE VIEW events AS SELECT 1",
    ],
)
def test_values_that_are_not_ours_are_refused(change: str, tmp_path: Path) -> None:
    path = written(tmp_path / "h.sqlite")
    connection = sqlite3.connect(path)
    connection.executescript(change)
    connection.close()
    with pytest.raises(OutputError) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)


@given(st.lists(st.floats(0, 1, width=32) | st.just(float("nan")), max_size=600))
def test_packed_scores_come_back(values: list[float]) -> None:
    curve = np.array(values, np.float32)
    np.testing.assert_allclose(unpack_curve(pack_curve(curve)), curve, atol=0.00201)
    known = curve[~np.isnan(curve)]
    np.testing.assert_allclose(unpack_peaks(pack_peaks(known)), known, atol=0.00001)


def test_marks_come_from_any_thread(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    marks = Marks()
    history = History(context(marks=marks), str(path))
    threads = [threading.Thread(target=marks.add, args=(f"{n}",), daemon=True) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    history.close()
    with HistoryReader(path) as reader:
        assert {mark.text for mark in reader.marks()} == {f"{n}" for n in range(20)}
    assert int.from_bytes(path.read_bytes()[68:72], "big") == APPLICATION_ID
