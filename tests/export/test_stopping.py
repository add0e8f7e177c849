"""Ctrl-C while a command of the training side works, and going on with --resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import environment, running, stream_classify
from tests.support.labelled import RATE, class_folder

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(os.name != "posix", reason="signals"),
]
# As in a terminal: what runs in the background of a script may have been told to ignore it.
LISTENING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
COMMAND = [sys.executable, "-c", LISTENING + "from stream.cli import main; main()"]
SMALL = [
    "--hidden", "8", "--layers", "1", "-r", str(RATE), "--n-fft", "256", "--win-length", "200",
    "--hop-length", "80", "--set", "streams.frames=60", "--cache", "cache", "--set", "compose=false",
]  # fmt: skip


def stopped(words: list[str], cwd: Path, when: Callable[[str], bool]) -> tuple[int, list[str]]:
    """Exit code and what was said after Ctrl-C, pressed at the first line on stderr that is so."""
    child = subprocess.Popen(
        [*COMMAND, *words],
        cwd=cwd,
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with running(child):
        assert child.stderr is not None
        seen = []
        for line in child.stderr:
            seen.append(line)
            if when(line):
                break
        else:
            pytest.fail(f"it ended before: {seen}")
        child.send_signal(signal.SIGINT)
        said = child.stderr.read().splitlines()
        return child.wait(60), said


def test_ctrl_c_before_the_first_epoch_says_that_there_is_nothing_to_resume(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    class_folder(tmp_path / "data")
    endless = ["--epochs", "1", "--steps", "1000000"]
    code, said = stopped(
        ["train", "data", "-o", "m.pt", *SMALL, *endless],
        tmp_path,
        lambda line: line.startswith("features of train"),
    )
    assert code == 130
    assert len(said) >= 1
    assert "stopped before the first epoch was finished: no model was written" in said[-1]
    assert "--resume" not in said[-1]
    assert not (tmp_path / "m.pt").exists()
    assert not (tmp_path / "m.run" / "last.pt").exists()
    done = stream_classify("train", "data", "-o", "m.pt", *SMALL, *endless, "--resume", cwd=tmp_path)
    assert done.returncode == 2
    assert "--resume: no finished epoch is in m.run (its last.pt); leave --resume out" in done.stderr


def test_ctrl_c_later_says_how_to_go_on(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    class_folder(tmp_path / "data")
    words = ["train", "data", "-o", "m.pt", "--run", "here", *SMALL, "--epochs", "100000"]
    code, said = stopped(words, tmp_path, lambda line: line.split()[:1] == ["2/100000"])
    assert code == 130
    assert said[-1] == "stopped; finished epochs are in here; the same command with --resume goes on"
    assert (tmp_path / "here" / "last.pt").exists()
    code, said = stopped([*words, "--resume"], tmp_path, lambda line: "100000" in line)
    assert code == 130
    assert said[-1] == "stopped; finished epochs are in here; the same command with --resume goes on"


def test_ctrl_c_elsewhere_is_one_line(tmp_path: Path) -> None:
    """A search has nothing to go on with."""
    pytest.importorskip("torch")
    class_folder(tmp_path / "data")
    words = [
        "train",
        "data",
        *SMALL,
        "--epochs",
        "1",
        "--folds",
        "2",
        "--search",
        f"hidden={','.join(map(str, range(4, 99)))}",
    ]
    code, said = stopped(words, tmp_path, lambda line: "fold 1/2" in line)
    assert code == 130
    assert said[-1] == "train: stopped before it was done"
    assert not any("Traceback" in line for line in said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--resume: no finished epoch is in model.run (its last.pt)"),
        (["--run", "there"], "--resume: no finished epoch is in there (its last.pt)"),
        (["--search", "hidden=4,8"], "--resume: a search begins anew"),
    ],
)
def test_a_resume_without_a_run_is_an_error(tmp_path: Path, words: list[str], said: str) -> None:
    """Neither a folder that is not there nor one of a run that was stopped before its first epoch."""
    class_folder(tmp_path / "data")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "config.json").write_text("{}")
    done = stream_classify("train", "data", "--resume", *words, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not (tmp_path / "model.run").exists()
