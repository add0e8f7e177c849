"""The built wheel, installed in a clean environment without torch and run from another folder, does the main job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "stream/features/native/_mfcc.so"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=280,
    )
    if done.returncode and "hatchling" in done.stderr and "No matching distribution" in done.stderr:
        pytest.skip("hatchling cannot be fetched here; the wheel is not built")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_wheel_holds_what_it_needs_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "stream/_assets/default.onnx",
        "stream/_assets/small.onnx",
        "stream/_assets/alarms.onnx",
        "stream/_assets/demo.ogg",
        "stream/_assets/speech-sounds.pt",
        "stream/_assets/negatives/index.json",
        "stream/_assets/negatives/SOURCES.md",
        "stream/_assets/negatives/train-speech.ogg",
        "stream/py.typed",
        "stream/server/page/index.html",
        "stream/server/page/start.js",
        "stream/server/page/style/base.css",
        "export/conversion/onnx_export.py",
    ):
        assert name in names
    assert not [name for name in names if name.startswith("export/recipes")], "recipes run from a clone"
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"stream", "export"}
    pictures = [name for name in names if name.endswith((".png", ".svg"))]
    assert pictures == ["stream/server/page/icon.svg"]  # those of the README stay behind
    # 8.8 MB of models and recordings (3.2 MB of them the front of teach and its background, 0.6 MB the start of train)
    assert wheel.stat().st_size < 10_600_000


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git knows of this checkout: no library is built in it yet."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
    )
    if listed.returncode:
        pytest.skip("not a git checkout; the files of a package are not known")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def hatchling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import the build backend from, so that each build need not fetch it."""
    folder = tmp_path_factory.mktemp("hatchling")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), "hatchling>=1.27"],
        capture_output=True,
        timeout=280,
    )
    if done.returncode:
        pytest.skip("hatchling cannot be fetched here")
    return folder


def build(kind: str, checkout: Path, hatchling: Path, out: Path, **env: str) -> tuple[Path | None, str]:
    """What ``hatchling build`` made and what it said; None where it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(hatchling)} | env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    (checkout / KERNEL).unlink(missing_ok=True)
    return (None if done.returncode else next(out.iterdir())), done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_a_compiler_makes_a_wheel_for_this_kind_of_machine(
    checkout: Path, hatchling: Path, tmp_path: Path
) -> None:
    made, said = build("wheel", checkout, hatchling, tmp_path, STREAM_CLASSIFY_NATIVE="1")
    assert made is not None, said
    assert KERNEL in zipfile.ZipFile(made).namelist()
    assert "-py3-none-" in made.name
    assert not made.name.endswith("-any.whl")


@pytest.mark.parametrize("env", [{"CC": "no-such-compiler"}, {"STREAM_CLASSIFY_NATIVE": "0"}], ids=str)
def test_without_a_compiler_a_wheel_is_for_every_machine(
    env: dict[str, str], checkout: Path, hatchling: Path, tmp_path: Path
) -> None:
    made, said = build("wheel", checkout, hatchling, tmp_path, **env)
    assert made is not None, said
    assert KERNEL not in zipfile.ZipFile(made).namelist()
    assert made.name.endswith("-py3-none-any.whl")
    assert ("without the compiled kernel: no-such-compiler" in said) == ("CC" in env)


def test_a_kernel_that_was_demanded_and_cannot_be_built_is_an_error(
    checkout: Path, hatchling: Path, tmp_path: Path
) -> None:
    env = {"CC": "no-such-compiler", "STREAM_CLASSIFY_NATIVE": "1"}
    made, said = build("wheel", checkout, hatchling, tmp_path, **env)
    assert made is None
    assert "compiled kernel: no-such-compiler" in said


def test_the_source_archive_builds_the_same_wheel(checkout: Path, hatchling: Path, tmp_path: Path) -> None:
    archive, said = build("sdist", checkout, hatchling, tmp_path / "archive")
    assert archive is not None, said
    shutil.unpack_archive(archive, tmp_path / "source")
    (source,) = (tmp_path / "source").iterdir()
    assert {"build_kernel.py", "hatch_build.py"} <= {path.name for path in (source / ".ci").iterdir()}
    wheels = []
    for name, folder in (("from archive", source), ("from checkout", checkout)):
        made, said = build("wheel", folder, hatchling, tmp_path / name)
        assert made is not None, said
        wheels.append(made)
    names = [set(zipfile.ZipFile(made).namelist()) for made in wheels]
    assert names[0] == names[1]
    assert wheels[0].name == wheels[1].name


@pytest.mark.timeout(600)
def test_clean_install_classifies_the_sample(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / "bin" / "python"
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", str(wheel)], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = tmp_path / "clean" / "bin" / "stream-classify"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(command), *words], cwd=elsewhere, capture_output=True, text=True, timeout=120
        )

    heard = run("--demo", "--fast", "--jsonl")
    assert heard.returncode == 0, heard.stderr
    labels = {json.loads(line)["label"] for line in heard.stdout.splitlines()}
    assert {"speech", "music", "noise"} <= labels
    proven = run("verify", "default")
    assert proven.returncode == 0, proven.stderr
    assert run("inspect", "default").returncode == 0
    for label in "ab":  # data that can be read, or that would be said first
        (tmp_path / "x" / label).mkdir(parents=True)
        for n in range(4):
            tone = np.sin(np.arange(8_000) * (0.1 + 0.05 * n)) / 2
            soundfile.write(tmp_path / "x" / label / f"s{n}_nohash_0.wav", tone, 16_000)
    missing = run("train", str(tmp_path / "x"))
    assert missing.returncode != 0
    assert "stream-classify[export]" in missing.stderr
    assert "Traceback" not in missing.stderr
    for package in ("torch", "librosa", "onnx", "matplotlib"):
        found = subprocess.run([str(python), "-c", f"import {package}"], capture_output=True, timeout=60)
        assert found.returncode != 0, f"{package} came along"
