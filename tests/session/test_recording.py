"""Recording: killed, on a full disk, behind a queue that drops, beyond what may be kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.classifier import StreamClassifier
from stream.errors import OutputError, UsageError
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.outputs.output_report import OutputReport
from stream.outputs.outputs import Outputs
from stream.outputs.queued import Queued
from stream.outputs.retention import parse_keep
from stream.replay import chunking
from stream.runner import run
from stream.session.recorded import RecordedSession
from tests.support.command import running, start, wait_for
from tests.support.disk import small_disk
from tests.support.recording import Played, compared, record, recorder, scene
from tests.support.sounds import ASSETS, demo

RATE = 16000


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.bundled("small")


def chunks_of(seconds: float, n: int = 800) -> list[Chunk]:
    sound = demo(RATE)[4 * RATE : 4 * RATE + round(seconds * RATE)]
    return [Chunk(sound[at : at + n], at, RATE, 700.0 + (at + n) / RATE) for at in range(0, len(sound), n)]


def test_kill_leaves_all_but_the_last_moment(tmp_path: Path, model: Model) -> None:
    scene = f"sim:{ASSETS / 'demo.ogg'}?nan@500ms&for=50ms&unplug@1s&for=300ms"
    folder = tmp_path / "s"
    with running(
        start("--input", scene, "--model", "small", "--jsonl", "/dev/null", "--record", str(folder))
    ) as child:
        sound = folder / "000001" / "sound.wav"
        wait_for(lambda: sound.exists() and sound.stat().st_size > 4 * 2 * RATE, "two seconds", child)
        seen = sound.stat().st_size // 4 / RATE
        os.kill(child.pid, signal.SIGKILL)
        child.wait(20)
    session = RecordedSession(folder)
    contents = session.segments[0].contents()
    assert contents.cut
    assert len(contents.samples) / RATE > seen - 0.2
    for sizes in (None, chunking.random(1)):
        again = compared(session, model, sizes)
        assert again.difference == ""
        assert again.rows > 50


@pytest.mark.parametrize("lost", [1, 3, 50, 2000])
def test_whatever_a_power_cut_leaves_can_be_read(tmp_path: Path, model: Model, lost: int) -> None:
    """Each file of the last segment shorter by its own amount."""
    folder = tmp_path / "s"
    record(folder, StreamClassifier(model), chunks_of(3.0), RATE, snapshot_seconds=2.0)
    last = folder / "000002"
    index = (last / "index.jsonl").read_bytes()
    (last / "index.jsonl").write_bytes(index[: index[:-1].rfind(b"\n") + 1])  # without its closing line
    for name in ("sound.wav", "scores.bin", "index.jsonl"):
        path = last / name
        size = max(44, path.stat().st_size - lost * (7 if name == "sound.wav" else 1))
        os.truncate(path, size)
    session = RecordedSession(folder)
    assert compared(session, model).difference == ""


def test_a_full_disk_is_a_hole_that_ends_with_the_next_snapshot(tmp_path: Path, model: Model) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, 512) as place:
        source = Played([], RATE)
        filler = place / "filler"

        def chunks() -> Iterator[Chunk]:
            for number, chunk in enumerate(chunks_of(6.0)):
                if number == 30:
                    filler.write_bytes(b"0" * 300_000)
                if number == 70:
                    filler.unlink()
                yield chunk

        made = recorder(place / "s", StreamClassifier(model), source.info(), 1.0)
        classifier = StreamClassifier(model)
        failures = []

        class Guarded:
            snapshot_seconds = 1.0
            chunk, status, close = made.chunk, made.status, made.close

            def result(self, result: Result) -> None:
                try:
                    made.result(result)
                except OutputError as error:
                    failures.append(str(error))

        summary = run(Played(chunks(), RATE), classifier, [Guarded()])
        assert summary.rows > 250
        assert failures
        assert "No space left" in failures[0]
        session = RecordedSession(place / "s")
        again = compared(session, model)
        assert again.difference == ""
        assert len(again.holes) == 1


def test_what_a_queue_drops_is_a_hole(tmp_path: Path, model: Model) -> None:
    classifier = StreamClassifier(model)
    made = recorder(tmp_path / "s", classifier, Played([], RATE).info(), 0.5)
    slow, goes = made.result, threading.Event()

    def result(each: Result) -> None:
        assert goes.wait(20)
        slow(each)

    made.result = result  # type: ignore[method-assign]
    goes.set()
    queue = Queued(made, name="record", capacity=40, deadline_seconds=20.0)

    class Front:
        snapshot_seconds = 0.5
        chunk, result, status, close = queue.chunk, queue.result, queue.status, queue.close

    def chunks() -> Iterator[Chunk]:
        for number, chunk in enumerate(chunks_of(4.0, 160)):
            if number == 60:
                wait_for(lambda: queue.waiting == 0, "the queue to be empty")
            (goes.clear if 60 <= number < 100 else goes.set)()
            if number > 100:
                wait_for(lambda: queue.waiting < 30, "room")
            yield chunk

    run(Played(chunks(), RATE), classifier, [Front()])
    assert sum(queue.dropped.values()) > 0
    assert queue.errors > 0
    session = RecordedSession(tmp_path / "s")
    again = compared(session, model)
    assert again.difference == ""
    assert again.holes


def test_a_recording_that_waits_loses_nothing(tmp_path: Path, model: Model) -> None:
    classifier = StreamClassifier(model)
    made = recorder(tmp_path / "s", classifier, Played([], RATE).info(), 5.0)
    outputs = Outputs([(made, "record", "s")], live=False)
    run(Played(chunks_of(20.0, 160), RATE, live=False), classifier, [outputs])
    (report,) = outputs.reports()
    assert isinstance(report, OutputReport)
    assert report.dropped == report.errors == 0
    again = compared(RecordedSession(tmp_path / "s"), model)
    assert again.difference == ""
    assert again.holes == []
    assert again.rows > 900


def test_the_oldest_go_and_the_rest_is_replayed(tmp_path: Path, model: Model) -> None:
    classifier = StreamClassifier(model, stream="hall")
    chunks = scene(demo(RATE)[: 8 * RATE], RATE, 6)
    made = recorder(tmp_path / "s", classifier, Played([], RATE).info(), 1.0, record_keep=parse_keep("400kB"))
    run(Played(chunks, RATE), classifier, [made])
    session = RecordedSession(tmp_path / "s")
    assert session.segments[0].number > 1
    assert sum(path.stat().st_size for path in (tmp_path / "s").rglob("*")) < 600_000
    for sizes in (None, chunking.random(2)):
        again = compared(session, model, sizes)
        assert again.difference == ""
        assert again.rows > 20


def test_a_change_of_rate_goes_on_in_a_new_segment(tmp_path: Path, model: Model) -> None:
    first = chunks_of(2.0)
    sound = demo(48000)[: 48000 * 2]
    more = [Chunk(sound[at : at + 999], 3 * 48000 + at, 48000) for at in range(0, len(sound), 999)]
    session = record(tmp_path / "s", StreamClassifier(model), [*first, *more], RATE, snapshot_seconds=60)
    assert [each.beginning.sample_rate for each in session.segments] == [RATE, 48000]
    again = compared(session, model, chunking.random(2))
    assert again.difference == ""
    assert again.rows > 150


def test_what_is_there_already_is_left_alone(tmp_path: Path, model: Model) -> None:
    classifier = StreamClassifier(model)
    info = Played([], RATE).info()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis").write_text("x")
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "full", tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        with pytest.raises(OutputError, match=str(path)):
            recorder(path, classifier, info)
    with pytest.raises(UsageError, match="--record ''"):
        recorder(Path(" "), classifier, info)
    assert (tmp_path / "full" / "thesis").read_text() == "x"
    assert (tmp_path / "file").read_text() == "x"
    recorder(tmp_path / "%Y", classifier, info).close()
    assert (tmp_path / time.strftime("%Y") / "session.json").exists()
    with pytest.raises(UsageError, match="--record-keep soon"):
        parse_keep("soon", option="--record-keep")
