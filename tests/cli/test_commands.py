"""Sub-commands: found by entry points, listed without importing them, and a line where something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from stream.cli.commands import GROUP, added_commands, summary
from tests.support.command import ROOT, environment, stream_classify
from tests.support.labelled import class_folder
from tests.support.sounds import make
from tests.support.toy_models import toy_file

# Run before the command line: packages that cannot be found, and, at the end, those that must not have been imported.
HIDE = """
import sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
from stream.cli import main
main({words!r})
"""


def without(hidden: list[str], *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command line where some packages are not installed."""
    return subprocess.run(
        [sys.executable, "-c", HIDE.format(hidden=hidden, words=list(words))],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_training_side_is_found_by_entry_points() -> None:
    tomllib = pytest.importorskip("tomllib")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    found = {name: entry.value for name, entry in added_commands().items()}
    assert found == declared, "install the package again: its metadata is older than pyproject.toml"
    assert list(found) == ["data", "train", "export", "evaluate", "calibrate", "teach"]
    sources = [path.read_text() for path in (ROOT / "stream" / "cli").glob("*.py")]
    assert not any("export.cli" in text or "import export" in text for text in sources)


@pytest.mark.torch
def test_help_says_of_each_command_what_the_command_says() -> None:
    pytest.importorskip("torch")
    for name, entry in added_commands().items():
        assert entry.load().get_short_help_str(200).split()[0] == summary(name).split()[0], name


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["data", "recordings", "--picture", "p.png"], "matplotlib"),
        (["train", "recordings"], "torch"),
        (["train", "recordings"], "matplotlib"),
        (["train", "recordings", "--search", "hidden=4,8"], "onnx"),
        (["export", "model.pt", "-o", "out.onnx"], "torch"),
        (
            ["export", "model.pt", "-o", "out.onnx", "--quantize", "int8", "--data", "recordings"],
            "scipy",
        ),
        (
            ["export", "model.pt", "-o", "out.onnx", "--quantize", "int8", "--data", "recordings"],
            "sklearn",
        ),
        (["teach", "dog", "--clips", "recordings"], "onnx"),
        (["evaluate", "default", "recordings"], "scipy"),
        (["evaluate", "default", "recordings"], "sklearn"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_without_the_extra_each_command_says_what_to_install(
    words: list[str], missing: str, tmp_path: Path
) -> None:
    """At once: not when the training or the evaluation is over and something is to be drawn or measured."""
    class_folder(tmp_path / "recordings")
    (tmp_path / "model.pt").touch()
    done = without([missing, "librosa"], *words, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert f"{words[0]} needs {missing}, which is not installed; run: " in line
    assert "[export]" in line
    assert done.stdout == ""


@pytest.mark.torch
def test_what_is_missed_in_the_midst_of_a_command_is_said_in_a_line_too(tmp_path: Path) -> None:
    """Pictures are drawn at the end of an evaluation, and only with --report."""
    pytest.importorskip("torch")
    toy_file(tmp_path)
    for label in ("speech", "music", "noise"):
        (tmp_path / "data" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "data" / label / "a.wav", make(label, 16000), 16000)
    words = ["evaluate", "toy.onnx", "data", "--report", "report"]
    done = without(["matplotlib"], *words, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "evaluate needs matplotlib, which is not installed; run: " in done.stderr


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise OSError('libcudart.so.12: cannot open shared object file')", "libcudart.so.12: cannot open"),
        ("raise ImportError('multiarray failed to import')", "multiarray failed to import"),
        ("raise ValueError('numpy.dtype size changed')", "numpy.dtype size changed"),
        ("from sys import nothing", "cannot import name 'nothing'"),
        ("raise RuntimeError", "RuntimeError"),
    ],
)
def test_a_package_that_is_there_and_broken_is_named_with_what_it_said(
    tmp_path: Path, code: str, said: str
) -> None:
    """Where a library of its own is missing, importing torch raises OSError, and others raise what they like."""
    class_folder(tmp_path / "recordings")
    (tmp_path / "broken" / "torch").mkdir(parents=True)
    (tmp_path / "broken" / "torch" / "__init__.py").write_text(code)
    env = environment(PYTHONPATH=f"{tmp_path / 'broken'}:{ROOT}")
    command = [sys.executable, "-m", "stream", "train", "recordings"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert "train needs torch, " in line
    assert f"which cannot be imported ({said}" in line
    assert "; run: " in line


def test_a_fault_of_our_own_is_no_missing_package() -> None:
    from stream.cli.commands import _cannot_import

    for error in (ValueError("wrong"), ImportError("cannot import", name="stream.nothing")):
        assert _cannot_import("train", error) is error


def test_listening_and_its_help_need_no_extra() -> None:
    hidden = ["torch", "export", "numpy", "matplotlib", "sklearn", "librosa", "onnx"]
    done = without(hidden, "--help")
    assert done.returncode == 0, done.stderr
    for name in ("train", "export", "evaluate", "verify", "completion"):
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["trian"], "train"),
        (["verfy", "x.onnx"], "verify"),
        (["help"], "--help"),
        (["--modle", "x"], "--model"),
        (["--sr", "8000"], "--sample-rate"),
        (["inspect", "default", "--jsno"], "--json"),
        (["soak", "--hour", "1"], "--hours"),
    ],
)
def test_a_misspelt_name_gets_the_one_that_was_meant(words: list[str], meant: str) -> None:
    done = stream_classify(*words)
    assert done.returncode == 2
    assert f"did you mean {meant}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.torch
def test_initials_of_an_option_of_train() -> None:
    pytest.importorskip("torch")
    done = stream_classify("train", "x", "--lr", "0.1")
    assert done.returncode == 2
    assert "did you mean --learning-rate?" in done.stderr


def test_options_of_listening_before_a_command_are_refused() -> None:
    done = stream_classify("--fast", "inspect", "default")
    assert done.returncode == 2
    assert "--fast is an option of listening" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("words", [["--", "--fast"], ["x" * 300], ["--", ""], ["-"]])
def test_odd_names_of_commands_are_refused(words: list[str]) -> None:
    done = stream_classify(*words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("stream-classify: error: ")


def test_a_group_of_commands_without_one_shows_its_help() -> None:
    done = stream_classify("service")
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: stream-classify service ")
    assert "Commands:" in done.stderr
    assert len(done.stderr.splitlines()) > 5
    wrong = stream_classify("service", "isntall")
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 1
