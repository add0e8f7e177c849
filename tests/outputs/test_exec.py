"""--exec: what the command is given, what it cannot do, and that none outlives its time."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.errors import UsageError
from stream.outputs.exec import Exec
from stream.outputs.queued import Queued
from tests.support.command import ROOT, stream_classify, wait_for
from tests.support.happenings import begun, context, event, heard

PYTHON = sys.executable


def script(folder: Path, code: str, name: str = "command") -> str:
    """A program in Python that knows the folder as ``here``."""
    path = folder / name
    path.write_text(
        f"#!{PYTHON} -IS\nimport json, os, signal, sys, time\nfrom pathlib import Path\n"
        f"here = Path({str(folder)!r})\n{code}\n"
    )
    path.chmod(0o755)
    return str(path)


def command(folder: Path, code: str, **options: Any) -> Exec:
    return Exec(context(), exec=script(folder, code), **options)


def until(ready: Callable[[], bool], what: str) -> None:
    wait_for(ready, what, seconds=20)


def gone(pid: int) -> bool:
    """Whether a process is no more, not even as a zombie."""
    return not Path(f"/proc/{pid}").exists()


def test_the_event_comes_as_json_and_in_variables(tmp_path: Path) -> None:
    code = """
record = json.load(sys.stdin)
found = {key: value for key, value in os.environ.items() if key.startswith("STREAM_CLASSIFY_EVENT_")}
(here / f"{record['id']}.tmp").write_text(json.dumps([record, found]))
(here / f"{record['id']}.tmp").rename(here / f"{record['id']}.json")
"""
    run = command(tmp_path, code)
    run.result(heard(event(0), captured_at=5.0))
    until((tmp_path / "0.json").exists, "the command")
    run.close()
    record, found = json.loads((tmp_path / "0.json").read_text())
    assert (record["type"], record["label"], record["peak"]) == ("event", "dog bark", 0.93)
    short = {key.removeprefix("STREAM_CLASSIFY_EVENT_"): value for key, value in found.items()}
    assert short.pop("CUT") == "false"
    assert short == {key.upper(): str(value) for key, value in record.items() if key not in ("schema", "cut")}


@pytest.mark.parametrize("shell", [False, True])
def test_labels_cannot_run_code(tmp_path: Path, shell: bool) -> None:
    label = (
        f"a; touch {tmp_path}/broken $(touch {tmp_path}/broken) `touch {tmp_path}/broken` \0 \n \ud800 'x\""
    )
    words = script(tmp_path, "(here / 'done').write_text(os.environ['STREAM_CLASSIFY_EVENT_LABEL'])")
    if shell:
        words = (
            f'printf %s "$STREAM_CLASSIFY_EVENT_LABEL" > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/done'
        )
    run = Exec(context(), exec=words, exec_shell=shell)
    from stream.outputs.exec import event_variables

    run._start(b"{}", event_variables({"label": label, "t_wall": None}), event(0))
    until((tmp_path / "done").exists, "the command")
    until(lambda: run._done == 1, "its end")
    run.close()
    assert not (tmp_path / "broken").exists()
    assert (tmp_path / "done").read_text() == label.replace("\0", "?").replace("\ud800", "?")


def test_arguments_are_words_and_no_shell_reads_them(tmp_path: Path) -> None:
    path = script(tmp_path, "(here / 'words').write_text(json.dumps(sys.argv[1:]))")
    run = Exec(context(), exec=f"{path} 'a b' $HOME '*' > x")
    run.result(heard(event(0)))
    until(lambda: run._done == 1, "the command")
    run.close()
    assert json.loads((tmp_path / "words").read_text()) == ["a b", "$HOME", "*", ">", "x"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a ceiling")
def test_a_command_may_take_more_memory_than_we_may(tmp_path: Path) -> None:
    import resource

    code = """
import resource
(here / "limit.tmp").write_text(repr(resource.getrlimit(resource.RLIMIT_AS)))
(here / "limit.tmp").rename(here / "limit")
"""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (64 << 30, hard))
    run = command(tmp_path, code)
    run.result(heard(event(0), captured_at=5.0))
    until((tmp_path / "limit").exists, "the command")
    run.close()
    assert (tmp_path / "limit").read_text() == repr((hard, hard))


def test_beginnings_on_request(tmp_path: Path) -> None:
    code = "(here / os.environ['STREAM_CLASSIFY_EVENT_TYPE']).touch()"
    run = command(tmp_path, code, exec_onsets=True)
    run.result(heard(begun(0)))
    run.result(heard(event(0)))
    until(lambda: run._done == 2, "both")
    run.close()
    assert (tmp_path / "onset").exists()
    assert (tmp_path / "event").exists()


def test_never_more_at_once_than_allowed(tmp_path: Path) -> None:
    code = """
me = here / f"running-{os.getpid()}"
me.touch()
n = len(list(here.glob("running-*")))
(here / f"saw-{os.getpid()}").write_text(str(n))
time.sleep(0.1)
me.unlink()
"""
    queued = Queued(run := command(tmp_path, code, exec_jobs=2), wants=Exec.WANTS)
    for number in range(8):
        queued.result(heard(event(number)))
    until(lambda: run._done == 8, "all")
    queued.close()
    seen = [int(path.read_text()) for path in tmp_path.glob("saw-*")]
    assert len(seen) == 8
    assert max(seen) == 2
    assert queued.report().delivered == 8


STUBBORN = """
import subprocess
if len(sys.argv) == 1:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; sleep 60 & wait; wait"])
    (here / "new").write_text(f"{os.getpid()} {child.pid}")
    (here / "new").rename(here / "pids")
    time.sleep(60)
