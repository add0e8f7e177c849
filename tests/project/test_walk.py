"""A newcomer's walk through README and guides: the commands as printed, one after the other, in one folder.

The fast walk runs this tree. The long one builds the wheel, installs it in a fresh environment and walks with that.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.support.command import COMMAND, environment
from tests.support.guides import (
    ROOT,
    Block,
    blocks,
    commands,
    make_recordings,
    make_talk,
    own_arguments,
    without_microphone,
)

# Enough for sounds that a child tells apart.
TINY = {
    "train": [
        "--epochs", "4", "--hidden", "24", "--layers", "1", "--learning-rate", "0.02", "--false-alarms", "30",
        "--set", "streams.rows=8", "--set", "scenes.minutes=2", "--set", "scenes.seconds=20",
    ],
    "evaluate": ["--negatives", "1"],
}  # fmt: skip
LISTENING, TRAINING = "stream/README.md", "export/README.md"


def lines_of(block: Block) -> list[list[str]]:
    """The arguments of each stream-classify in a block."""
    found = [own_arguments(words) for line in block.code.splitlines() for words in commands(line)]
    return [arguments for arguments in found if arguments is not None]


def marked(guide: str, *marks: str) -> list[list[str]]:
    chosen = [block for block in blocks("sh") if block.guide == guide and block.mark in marks]
    return [words for block in chosen for words in lines_of(block)]


class Walker:
    """Runs commands in one folder, with a recording in place of a microphone and tiny training."""

    def __init__(self, folder: Path, program: list[str], env: dict[str, str]) -> None:
        self.folder, self.program, self.env = folder, program, env
        self._printed: dict[tuple[str, ...], str] = {}  # two guides may begin with the same commands
        make_recordings(folder / "recordings")
        make_talk(folder / "talk.flac")

    def run(self, arguments: list[str]) -> str:
        """What the command printed."""
        words = without_microphone(arguments, "talk.flac")
        if words is None:
            return ""
        words = [*words, *TINY.get(words[0], [])]
        if tuple(words) not in self._printed:
            done = subprocess.run(
                [*self.program, *words],
                cwd=self.folder,
                env=self.env,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, f"stream-classify {' '.join(words)}\n{done.stderr}"
            self._printed[tuple(words)] = done.stdout
        return self._printed[tuple(words)]


def walk_to_a_model(walker: Walker, guide: str) -> None:
    """From recordings to listening, as the guide prints it."""
    steps = marked(guide, "walk")
    names = [words[0] for words in steps]
    order = [names.index(name) for name in ("train", "export", "verify", "evaluate")]
    assert order == sorted(order), names
    assert any(words[0] == "--model" for words in steps), "the walk ends with listening"
    for words in steps:
        if words[0] == "--model":
            printed = walker.run([*words, "--scores"])
            assert '"type":"scores"' in printed
        else:
            printed = walker.run(words)
        if words[0] == "evaluate" and "--json" not in words:
            accuracy = re.search(r"^accuracy\s+([\d.]+)", printed, flags=re.MULTILINE)
            assert accuracy, printed
            assert float(accuracy[1]) > 0.6


@pytest.mark.torch
@pytest.mark.timeout(900)
def test_the_walk_from_recordings_to_live(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    walker = Walker(tmp_path, COMMAND, environment(HOME=str(tmp_path)))
    for guide in ("README.md", TRAINING):
        walk_to_a_model(walker, guide)


def test_the_first_two_commands_are_install_and_run() -> None:
    """The README's way in: what `.ci/run` and the long walk do, and the demo."""
    (block,) = [block for block in blocks("sh") if block.mark == "install"]
    install, run = block.code.strip().splitlines()
    assert install == "python3 -m venv .venv && .venv/bin/pip install ."
    assert lines_of(block) == [["--demo"]]
    assert run.startswith(".venv/bin/")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_walk_with_the_wheel_in_a_fresh_environment(tmp_path: Path) -> None:
    """Install, listen, train, export, verify, evaluate: nothing comes from this tree but the wheel."""
    pytest.importorskip("torch")
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path / "wheel"), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert built.returncode == 0, built.stderr
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh" / "bin" / "python"
    wheel = next((tmp_path / "wheel").glob("*.whl"))
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", str(wheel)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    # The export extra is taken from the environment of the tests: its packages only, behind the fresh ones.
    site = next((tmp_path / "fresh" / "lib").glob("python*/site-packages"))
    (site / "extra.pth").write_text(sysconfig.get_path("purelib") + "\n")
    home = tmp_path / "home"
    home.mkdir()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HOME": str(home)}
    walker = Walker(home, [str(tmp_path / "fresh" / "bin" / "stream-classify")], env)
    where = subprocess.run(
        [str(python), "-c", "import stream, export; print(stream.__file__, export.__file__)"],
        cwd=home,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert str(ROOT) not in where.stdout
    assert where.stdout.count(str(site)) == 2, where.stdout + where.stderr
    heard = walker.run(["--demo", "--fast", "--jsonl"])
    assert {"speech", "music", "noise"} <= set(re.findall(r'"label":"(\w+)"', heard))
    for guide in ("README.md", LISTENING):
        for block in blocks("sh"):
            if block.guide == guide and not block.mark:
                for words in lines_of(block):
                    walker.run(words)
    walk_to_a_model(walker, "README.md")
    walk_to_a_model(walker, TRAINING)
