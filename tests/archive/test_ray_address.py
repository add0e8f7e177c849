"""Addresses where no Ray cluster is are refused in a line, without the minute that Ray itself would wait."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from stream.errors import UsageError
from stream.ray_connection import ray_connection
from tests.support.command import stream_classify
from tests.support.extras import needs


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "want local, auto or HOST:PORT"),
        ("nonsense", "want local, auto or HOST:PORT"),
        ("127.0.0.1:99999", "want local, auto or HOST:PORT"),
        (":6379", "want local, auto or HOST:PORT"),
        ("ray://127.0.0.1:10001", "start the command on a machine of the cluster"),
        ("127.0.0.1:1", "nobody answers there \\(Connection refused\\)"),
        ("no such host:1", "nobody answers there"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address: str, said: str) -> None:
    needs("ray")
    with pytest.raises(UsageError, match=said), ray_connection(address):
        pass


def test_the_command_refuses_it_in_a_line(tmp_path: Path) -> None:
    needs("ray")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    done = stream_classify("scan", str(tmp_path), "-o", str(tmp_path / "out.tsv"), "--ray", "127.0.0.1:1")
    assert done.returncode == 2
    assert "nobody answers there" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_ray(name: str, *rest: Any) -> Any:
        if name == "ray":
            raise ImportError("No module named 'ray'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    with pytest.raises(UsageError, match=r"Ray is not installed; run: .*\[ray\]"), ray_connection("local"):
        pass
