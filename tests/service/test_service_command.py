"""The command writes a unit, says what to type, and leaves alone what it did not write."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stream.cli import service as service_command
from stream.cli.service import program, service
from stream.errors import OutputError, StreamClassifyError, UsageError
from stream.service import systemd
from tests.support.command import stream_classify
from tests.support.extras import needs

OTHERS = "[Service]\nExecStart=/bin/true\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that seems to run systemd, which nobody may call: systemctl is a script that keeps what it was told."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(systemd, "BOOTED", tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/told\n'
        'case "$*" in *show*) echo ActiveState=active; echo SubState=running; echo UnitFileState=enabled;; esac\n'
    )
    (tools / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    (tmp_path / "a house 50%").mkdir()
    monkeypatch.chdir(tmp_path / "a house 50%")
    return tmp_path


@pytest.fixture
def home(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where the options are good, which takes a moment to find out."""
    monkeypatch.setattr(service_command, "check_arguments", lambda arguments: None)
    return machine


def unit(home: Path, name: str = "stream-classify") -> Path:
    return home / ".config" / "systemd" / "user" / f"{name}.service"


def told(home: Path) -> list[str]:
    return (home / "told").read_text().splitlines() if (home / "told").exists() else []


def run(*words: str) -> Result:
    return CliRunner().invoke(service, words, catch_exceptions=True)


def good(*words: str) -> str:
    done = run(*words)
    assert done.exception is None, done.exception
    return done.output


def refused(*words: str, error: type[StreamClassifyError] = UsageError) -> str:
    done = run(*words)
    assert isinstance(done.exception, error), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_install_writes_the_unit_and_says_what_to_type(home: Path) -> None:
    said = good("install", "--", "--device", "usb mic", "--jsonl", "heard.jsonl")
    text = unit(home).read_text()
    assert '--device "usb mic" --jsonl heard.jsonl\n' in text
    assert f"ExecStart={program()[0]}" in text
    assert f"WorkingDirectory={home}/a house 50%%\n" in text
    assert f"written: {unit(home)}" in said
    assert "systemctl --user daemon-reload && systemctl --user enable --now stream-classify\n" in said
    assert "loginctl enable-linger" in said
    assert told(home) == []
    if shutil.which("systemd-analyze"):
        assert "verify finds nothing wrong" in said
    good("install", "--", "--model", "small")  # ours is written anew
    assert "--model small" in unit(home).read_text()
    assert [each.name for each in unit(home).parent.iterdir()] == [unit(home).name]


def test_a_station_has_a_unit_of_its_own(home: Path) -> None:
    assert "stream-classify-station" in good("install", "--serve", "--", "--port", "8000")
    assert "stream serve --port 8000" in unit(home, "stream-classify-station").read_text().replace(
        "-classify", ""
    )
    assert not unit(home).exists()
    good("install", "--name", "porch.service", "--", "--model", "small")
    assert unit(home, "porch").exists()


def test_systemctl_is_run_only_when_asked(home: Path) -> None:
    good("install", "--now", "--", "--model", "small")
    assert told(home) == ["--user daemon-reload", "--user enable --now stream-classify.service"]
    good("uninstall", "--now")
    assert told(home)[2:] == ["--user disable --now stream-classify.service", "--user daemon-reload"]
    assert not unit(home).exists()


def test_what_others_wrote_is_left_alone(home: Path) -> None:
    unit(home).parent.mkdir(parents=True)
    unit(home).write_text(OTHERS)
    assert "--force" in refused("install", "--", "--model", "small")
    assert "--force" in refused("uninstall")
    assert unit(home).read_text() == OTHERS
    good("install", "--force", "--", "--model", "small")
    assert "--model small" in unit(home).read_text()
    unit(home).unlink()
    unit(home).symlink_to("/dev/null")  # masked
    assert "--force" in refused("install")
    good("uninstall", "--force")
    assert not unit(home).is_symlink()
    assert Path("/dev/null").exists()


def test_uninstall_takes_the_link_of_enable_with_it(home: Path) -> None:
    good("install")
    link = unit(home).parent / "default.target.wants" / unit(home).name
    link.parent.mkdir()
    link.symlink_to(unit(home))
    said = good("uninstall")
    assert not link.is_symlink()
    assert not unit(home).exists()
    assert "systemctl --user stop stream-classify" in said
    assert told(home) == []
    assert "there is no such unit" in refused("uninstall")


def test_status_and_show(home: Path) -> None:
    done = run("status")
    assert done.exit_code == 1
    assert "there is no such unit" in done.output
    assert "cannot be read" in refused("show")
    good("install", "--", "--model", "small")
    assert "active (running), enabled" in good("status")
    assert good("show") == unit(home).read_text()
    tool = home / "tools" / "systemctl"
    tool.write_text("#!/bin/sh\necho Failed to connect to bus >&2\nexit 1\n")
    assert "Failed to connect to bus" in refused("status")
    assert "Failed to connect to bus" in refused("install", "--now")


def test_what_would_fail_at_every_start_is_refused_now(machine: Path) -> None:
    needs("starlette", "uvicorn", "prometheus_client")
    Path("bad.toml").write_text("treshold = 0.4\n")
    assert "did you mean 'threshold'" in refused("install", "--settings", "bad.toml")
    assert "did you mean 'threshold'" in refused("install", "--serve", "--settings", "bad.toml")
    assert "--model" in refused("install", "--", "--modle", "small")
    assert "only this machine is served" in refused("install", "--serve", "--", "--host", "0.0.0.0")
    assert "a service listens or serves" in refused("install", "--", "scan", "x")
    assert "nothing that a service could do" in refused("install", "--", "--list-devices")
    assert run("install", "--settings", "gone.toml").exit_code == 2
    assert not unit(machine).exists()
    good("install", "--", "--device", "usb mic")
    assert unit(machine).exists()


def test_names_that_no_unit_can_have_are_refused(home: Path) -> None:
    assert "--name" in refused("install", "--name", "../x")
    assert "no UTF-8" in refused("install", "--", "--jsonl", "caf\udce9")
    assert not unit(home).exists()


def test_a_folder_that_cannot_be_written(home: Path) -> None:
    (home / ".config").write_text("a file")
    assert ".config" in refused("install", error=OutputError)


def test_a_service_of_the_system_needs_files_that_others_can_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = home / "closed" / "python"
    closed.parent.mkdir()
    closed.touch(0o755)
    closed.parent.chmod(0o700)
    monkeypatch.setattr(service_command, "program", lambda: [str(closed)])
    said = refused("install", "--system", "--dry-run")
    assert "closed to other users" in said or "/tmp of its own" in said
    assert "/opt/stream-classify" in said


def test_dry_run_prints_and_writes_nothing(home: Path) -> None:
    text = good("install", "--dry-run", "--", "--model", "small")
    assert text.startswith("# Written by stream-classify service install")
    assert "ExecStart=" in text
    assert not unit(home).exists()


def test_without_systemd_it_is_said_what_to_do_instead(tmp_path: Path) -> None:
    if systemd.BOOTED.is_dir():
        pytest.skip("this machine runs systemd")
    done = stream_classify("service", "install", HOME=str(tmp_path))
    assert done.returncode == 2
    assert "not run by systemd" in done.stderr
    assert "your supervisor run: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