"""


def test_after_its_time_it_is_ended_with_all_that_it_started(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.outputs.command_job.GRACE_SECONDS", 0.1)
    run = command(tmp_path, STUBBORN, exec_timeout=0.5)
    run.result(heard(event(7)))
    until(lambda: run._failed == 1, "its end")
    run.close()
    pids = (tmp_path / "pids").read_text().split()
    until(lambda: all(gone(int(pid)) for pid in pids), "both processes to go")
    assert "was ended after 0.5 s, for event 7" in caplog.text


def test_at_the_end_of_the_run_nothing_is_left_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queued = Queued(command(tmp_path, STUBBORN, exec_jobs=1), wants=Exec.WANTS)
    for number in range(3):
        queued.result(heard(event(number)))
    until((tmp_path / "pids").exists, "the first command")
    queued.close()
    pids = (tmp_path / "pids").read_text().split()
    until(lambda: all(gone(int(pid)) for pid in pids), "both processes to go")
    assert "still running at the end, and ended: 1 of its commands" in caplog.text
    assert "was not started for event 1" in caplog.text
    assert queued.errors + queued.dropped["result"] == 2


def test_a_flood_costs_commands_and_each_of_them_is_counted(tmp_path: Path) -> None:
    queued = Queued(command(tmp_path, "time.sleep(60)", exec_jobs=2), wants=Exec.WANTS, capacity=64)
    for number in range(1000):
        queued.result(heard(event(number)))
    queued.close()
    report = queued.report()
    assert report.dropped >= 1000 - 64 - 3  # two run, one waits for room
    assert (report.delivered, report.waiting) == (0, 0)
    assert report.dropped + report.errors == 1000


def test_the_last_event_of_a_run_is_acted_on(tmp_path: Path) -> None:
    queued = Queued(command(tmp_path, "(here / 'done').touch()"), wants=Exec.WANTS)
    queued.result(heard(event(0)))
    queued.close()
    until((tmp_path / "done").exists, "the command")
    assert (queued.report().delivered, queued.report().errors) == (1, 0)


def test_what_fails_is_counted_and_said_once_and_what_it_writes_is_for_debugging(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run = command(tmp_path, "print('no\\x1b[31m luck', file=sys.stderr); sys.exit(3)")
    for number in range(3):
        run.result(heard(event(number)))
    until(lambda: run._failed == 3, "three failures")
    run.close()
    assert caplog.text.count("exit code 3") == 1
    records = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert records.count(("DEBUG", "exec: no?[31m luck")) == 3


def test_one_that_is_killed_or_writes_without_end_does_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = command(tmp_path, "os.kill(os.getpid(), 9)")
    run.result(heard(event(0)))
    until(lambda: run._failed == 1, "its end")
    run.close()
    assert "was ended by SIGKILL" in caplog.text
    endless = Exec(context(), exec="yes", exec_timeout=0.3)
    endless.result(heard(event(0)))
    until(lambda: endless._failed == 1, "its end")
    endless.close()


def test_what_it_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    run = Exec(context(), exec=f"sleep 30 & echo $! > {tmp_path}/pid", exec_shell=True)
    run.result(heard(event(0)))
    until(lambda: run._done == 1, "the command")
    run.close()
    pid = int((tmp_path / "pid").read_text())
    assert not gone(pid)
    os.kill(pid, signal.SIGKILL)


def test_no_file_of_ours_and_no_terminal_of_ours_reach_it(tmp_path: Path) -> None:
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        code = "(here / 'seen').write_text(f'{sorted(os.listdir(\"/proc/self/fd\"))} {os.getsid(0) == os.getpid()}')"
        run = command(tmp_path, code)
        run.result(heard(event(0)))
        until(lambda: run._done == 1, "the command")
    run.close()
    assert (tmp_path / "seen").read_text() == "['0', '1', '2', '3'] True"  # 3 is the folder that it lists


def test_commands_that_cannot_run_are_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    plain.chmod(stat.S_IRUSR)
    for words, why in [
        ("", "is empty"),
        ("'' a", "is empty"),
        ("say 'hello", "No closing quotation"),
        ("no-such-command --flag", "no such command"),
        (f"{plain}", "is not executable; chmod"),
        (f"{tmp_path}", "no such command"),
    ]:
        with pytest.raises(UsageError, match=why) as caught:
            Exec(context(), exec=words)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="is no command"):
        Exec(context(), exec="  ", exec_shell=True)


def test_on_the_command_line(tmp_path: Path) -> None:
    refused = stream_classify("--demo", "--exec", "no-such-command")
    assert refused.returncode == 2
    assert "no such command" in refused.stderr
    path = script(tmp_path, "(here / os.environ['STREAM_CLASSIFY_EVENT_ID']).touch()")
    done = stream_classify(
        "--input", str(ROOT / "assets/demo.ogg"), "--fast", "--exec", f"{path} secret", "--jsonl", "-v"
    )
    assert done.returncode == 0
    assert (tmp_path / "0").exists()
    assert f"exec {path}: " in done.stderr
    assert "secret" not in done.stderr
