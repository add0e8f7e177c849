"""The spool: in order, through restarts, bounded, shared by processes, and never harming files of others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream.errors import OutputError, TryAgain
from stream.installation import state_folder
from stream.outputs.spool import BLOCK_BYTES, Spool
from tests.support.command import environment, running

MEGABYTE = 1_000_000


def drained(spool: Spool) -> list[tuple[str, bytes]]:
    taken = []
    while (found := spool.first()) is not None:
        kept, body = found
        taken.append((kept.id, body))
        spool.remove(kept)
    return taken


def test_what_is_put_in_comes_out_in_order_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MEGABYTE)
    for number in range(12):
        spool.put(f"id-{number}", b"%d" % number)
    kept, body = spool.first() or pytest.fail("nothing there")
    spool.remove(kept)
    assert (kept.id, body) == ("id-0", b"0")
    spool.close()
    again = Spool(tmp_path, MEGABYTE)
    again.put("id-12", b"12")
    assert len(again) == 12
    assert drained(again) == [(f"id-{number}", b"%d" % number) for number in range(1, 13)]
    assert drained(again) == []
    again.close()


def test_a_full_spool_refuses_the_new_and_keeps_the_old(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 2 * BLOCK_BYTES)
    spool.put("a", b"1")
    assert not spool.is_full
    spool.put("b", b"2")
    assert spool.is_full
    with pytest.raises(TryAgain, match=r"is full \(2 messages\)"):
        spool.put("c", b"3")
    kept, _ = spool.first() or pytest.fail("nothing there")
    spool.remove(kept)
    spool.put("c", b"3")
    assert [id for id, _ in drained(spool)] == ["b", "c"]
    assert not spool.is_full
    spool.close()


def test_two_that_share_a_folder_have_parts_of_their_own_and_the_next_takes_both_over(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, MEGABYTE), Spool(tmp_path, MEGABYTE)
    first.put("a", b"1")
    second.put("b", b"2")
    assert (len(first), len(second)) == (1, 1)
    third = Spool(tmp_path, MEGABYTE)  # both are in use
    assert len(third) == 0
    third.close()
    second.close()
    third = Spool(tmp_path, MEGABYTE)
    assert [id for id, _ in drained(third)] == ["b"]
    first.close()
    third.close()
    fourth = Spool(tmp_path, MEGABYTE)
    assert [id for id, _ in drained(fourth)] == ["a"]
    fourth.close()


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, time; from stream.outputs.spool import Spool; spool = Spool(sys.argv[1], 10**6);"
        "spool.put('a', b'1'); print('ready', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=environment()
    )
    with running(child):
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        other = Spool(tmp_path, MEGABYTE)
        assert len(other) == 0
        other.close()
        child.kill()
        child.wait(10)
        other = Spool(tmp_path, MEGABYTE)
        assert [id for id, _ in drained(other)] == ["a"]
        other.close()


def test_files_of_others_and_half_written_ones_do_no_harm(tmp_path: Path) -> None:
    part = tmp_path / "0"
    part.mkdir()
    for name in ("notes.txt", "0000000000000001.json", "000.a.json"):
        (part / name).write_text("mine")
    (part / ".unfinished").write_text('{"half')
    spool = Spool(tmp_path, MEGABYTE)
    assert spool.first() is None
    spool.put("a", b"1")
    (part / "0000000000000000.a.json").unlink()  # somebody tidies up
    assert spool.first() is None
    spool.close()
    assert sorted(path.name for path in part.iterdir()) == [
        "000.a.json",
        "0000000000000001.json",
        "lock",
        "notes.txt",
    ]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="name a folder that can be written"):
        Spool(tmp_path / "file" / "spool", MEGABYTE)
    with pytest.raises(OutputError, match="name a folder that can be written"):
        Spool("/proc/spool", MEGABYTE)


def test_others_on_this_machine_cannot_read_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", MEGABYTE)
    spool.put("a", b"1")
    (file,) = spool.folder.glob("*.json")
    assert (os.stat(file).st_mode & 0o777, os.stat(spool.folder).st_mode & 0o777) == (0o600, 0o700)
    spool.close()


def test_the_folder_of_states_is_where_the_platform_has_it() -> None:
    home = Path.home()
    assert state_folder({"XDG_STATE_HOME": "/x"}, "linux") == Path("/x/stream-classify")
    assert state_folder({}, "linux") == home / ".local/state/stream-classify"
    assert state_folder({}, "darwin") == home / "Library/Application Support/stream-classify"
    assert state_folder({"LOCALAPPDATA": "/l"}, "win32") == Path("/l/stream-classify")
    assert state_folder({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "linux") == Path("/var/lib/a")
