"""Nothing is written to the home folder and nothing is sent: ONNX Runtime's telemetry is off before it is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = str(ROOT / "assets" / "small.onnx")
SOUND = str(ROOT / "assets" / "demo.ogg")
EXPORTER = f"""
import export.conversion.onnx_export
from stream.inference.options import CPU, create_session
create_session(open({SMALL!r}, "rb").read(), [CPU])
"""
USES = {
    "listening": ["-m", "stream", "-m", "small", "-i", SOUND, "--fast"],
    "verify": ["-m", "stream", "verify", SMALL],
    "inspect": ["-m", "stream", "inspect", SMALL],
    "the library": ["-c", "from stream import Model; Model.bundled('small')"],
    "the exporter": ["-c", EXPORTER],
}


@pytest.mark.parametrize("use", USES)
def test_an_empty_home_stays_empty(use: str, tmp_path: Path) -> None:
    if use == "the exporter":
        pytest.importorskip("onnx")
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run(
        [sys.executable, *USES[use]],
        cwd=tmp_path,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert not list(home.rglob("*"))


def test_without_the_variable_this_runtime_would_write(tmp_path: Path) -> None:
    """The test above is worth nothing where ONNX Runtime has no telemetry; say so."""
    home = tmp_path / "home"
    home.mkdir()
    code = f"from stream import Model; Model.load({SMALL!r})"
    subprocess.run(
        [sys.executable, "-c", code],
        env={
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "ORT_DISABLE_TELEMETRY": "0",
        },
        check=True,
        timeout=120,
    )
    if not list(home.rglob("*")):
        pytest.skip("this ONNX Runtime writes nothing anyway")
