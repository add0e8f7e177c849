"""A scan on a real Ray gives the bytes of a scan without it, whichever of its processes are killed."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stream.archive import ray_crew
from stream.archive.crew import Done, Progress
from stream.archive.inventory import Recording, find_recordings
from stream.archive.ray_crew import on_ray
from stream.archive.scan import scan
from stream.archive.workers import processes
from stream.cli import ENVIRONMENT
from stream.errors import UsageError
from stream.logbook.reader import HistoryReader
from stream.ray_connection import ray_connection
from tests.support.archives import done_in, setup
from tests.support.command import DEADLINE_SECONDS, environment, running, start, stream_classify, wait_for
from tests.support.extras import needs

needs("ray")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Ray of two cores, to which this process is connected. Its processes live in another time zone."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            if name.startswith("RAY_"):
                patch.setenv(name, value)
        patch.setenv("TZ", "Asia/Tokyo")  # for the processes that are started now; time.tzset() is not called
        with ray_connection("local", cpus=2) as ray:
            patch.delenv("TZ")
            yield str(ray.get_runtime_context().gcs_address)


def workers() -> list[int]:
    """Process ids of the tasks that run on our Ray, whose processes descend from this one."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(f"/proc/{entry}/cmdline").read_bytes().startswith(b"ray::run_errand") and is_ours(
                int(entry)
            ):
                found.append(int(entry))
        except OSError:  # it has ended
            continue
    return found


def is_ours(pid: int) -> bool:
    while pid > 1 and pid != os.getpid():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])  # its parent
    return pid == os.getpid()


def kill_workers() -> None:
    for pid in workers():
        os.kill(pid, signal.SIGKILL)


def test_results_are_those_of_processes(
    address: str, archive: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(archive.parent)  # relative names, which mean nothing to processes elsewhere
    recordings = find_recordings([archive.name])
    listening = setup(model, scores=True, history=True)
    entries, heard = {}, {}
    for name, crew in (("processes", processes(2)), ("ray", on_ray(address))):
        history = str(tmp_path / f"{name}.sqlite")
        entries[name] = scan(
            recordings, listening, [str(tmp_path / f"{name}.jsonl")], history=history, crew=crew
        )
        with HistoryReader(history) as reader:
            runs = sorted(run.source for run in reader.runs)
            events = sorted((e.run.source, e.onset, e.offset or 0.0, e.label) for e in reader.events())
            heard[name] = (runs, events)
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "processes.jsonl").read_bytes()
    assert entries["ray"] == entries["processes"]
    assert sum(entry.heard.failed for entry in entries["ray"]) == 1
    assert heard["ray"] == heard["processes"]
    assert len(heard["ray"][1]) > 10


def test_a_process_that_is_killed_is_replaced(
    address: str, archive: Path, model: Path, tmp_path: Path
) -> None:
    recordings = find_recordings([str(archive)])
    done: list[str] = []
    killed = 0
    for message in on_ray(address)(recordings, setup(model), str(tmp_path)):
        if isinstance(message, Done):
            done.append(message.recording.name)
            assert message.heard.failed is message.recording.name.endswith("broken.wav"), (
                message.heard.problem
            )
        if not killed:
            killed = len(workers())
            kill_workers()
    assert killed
    assert sorted(done) == [each.name for each in recordings]


def test_a_recording_that_ends_every_process_is_given_up(
    address: str, long_recording: Recording, model: Path, tmp_path: Path
) -> None:
    kills = 0
    heard = None
    for message in on_ray(address)([long_recording], setup(model), str(tmp_path)):
        if isinstance(message, Progress):
            kills += 1
            kill_workers()
        else:
            heard = message.heard
    assert heard is not None
    assert heard.failed
    assert "ended the process that listened to it on " in heard.problem
    assert heard.problem.endswith(", twice")
    assert kills >= 2


def test_a_recording_that_hangs_is_given_up(
    address: str, long_recording: Recording, model: Path, tmp_path: Path
) -> None:
    messages = on_ray(address, patience=0.0)([long_recording], setup(model), str(tmp_path))
    (done,) = [message for message in messages if isinstance(message, Done)]
    assert done.heard.failed
    assert "no sign of life" in done.heard.problem


