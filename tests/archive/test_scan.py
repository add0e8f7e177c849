"""An archive is listened to as each recording alone, once, whatever is killed, and however often it is asked for."""

from __future__ import annotations

import csv
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest
import soundfile

from stream.archive.crew import Done, Progress
from stream.archive.inventory import Recording, find_recordings
from stream.archive.journal import Journal, discard_journal
from stream.archive.scan import scan
from stream.archive.workers import listen_to_all, processes
from stream.classifier import StreamClassifier
from stream.errors import ModelError, OutputError, UsageError
from stream.inference.session import Model
from stream.logbook.reader import HistoryReader
from stream.outputs.schema import json_schema
from tests.support.archives import done_in, lines, setup
from tests.support.command import DEADLINE_SECONDS, running, start, stream_classify

RATE = 16_000


def test_results_are_those_of_each_recording_alone(archive: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    entries = scan(find_recordings([str(archive)]), setup(model, scores=True), [str(out)], crew=processes(2))
    assert [entry.heard.failed for entry in entries] == [False] * 10 + [True, False]
    assert "cut off" in entries[-1].heard.problem
    found = lines(out)
    validator = jsonschema.Draft202012Validator(json_schema())
    for line in found[:50]:
        validator.validate(line)
    for number in (3, 8):
        name = str(archive / f"20260101_12{number:02}00.wav")
        alone = tmp_path / f"{number}.jsonl"
        words = ("--input", name, "--fast", "--model", str(model), "--scores", "--jsonl", str(alone))
        assert stream_classify(*words).returncode == 0
        mine = [line for line in found if line.get("source") == name and line["type"] == "event"]
        theirs = [line for line in lines(alone) if line["type"] == "event"]
        for line in (*mine, *theirs):
            del line["source"], line["t_wall"]
        assert mine == theirs
        assert len(mine) > 0
    scores = [line for line in found if line["type"] == "scores"]
    assert len(scores) > 1000


def test_parquet_and_tables_say_the_same(archive: Path, model: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    outputs = [str(tmp_path / name) for name in ("out.jsonl", "out.tsv", "out.parquet")]
    scan(find_recordings([str(archive)]), setup(model), outputs, crew=processes(2))
    events = [line for line in lines(tmp_path / "out.jsonl") if line["type"] == "event"]
    with open(tmp_path / "out.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["filename"], row["event_label"]) for row in rows] == [
        (e["source"], e["label"]) for e in events
    ]
    np.testing.assert_allclose([float(row["onset"]) for row in rows], [e["onset"] for e in events], atol=6e-4)
    table = pyarrow.read_table(tmp_path / "out.parquet").to_pylist()
    for row, event in zip(table, events, strict=True):
        assert {name: row[name] for name in row if name != "began_at"} == {
            n: event[n] for n in row if n != "began_at"
        }
        told = datetime.fromisoformat(str(event["t_wall"]))  # rounded to milliseconds
        assert abs(row["began_at"] - told) <= timedelta(milliseconds=1)


def test_kills_change_nothing(archive: Path, model: Path, tmp_path: Path) -> None:
    """Killed at random moments and started again, the files are the same bytes, and the history has each run once."""
    undisturbed = tmp_path / "undisturbed.jsonl"
    entries = scan(find_recordings([str(archive)]), setup(model), [str(undisturbed)], crew=processes(1))
    out, history = tmp_path / "out.jsonl", tmp_path / "heard.sqlite"
    words = (
        "scan",
        str(archive),
        "-o",
        str(out),
        "--history",
        str(history),
        "-m",
        str(model),
        "-j",
        "2",
        "-q",
    )
    draw = random.Random(11)
    kills = 0
    deadline = time.monotonic() + 4 * DEADLINE_SECONDS
    while True:
        assert time.monotonic() < deadline
        with running(start(*words, start_new_session=True)) as child:
            until = kills + draw.randrange(1, 3)
            while child.poll() is None and kills < 4 and done_in(out) < until:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            if child.poll() is None and kills < 4:
                os.killpg(child.pid, signal.SIGKILL)
                kills += 1
                continue
            assert child.wait(DEADLINE_SECONDS) == 3  # one is no sound
            break
    assert out.read_bytes() == undisturbed.read_bytes()
    with HistoryReader(str(history)) as reader:
        heard = sorted(run.source for run in reader.runs)
        events = list(reader.events())
    assert heard == sorted(entry.recording.name for entry in entries if not entry.heard.failed)
    assert len(events) == sum(sum((entry.heard.events or {}).values()) for entry in entries)


def test_a_repetition_listens_to_what_is_new_or_changed(archive: Path, model: Path, tmp_path: Path) -> None:
    sound = (archive / "20260101_120100.wav").read_bytes()
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").write_bytes(sound)
    out = tmp_path / "out.tsv"

    def listened() -> set[str]:
        seen: list[int] = []
        scan(
            find_recordings([str(tmp_path)]),
            setup(model),
            [str(out)],
            progress=lambda standing: seen.append(standing.bytes),
        )
        return {str(seen[0] // len(sound))}

    assert listened() == {"2"}
    first = out.read_bytes()
    assert listened() == {"0"}
    assert out.read_bytes() == first
    (tmp_path / "c.wav").write_bytes(sound)
    os.utime(tmp_path / "a.wav", ns=(1, 1))
    assert listened() == {"2"}
    (tmp_path / "a.wav").unlink()
    assert listened() == {"0"}
    assert b"a.wav" not in out.read_bytes()


def test_another_model_or_other_rules_are_not_mixed_in(archive: Path, model: Path, tmp_path: Path) -> None:
    recordings = find_recordings([str(archive / "20260101_120000.wav")])
    out = str(tmp_path / "out.jsonl")
    scan(recordings, setup(model), [out])
    with pytest.raises(UsageError, match=r"other settings \(max_gap\).*--again"):
        scan(recordings, setup(model, max_gap=2.0), [out])
    with pytest.raises(UsageError, match="another model"):
        scan(recordings, setup(model, sha256="0" * 64), [out])


def test_what_is_no_journal_is_left_alone(archive: Path, model: Path, tmp_path: Path) -> None:
    recordings = find_recordings([str(archive / "20260101_120000.wav")])
    out = tmp_path / "out.jsonl"
    journal = Path(f"{out}.scan")
    journal.write_bytes(b"my diary, and nobody else's")
    with pytest.raises(OutputError, match="journal"):
        scan(recordings, setup(model), [str(out)])
    assert journal.read_bytes() == b"my diary, and nobody else's"
    journal.unlink()
    with sqlite3.connect(journal) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(OutputError, match="not the journal"):
        scan(recordings, setup(model), [str(out)])


def test_only_a_journal_is_begun_anew(archive: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    journal = Path(f"{out}.scan")
    discard_journal(str(journal))  # there is none
    scan(find_recordings([str(archive / "20260101_120000.wav")]), setup(model), [str(out)])
    held = Journal(str(journal), setup(model))
    with pytest.raises(OutputError, match="another scan"):
        discard_journal(str(journal))
    held.close()
    discard_journal(str(journal))
    assert not journal.exists()
    for other in (b"my diary", b"SQLite format 3\0" + bytes(84)):
        journal.write_bytes(other)
        done = stream_classify("scan", str(archive), "-o", str(out), "-m", str(model), "--again")
        assert done.returncode == 7
        assert "is not the journal of a scan" in done.stderr
        assert journal.read_bytes() == other


def test_two_scans_do_not_share_a_journal(model: Path, tmp_path: Path) -> None:
    first = Journal(str(tmp_path / "x.scan"), setup(model))
    with pytest.raises(OutputError, match="another scan"):
        Journal(str(tmp_path / "x.scan"), setup(model))
    first.close()
    Journal(str(tmp_path / "x.scan"), setup(model)).close()


def children() -> Iterator[int]:
    return (child.pid for child in multiprocessing.active_children() if child.pid)


def test_a_process_that_is_killed_is_replaced(archive: Path, model: Path, tmp_path: Path) -> None:
    recordings = find_recordings([str(archive)])
    done: list[str] = []
    killed = False
    for message in listen_to_all(recordings, setup(model), 2, str(tmp_path)):
        if isinstance(message, Done):
            done.append(message.recording.name)
            assert message.heard.failed is message.recording.name.endswith("broken.wav")
        if not killed:
            killed = True
            for pid in children():
                os.kill(pid, signal.SIGKILL)
    assert sorted(done) == [each.name for each in recordings]


def test_a_recording_that_ends_every_process_is_given_up(
    long_recording: Recording, model: Path, tmp_path: Path
) -> None:
    heard = None
    for message in listen_to_all([long_recording], setup(model), 1, str(tmp_path)):
        if isinstance(message, Progress):
            for pid in children():
                os.kill(pid, signal.SIGKILL)
        else:
            heard = message.heard
    assert heard is not None
    assert heard.failed
    assert "ended the process that listened to it (signal 9), twice" in heard.problem


def test_a_recording_that_hangs_is_given_up(long_recording: Recording, model: Path, tmp_path: Path) -> None:
    messages = listen_to_all([long_recording], setup(model), 1, str(tmp_path), patience=0.0)
    (done,) = [message for message in messages if isinstance(message, Done)]
    assert "no sign of life" in done.heard.problem


def test_nothing_is_left_running_when_the_consumer_leaves(
    long_recording: Recording, model: Path, tmp_path: Path
) -> None:
    messages = listen_to_all([long_recording], setup(model), 1, str(tmp_path))
    assert isinstance(next(messages), Progress)
    messages.close()
    assert list(children()) == []


def test_a_model_that_changes_meanwhile_is_an_error(archive: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has changed since the scan began"):
        list(listen_to_all(find_recordings([str(archive)]), setup(model, sha256="1" * 64), 1, str(tmp_path)))


def test_the_command(archive: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    picture = tmp_path / "out.svg"
    words = ("scan", str(archive), "-o", str(out), "-m", str(model), "--picture", str(picture))
    done = stream_classify(*words)
    assert done.returncode == 3
    assert "1 recording not listened to" in done.stderr
    assert "broken.wav" in done.stderr
    assert "11 recordings" in done.stdout
    assert "Traceback" not in done.stderr
    assert picture.read_text().startswith("<svg")
    events = sum(line["type"] == "event" for line in lines(out))
    assert f"{events} events" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nowhere to write"),
        (("-o", "out.csv"), ".jsonl, .tsv, .parquet"),
        (("-o", "nowhere/out.tsv"), "no folder"),
        (("-o", "out.tsv", "--picture", "out.png"), ".svg"),
        (("-o", "out.tsv", "--threshold", "cat=0.5"), "no class 'cat'"),
        (("-o", "out.tsv", "-m", "gone.onnx"), "gone.onnx"),
        (("-o", "{archive}/20260101_120000.wav.jsonl", "-c", "left"), "channel"),
    ],
)
def test_wrong_words_are_refused_at_once(
    archive: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    given = [word.format(archive=archive) for word in words]
    done = stream_classify("scan", str(archive), *given, cwd=tmp_path)
    assert done.returncode not in (0, 3)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_results_are_not_written_over_a_recording(archive: Path, tmp_path: Path) -> None:
    recording = tmp_path / "talk.tsv"
    recording.write_bytes((archive / "20260101_120000.wav").read_bytes())
    (tmp_path / "list.txt").write_text("talk.tsv\n")
    done = stream_classify("scan", str(tmp_path / "list.txt"), "-o", str(recording))
    assert done.returncode == 2
    assert "is one of the recordings" in done.stderr


def test_ctrl_c_keeps_what_is_done(
    archive: Path, long_recording: Recording, tmp_path: Path, model: Path
) -> None:
    out = tmp_path / "out.jsonl"
    words = ("scan", str(archive), long_recording.path, "-o", str(out), "-j", "1", "-m", str(model))
    with running(start(*words)) as child:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while done_in(out) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=DEADLINE_SECONDS)
        assert child.returncode == 130
    assert b"the same command goes on" in said
    assert b"Traceback" not in said
    assert done_in(out) >= 3
    assert not out.exists()


def test_a_stream_of_a_recording_starts_as_new(archive: Path, model: Path, tmp_path: Path) -> None:
    """No state of one recording reaches the next: two in one process are each as alone."""
    out = tmp_path / "out.jsonl"
    name = str(archive / "20260101_120700.wav")
    (tmp_path / "z.wav").write_bytes(Path(name).read_bytes())
    scan(find_recordings([name, str(tmp_path / "z.wav")]), setup(model), [str(out)], crew=processes(1))
    found = [line for line in lines(out) if line["type"] == "event"]
    half = len(found) // 2
    keep = ("label", "onset_sample", "offset_sample", "peak", "mean", "id")
    assert [[each[k] for k in keep] for each in found[:half]] == [
        [each[k] for k in keep] for each in found[half:]
    ]
    classifier = StreamClassifier(Model.load(model, "cpu"))
    sound = soundfile.read(name, dtype="float32")[0]
    events = [*classifier.push(sound).events, *classifier.flush().events]
    assert [msgspec.structs.asdict(each)["onset"] for each in events if each.offset is not None] == [
        each["onset_sample"] for each in found[:half]
    ]
