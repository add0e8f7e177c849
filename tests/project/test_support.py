"""What tests start is gone when they fail, and what they wait for has an end."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.command import running, wait_for
from tests.support.disk import small_disk
from tests.support.pulse import pulse_server
from tests.support.terminal import Terminal


class Failed(Exception):
    """What a test that breaks raises."""


SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def mounted(folder: Path) -> bool:
    return f" {folder} " in Path("/proc/self/mounts").read_text()


needs_proc = pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="needs Linux's /proc")


def test_a_child_ends_with_the_block_that_failed() -> None:
    with suppress(Failed), running(subprocess.Popen(SLEEP, stdout=-1)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        raise Failed
    assert child.returncode is not None
    assert child.stdout.closed


def test_waiting_ends_at_the_deadline_and_with_the_child() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"waited 0\.1 s for the moon, without success"):
        wait_for(lambda: False, "the moon", seconds=0.1)
    code = "import sys; sys.exit('went wrong')"
    ends_itself = running(subprocess.Popen([sys.executable, "-c", code], stderr=-1))
    with ends_itself as child, pytest.raises(pytest.fail.Exception, match=r"ended with 1: .*went wrong"):
        wait_for(lambda: False, "the moon", child)


@needs_proc
def test_a_small_disk_is_gone_though_a_file_on_it_is_open(tmp_path: Path) -> None:
    with suppress(Failed), small_disk(tmp_path) as folder:
        assert mounted(folder)
        left_open = (folder / "file").open("w")
        raise Failed
    assert not mounted(tmp_path)
    left_open.close()


@needs_proc
@pytest.mark.pulse
def test_a_sound_server_and_its_folder_are_gone() -> None:
    with suppress(Failed), pulse_server() as server:
        assert alive(server.pid)
        raise Failed
    assert not alive(server.pid)
    assert not server.socket.exists()


@needs_proc
def test_a_terminal_whose_shell_does_not_come_up_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    pids: list[int] = []

    def never(*_: object) -> str:
        pids.append(int(terminal.ask("#{pid}")))
        raise Failed

    monkeypatch.setattr(terminal, "wait_for", never)
    with pytest.raises(Failed):
        terminal.__enter__()
    wait_for(lambda: not alive(pids[0]), "the end of tmux", seconds=20)