def test_a_recording_that_a_machine_does_not_have_is_named_with_the_machine(
    address: str, archive: Path, model: Path, tmp_path: Path
) -> None:
    (there,) = find_recordings([str(archive / "20260101_120000.wav")])
    gone = replace(there, path=str(archive / "gone.wav"), name="gone.wav")
    other = replace(there, name="other.wav", size=there.size + 1)
    messages = on_ray(address)([gone, other], setup(model), str(tmp_path))
    problems = {message.recording.name: message.heard for message in messages if isinstance(message, Done)}
    host = os.uname().nodename
    assert problems["gone.wav"].failed
    assert f"gone.wav: cannot be opened on {host} (No such file or directory)" in problems["gone.wav"].problem
    assert problems["other.wav"].failed
    assert f"bytes on {host}" in problems["other.wav"].problem


def test_a_cluster_that_is_busy_is_waited_for_and_that_is_said(
    address: str,
    archive: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import ray

    monkeypatch.setattr(ray_crew, "IDLE_SECONDS", 0.0)
    taken, said = tmp_path / "taken", tmp_path / "said"
    deadline = time.time() + DEADLINE_SECONDS

    def keep_all_cores() -> None:
        taken.touch()
        while not said.exists() and time.time() < deadline:
            time.sleep(0.02)

    class Notice(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.touch()

    ray.remote(num_cpus=2)(keep_all_cores).remote()
    while not taken.exists():
        assert time.time() < deadline, "the cores were not taken"
        time.sleep(0.02)
    notice = Notice()
    monkeypatch.setattr(ray_crew.log, "handlers", [*ray_crew.log.handlers, notice])
    (recording,) = find_recordings([str(archive / "20260101_120000.wav")])
    (done,) = on_ray(address)([recording], setup(model), str(tmp_path))
    assert isinstance(done, Done)
    assert not done.heard.failed
    assert "no core for a recording" in caplog.text


def test_another_version_elsewhere_is_refused(
    address: str, archive: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_crew, "__version__", "0.0.1")
    with pytest.raises(UsageError, match=r"has version .* started by 0\.0\.1; install the same"):
        list(on_ray(address)(find_recordings([str(archive)]), setup(model), str(tmp_path)))


def test_what_is_missing_elsewhere_is_said(
    address: str, archive: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: Any) -> Iterator[Any]:
        raise ModuleNotFoundError("No module named 'soxr'")
        yield

    monkeypatch.setattr(ray_crew, "run_errand", absent)
    with pytest.raises(UsageError, match="No module named 'soxr'; all machines need"):
        list(on_ray(address)(find_recordings([str(archive)]), setup(model), str(tmp_path)))


def stopped(by: signal.Signals, words: tuple[str, ...], out: Path, least: int) -> tuple[int, str]:
    """A scan that is ended once so many recordings are done, as a terminal ends it: exit code and last words."""
    with running(start("scan", *words, start_new_session=True, env=environment())) as child:
        wait_for(lambda: done_in(out) >= least, f"{least} recordings", child, 2 * DEADLINE_SECONDS)
        os.killpg(child.pid, by)
        _, said = child.communicate(timeout=DEADLINE_SECONDS)
        return child.returncode, said.decode()


def test_a_killed_scan_goes_on(
    address: str, archive: Path, long_recording: Recording, model: Path, tmp_path: Path
) -> None:
    undisturbed, out = tmp_path / "undisturbed.jsonl", tmp_path / "out.jsonl"
    scan(find_recordings([str(archive)]), setup(model), [str(undisturbed)], crew=processes(2))
    words = (str(archive), "-o", str(out), "-m", str(model), "--ray", address, "-q")
    code, _ = stopped(signal.SIGKILL, (*words, long_recording.path), out, 1)
    assert code == -signal.SIGKILL
    before = done_in(out)
    assert before >= 1
    done = stream_classify("scan", *words)
    assert done.returncode == 3, done.stderr
    assert "broken.wav" in done.stderr
    assert "Traceback" not in done.stderr
    assert out.read_bytes() == undisturbed.read_bytes()
    wait_for(lambda: not workers(), "a cluster without our work")


@pytest.mark.long
def test_ctrl_c_keeps_what_is_done(
    address: str, archive: Path, long_recording: Recording, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    words = (str(archive), long_recording.path, "-o", str(out), "-m", str(model), "--ray", address, "-q")
    code, said = stopped(signal.SIGINT, words, out, 3)
    assert code == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert done_in(out) >= 3
    assert not out.exists()
    wait_for(lambda: not workers(), "a cluster without our work")
