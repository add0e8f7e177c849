"""The unit file: systemd understands it, and it runs as a user's, where the sound server can be reached."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream.cli.app import app
from stream.installation import asset

UNIT = asset("stream-classify.service")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("%h/.local/bin/stream-classify", "/bin/true")
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(tmp_path / UNIT.name)],
        capture_output=True, text=True, timeout=60, env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert UNIT.name not in done.stderr
    assert done.returncode == 0, done.stderr


def test_it_is_a_users() -> None:
    text = UNIT.read_text()
    assert "WantedBy=default.target" in text
    for system_only in ("DynamicUser", "User=", "SupplementaryGroups", "ProtectHome"):
        assert system_only not in text
    assert "Environment=ORT_DISABLE_TELEMETRY=1" in text


def test_its_command_has_options_that_exist() -> None:
    line = next(line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.partition("=")[2])[1:]
    options = [word for word in words if word.startswith("--")]
    help_text = CliRunner().invoke(app, ["--help"]).output
    assert options
    assert all(re.search(rf"{option}\b", help_text) for option in options)
