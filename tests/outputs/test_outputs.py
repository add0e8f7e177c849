"""JSON lines: what stands in them, and that what was written stays written, whatever happens to the disk, the
log, the process or a second one."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stream.errors import OutputError
from stream.messages import Event, Gap, Result, Scores, Status
from stream.outputs import backlog
from stream.outputs.jsonl import JsonLines
from stream.outputs.lines import LineFile
from stream.outputs.records import Origin
from stream.outputs.wall_time import CaptureTimes, rfc3339
from tests.support.command import environment, running, start, stream_classify, wait_for
from tests.support.disk import small_disk
from tests.support.toy_models import toy_file

ORIGIN = Origin("mic 1", "toy", "ab" * 32)
NOON = 1_790_000_000.25
UPTIME = 5000.0  # the monotonic clock at noon
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files and signals")


def event(number: int = 0, offset: int | None = 32000, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "id": number,
        "label": "speech",
        "onset": 16000,
        "offset": offset,
        "peak": 0.98761,
        "mean": 0.5,
        "sample_rate": 16000,
        "decided": 33000,
    }
    return Event(**(fields | changes))


def times(late: float = 0.0) -> CaptureTimes:
    """Clocks that both are ``late`` seconds after noon."""
    return CaptureTimes(lambda: UPTIME + late, lambda: NOON + late)


def result(
    *events: Event,
    rows: int = 0,
    gaps: tuple[Gap, ...] = (),
    end: int = 48000,
    captured_at: float | None = None,
    **more: Any,
) -> Result:
    probs = np.linspace(0, 1, rows * 2, dtype=np.float32).reshape(rows, 2)
    sample = 256 + 160 * np.arange(rows, dtype=np.int64)
    scores = Scores(probs, sample, np.arange(rows) > 0, ("speech", "music"), 16000, 160)
    return Result(
        scores, np.zeros((rows, 40), np.float32), events, gaps, end, captured_at=captured_at, **more
    )


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- what stands in a line


def test_an_event(tmp_path: Path) -> None:
    out = JsonLines(tmp_path / "out.jsonl", ORIGIN, times=times())
    out.result(result(event(7, gap=160, cut=True), captured_at=UPTIME))
    out.close()
    assert written(tmp_path / "out.jsonl") == [
        {
            "type": "event",
            "schema": 1,
            "id": 7,
            "label": "speech",
            "onset": 1.0,
            "onset_sample": 16000,
            "offset": 2.0,
            "offset_sample": 32000,
            "duration": 1.0,
            "peak": 0.9876,
            "mean": 0.5,
            "decided_sample": 33000,
            "sample_rate": 16000,
            "gap_ms": 10.0,
            "cut": True,
            "t_wall": rfc3339(NOON - 2.0),  # the onset lies two seconds before the newest sample
            "source": "mic 1",
            "stream": "",
            "model": "toy",
            "model_sha256": "ab" * 32,
        }
    ]


def test_gaps_scores_and_status(tmp_path: Path) -> None:
    out = JsonLines(tmp_path / "out.jsonl", ORIGIN, scores=True, times=times())
    out.result(result(event(), rows=2, gaps=(Gap(100, 50, 16000, "missing"),)))
    out.status(Status("recovering", 1600, 16000, "the device is gone"))
    out.close()
    gap, first, second, whole, status = written(tmp_path / "out.jsonl")
    assert (gap["type"], gap["start_sample"], gap["samples"], gap["reason"]) == ("gap", 100, 50, "missing")
    assert gap["duration"] == 50 / 16000
    assert first == {
        "type": "scores",
        "schema": 1,
        "t": 0.016,
        "sample": 256,
        "warm": False,
        "probs": {"speech": 0.0, "music": 0.3333},
        "stream": "",
        "model": "toy",
    }
    assert second["warm"] is True
    assert whole["t_wall"] is None  # a recording has no wall time
    assert (status["state"], status["t"], status["detail"]) == ("recovering", 0.1, "the device is gone")
    assert status["t_wall"] == rfc3339(NOON)


@pytest.mark.parametrize(("onsets", "types"), [(False, ["event"]), (True, ["onset", "event"])])
def test_onsets_on_request(onsets: bool, types: list[str], tmp_path: Path) -> None:
    out = JsonLines(tmp_path / "out.jsonl", ORIGIN, onsets=onsets)
    out.result(result(event(offset=None), event()))
    out.close()
    records = written(tmp_path / "out.jsonl")
    assert [r["type"] for r in records] == types
    assert "offset" not in records[0] or not onsets
    assert len({r["id"] for r in records}) == 1


def test_times_are_written_by_rfc_3339() -> None:
    assert rfc3339(0.0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_700_000_000.125) == "2023-11-14T22:13:20.125Z"


def test_far_samples_are_exact(tmp_path: Path) -> None:
    """Months into a stream the sample counters are still whole numbers to the sample."""
    far = 2**40 + 1
    out = JsonLines(tmp_path / "out.jsonl", ORIGIN)
    out.result(result(event(onset=far, offset=far + 160, decided=far + 500)))
    out.close()
    (record,) = written(tmp_path / "out.jsonl")
    assert (record["onset_sample"], record["offset_sample"]) == (far, far + 160)
    assert record["duration"] == 0.01


# ---- files


def test_nothing_to_say_writes_nothing(tmp_path: Path) -> None:
    out = JsonLines(tmp_path / "out.jsonl", ORIGIN)
    out.result(result(rows=5))
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    out.close()
    out.close()
    out.result(result(event()))  # after close: silence, not an error
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_every_line_is_there_at_once(tmp_path: Path) -> None:
    """No buffer: another process reads the line before the file is closed."""
    out = JsonLines(tmp_path / "out.jsonl", ORIGIN)
    for number in range(3):
        out.result(result(event(number)))
        assert [r["id"] for r in written(tmp_path / "out.jsonl")] == list(range(number + 1))
    out.close()


def test_appending_ends_a_half_line_first(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"type":"event","id":0}\n{"type":"ev')
    out = JsonLines(path, ORIGIN)
    out.result(result(event(5)))
    out.close()
    lines = path.read_bytes().split(b"\n")
    assert lines[:2] == [b'{"type":"event","id":0}', b'{"type":"ev']
    assert json.loads(lines[2])["id"] == 5
    again = JsonLines(path, ORIGIN)  # a whole line needs no ending
    again.close()
    assert path.read_bytes().count(b"\n\n") == 0


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"folder|directory"):
        LineFile(tmp_path)
    with pytest.raises(OutputError, match="No such file"):
        LineFile(tmp_path / "none" / "out.jsonl")


def test_devices_are_for_everybody() -> None:
    if not Path("/dev/null").exists():
        pytest.skip("no /dev/null")
    one, two = LineFile("/dev/null"), LineFile("/dev/null")
    one.close()
    two.close()


# ---- a second instance, rotation, kill -9: real processes


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts live runs that write scores to a file; ends them afterwards."""
    toy_file(tmp_path)
    with ExitStack() as stack:

        def begin(path: str = "out.jsonl") -> subprocess.Popen[bytes]:
            words = ["-m", "toy.onnx", "--input", "sim:noise?loop=forever", "--scores", "--jsonl", path]
            child = stack.enter_context(running(start(*words, cwd=tmp_path)))
            wait_for(lambda: size(tmp_path / path) > 1000, "the first scores", child)
            return child

        yield begin


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@needs_posix
def test_a_second_instance_on_one_output_is_refused(
    live: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    child = live()
    words = ["-m", "toy.onnx", "--input", "sim:noise?length=1s", "--fast", "--jsonl"]
    done = stream_classify(*words, "out.jsonl", cwd=tmp_path)
    assert done.returncode == 7
    assert "another instance" in done.stderr
    assert child.poll() is None
    assert stream_classify(*words, "other.jsonl", cwd=tmp_path).returncode == 0
    child.kill()
    child.wait(20)
    assert stream_classify(*words, "out.jsonl", cwd=tmp_path).returncode == 0, "the lock dies with its owner"


@needs_posix
def test_sighup_goes_on_in_a_new_file(live: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    child = live()
    (tmp_path / "out.jsonl").rename(tmp_path / "out.jsonl.1")
    before = size(tmp_path / "out.jsonl.1")
    wait_for(lambda: size(tmp_path / "out.jsonl.1") > before, "more scores", child)  # still the old file
    child.send_signal(signal.SIGHUP)
    wait_for(lambda: size(tmp_path / "out.jsonl") > 1000, "the new file", child)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=10) == 0
    old, new = written(tmp_path / "out.jsonl.1"), written(tmp_path / "out.jsonl")
    rows = [r["sample"] for r in old + new if r["type"] == "scores"]
    assert set(np.diff(rows).tolist()) == {160}, "not a row is lost or told twice across the files"


@needs_posix
def test_kill_9_loses_nothing_that_was_told(
    live: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    child = live()
    told = (tmp_path / "out.jsonl").read_bytes()
    child.kill()
    child.wait(20)
    after = (tmp_path / "out.jsonl").read_bytes()
    assert after.startswith(told)
    rows = [json.loads(line)["sample"] for line in after.splitlines() if b'"scores"' in line]
    assert set(np.diff(rows).tolist()) == {160}


# ---- a full disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Of 16 KiB; needs root and mount."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def test_a_full_disk(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lines that do not fit are dropped whole and counted; when there is room again, it goes on."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(10_000))
    out = JsonLines(disk / "out.jsonl", ORIGIN)
    with caplog.at_level(logging.WARNING):
        for number in range(100):
            out.result(result(event(number)))
    whole = written(disk / "out.jsonl")  # no half line among them
    assert 0 < len(whole) < 100
    assert out.dropped == 100 - len(whole)
    assert sum("still listening" in message for message in caplog.messages) == 1
    ballast.unlink()
    with caplog.at_level(logging.WARNING):
        out.result(result(event(1000)))
    out.close()
    assert [r["id"] for r in written(disk / "out.jsonl")] == [*range(len(whole)), 1000]
    assert f"{100 - len(whole)} lines were lost" in caplog.messages[-1]


def test_a_device_without_room(caplog: pytest.LogCaptureFixture) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    out = JsonLines("/dev/full", ORIGIN)
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            out.result(result(event(number), event(number)))
    out.close()
    assert out.dropped == 10
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text


@needs_posix
@pytest.mark.parametrize(("pace", "code"), [(["--fast"], 7), ([], 0)])
@pytest.mark.parametrize("output", ["/dev/full", "-"])
def test_lines_that_are_lost_are_counted_at_the_end(
    output: str, pace: list[str], code: int, tmp_path: Path
) -> None:
    """Reading a recording fast has then failed; listening goes on to the end."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    toy_file(tmp_path)
    words = ["-m", "toy.onnx", "--input", "sim:noise?length=1s", "--scores", "-v", "--jsonl", output, *pace]
    with (
        open("/dev/full", "wb", buffering=0) as full,
        running(start(*words, cwd=tmp_path, stdout=full)) as child,
    ):
        _, stderr = child.communicate(timeout=60)
    said = stderr.decode()
    assert child.returncode == code, said
    assert said.count("still listening") == 1
    assert "97 rows" in said
    assert "98 lines were lost" in said.splitlines()[-1]


@needs_posix
def test_rotation_to_a_place_that_is_gone_recovers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    out = JsonLines(folder / "out.jsonl", ORIGIN)
    out.result(result(event(0)))
    folder.rename(tmp_path / "old")
    out.reopen()
    with caplog.at_level(logging.WARNING):
        out.result(result(event(1)))
        out.result(result(event(2)))
        folder.mkdir()
        out.result(result(event(3)))
    out.close()
    assert [r["id"] for r in written(tmp_path / "old" / "out.jsonl")] == [0]
    assert [r["id"] for r in written(folder / "out.jsonl")] == [3]
    assert out.dropped == 2
    assert len(caplog.records) == 2


def test_a_reader_that_leaves_is_told_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        out = JsonLines("-", ORIGIN)
        out.result(result(event()))
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            out.result(result(event()))
        out.close()
        os.write(1, b"")  # standard output itself is left open


def test_standard_output_that_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    for stand_in in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stand_in)
        with pytest.raises(OutputError, match="name a file"):
            JsonLines("-", ORIGIN)


# ---- what is not ours


@pytest.mark.parametrize(
    "content", [b"RIFF\x24\0\0\0WAVE", b"# notes\n", b"\n", b'{"name": 1}\n', b"\0" * 64]
)
def test_a_file_that_does_not_begin_like_our_lines_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(content)
    with pytest.raises(OutputError, match="something else"):
        JsonLines(tmp_path / "mine", ORIGIN)
    assert (tmp_path / "mine").read_bytes() == content


@pytest.mark.parametrize("content", [b"", b'{"type"', b'{"type":"scores","schema":1}\n'])
def test_a_file_of_our_lines_is_continued(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_bytes(content)
    out = JsonLines(tmp_path / "out.jsonl", ORIGIN)
    out.result(result(event()))
    out.close()
    assert (tmp_path / "out.jsonl").read_bytes().startswith(content)
    assert json.loads((tmp_path / "out.jsonl").read_bytes().splitlines()[-1])["type"] == "event"


@needs_posix
def test_the_input_is_not_an_output(tmp_path: Path) -> None:
    toy_file(tmp_path)
    sound = tmp_path / "in.wav"
    soundfile.write(sound, np.zeros(16000), 16000)
    (tmp_path / "link.jsonl").symlink_to(sound)
    before = sound.read_bytes()
    words = ["-m", "toy.onnx", "--input", "in.wav", "--fast", "--jsonl"]
    for output in ("in.wav", "link.jsonl"):
        done = stream_classify(*words, output, cwd=tmp_path)
        assert (done.returncode, "--input" in done.stderr) == (2, True), done.stderr
    with sound.open("ab") as appended, running(start(*words, cwd=tmp_path, stdout=appended)) as child:
        assert child.wait(60) == 2
    done = stream_classify(*words[:-1], "--scores", "--jsonl", "toy.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert sound.read_bytes() == before


# ---- an output that nobody reads


def fill(fd: int) -> None:
    os.set_blocking(fd, False)
    for piece in (b" " * 4096, b" "):
        try:
            while True:
                os.write(fd, piece)
        except BlockingIOError:
            pass
    os.set_blocking(fd, True)


@needs_posix
@pytest.mark.parametrize("kind", ["pipe", "fifo", "unopened fifo", "pipe for standard error too"])
@pytest.mark.parametrize("input", ["sim:noise?loop=forever", "--demo"])
def test_nobody_reads(kind: str, input: str, tmp_path: Path) -> None:
    """Listening goes on, and the first SIGTERM ends it, with a word about what was lost."""
    toy_file(tmp_path)
    words = ["-m", "toy.onnx", "--scores", "-v", "--input", input]
    if input == "--demo":  # fast: waits for the reader, but not when it is told to stop
        words = [*words[:-2], "--demo", "--fast"]
    reader, writer = os.pipe()
    errors: int | Any = (tmp_path / "stderr").open("wb")
    if "fifo" in kind:
        os.mkfifo(tmp_path / "fifo")
        words += ["--jsonl", "fifo"]
        if kind == "fifo":
            os.close(reader)
            os.close(writer)
            reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
            writer = os.open(tmp_path / "fifo", os.O_WRONLY)
    fill(writer)
    ready = tmp_path / "ready"
    env = environment(NOTIFY_SOCKET=str(ready))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(ready))
        supervisor.settimeout(60)
        options = {
            "stdout": writer,
            "stderr": writer if "error" in kind else errors,
            "env": env,
            "cwd": tmp_path,
        }
        with running(start(*words, **options)) as child:
            if input == "--demo":
                with suppress(TimeoutError):
                    supervisor.settimeout(6)
                    supervisor.recv(100)
            else:
                for _ in range(
                    2
                ):  # also the second report, which comes after results that could not be written
                    supervisor.recv(100)
            child.send_signal(signal.SIGTERM)
            code = child.wait(20)
    os.close(reader)
    os.close(writer)
    errors.close()
    if "error" not in kind:
        said = (tmp_path / "stderr").read_text()
        assert "lines were lost" in said or "they are lost" in said, said
    assert code == (7 if input == "--demo" else 0)


@needs_posix
def test_a_fifo_keeps_lines_for_its_next_reader(tmp_path: Path) -> None:
    """It may come late, leave, and come back; whole lines, none twice."""
    os.mkfifo(tmp_path / "fifo")
    out = JsonLines(tmp_path / "fifo", ORIGIN)
    out.result(result(event(0)))
    for first in (0, 10):
        reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        out.result(result(event(first + 1)))
        lines = os.read(reader, 100_000).splitlines()
        assert [json.loads(line)["id"] for line in lines][-2:] == [first, first + 1]
        os.close(reader)
        out.result(result(event(9)))  # finds out that nobody reads
        out.result(result(event(10)))
    out.close()
    assert out.dropped == 2


@needs_posix
def test_a_slow_reader_gets_whole_lines_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backlog, "CAPACITY_BYTES", 20_000)
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe, os.fdopen(reader, "rb") as taken:
        monkeypatch.setattr(sys, "stdout", pipe)
        out = JsonLines("-", ORIGIN)
        for number in range(1000):
            out.result(result(event(number)))
        os.set_blocking(reader, False)
        got = taken.read()
        out.close()
        os.set_blocking(reader, False)
        got += taken.read()
    ids = [json.loads(line)["id"] for line in got.splitlines()]
    assert ids == sorted(set(ids))
    assert ids[-1] == 999, "the newest are kept"
    assert len(ids) + out.dropped == 1000
    assert caplog.text.count("not read fast enough") == 1


@needs_posix
def test_a_recording_waits_for_its_reader(tmp_path: Path) -> None:
    toy_file(tmp_path)
    words = ["-m", "toy.onnx", "--input", "sim:noise?length=20s", "--fast", "--scores", "--jsonl"]
    with running(start(*words, cwd=tmp_path)) as child:
        time.sleep(1.5)
        out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert len(out.splitlines()) == 1998
    assert len(out) > 150_000
