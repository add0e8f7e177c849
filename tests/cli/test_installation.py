"""The command that adds an extra works from where the package came from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, environment


def advised(tmp_path: Path, origin: Any, installer: str = "pip", cwd: Path | None = None) -> str:
    """What an installation with this direct_url.json advises; None = an index, so without the file."""
    folder = tmp_path / "site" / "stream_classify-9.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: stream-classify\nVersion: 9\n")
    (folder / "INSTALLER").write_text(installer + "\n")
    if origin is not None:
        (folder / "direct_url.json").write_text(origin if isinstance(origin, str) else json.dumps(origin))
    env = environment()
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "site"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", "from stream.installation import install_command as c; print(c('export'))"],
        cwd=cwd or tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


CLONE = "/home/me/my clone"


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'stream-classify[export]'"),
        ("{", "pip install 'stream-classify[export]'"),
        ({"url": f"file://{CLONE}", "dir_info": {"editable": True}}, f"pip install -e '{CLONE}[export]'"),
        ({"url": "file:///home/me/my%20clone", "dir_info": {}}, f"pip install '{CLONE}[export]'"),
        (
            {"url": "file:///tmp/stream_classify-9-py3-none-any.whl", "archive_info": {}},
            "pip install 'stream-classify[export] @ file:///tmp/stream_classify-9-py3-none-any.whl'",
        ),
        (
            {"url": "https://example.org/repo", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "pip install 'stream-classify[export] @ git+https://example.org/repo@abc'",
        ),
    ],
)
def test_the_command_names_where_it_came_from(tmp_path: Path, origin: Any, command: str) -> None:
    assert advised(tmp_path, origin) == command


def test_inside_the_clone_a_dot_is_enough(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    origin = {"url": clone.as_uri(), "dir_info": {"editable": True}}
    assert advised(tmp_path, origin, cwd=clone) == "pip install -e '.[export]'"


def test_the_installer_that_was_used_is_named(tmp_path: Path) -> None:
    assert advised(tmp_path, None, "uv") == "uv pip install 'stream-classify[export]'"
