"""A Dockerfile carried out without Docker: its steps in order, on a folder that stands for the image.

What it says is done: commands are run, files are copied, stages are kept apart, and what is left out is missing.
Three things are different. The Python is the one of the tests, and takes packages that it has from there. Packages of
Debian are only looked for. The user is not changed.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

RUN_SECONDS = 500
MAPPED = ("opt", "source", "var", "etc", "srv", "usr/local")  # folders of the image that steps may write to


@dataclass
class Image:
    """What the last stage came to.

    Attributes:
        root: stands for ``/``.
        base: what it is made from.
        env: variables.
        folder: working directory, in the image.
        user: who runs.
        exposed, volumes: as declared.
        entrypoint, command, health: words.
        within: words before those of a command that is to run in the image; none where it runs as a child of the tests.
    """

    root: Path
    base: str = ""
    env: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "root"
    exposed: list[int] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    within: tuple[str, ...] = ()

    def place(self, path: str) -> Path:
        """Where a path of the image lies here."""
        return self.root / str(PurePosixPath(self.folder, path)).lstrip("/")

    def environment(self, base: dict[str, str]) -> dict[str, str]:
        """For a process in the image."""
        return base | {name: _on_the_host(value, self.root) for name, value in self.env.items()}


def instructions(text: str) -> list[tuple[str, str]]:
    """Name and rest of each instruction, continuation lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in joined)]


def build_image(dockerfile: Path, context: Path, folder: Path) -> Image:
    """Carry out all steps.

    Args:
        dockerfile: beside it may lie what is left out of the context, as ``NAME.dockerignore``.
        context: copied from.
        folder: empty; what is built lies there.
    """
    ignored = Path(f"{dockerfile}.dockerignore").read_text().split()
    tools = folder / "tools"
    tools.mkdir()
    (tools / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (tools / "python").chmod(0o755)
    stages: dict[str, Path] = {}
    image = Image(folder / "image")
    name = ""
    for instruction, rest in instructions(dockerfile.read_text()):
        if instruction == "FROM":
            if image.root.exists():  # what the next stage wants of this one, it must copy
                stages[name] = folder / f"stage-{name}"
                image.root.rename(stages[name])
            words = rest.split()
            name = words[2] if len(words) == 3 else ""
            image = Image(folder / "image", base=words[0])
            image.root.mkdir()
        elif instruction == "RUN":
            _run(rest, image, tools)
        elif instruction == "COPY":
            _copy(shlex.split(rest), image, context, stages, ignored)
        elif instruction == "WORKDIR":
            image.folder = str(PurePosixPath(image.folder, rest))
            image.place(".").mkdir(parents=True, exist_ok=True)
        elif instruction == "ENV":
            for word in shlex.split(rest):
                variable, _, value = word.partition("=")
                image.env[variable] = value.replace("$PATH", os.environ["PATH"])
        elif instruction == "HEALTHCHECK":
            image.health = json.loads(rest.partition(" CMD ")[2])
        elif instruction in ("ENTRYPOINT", "CMD"):
            setattr(image, {"CMD": "command"}.get(instruction, "entrypoint"), json.loads(rest))
        elif instruction == "USER":
            image.user = rest
        elif instruction == "EXPOSE":
            image.exposed.append(int(rest))
        elif instruction == "VOLUME":
            image.volumes.append(rest)
        else:
            assert instruction == "STOPSIGNAL", f"{instruction}: not known here"
    return image


def _run(line: str, image: Image, tools: Path) -> None:
    env = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env.pop("PYTHONPATH", None)
    done: list[str] = []
    for command in re.split(r"\s+&&\s+", line):
        words = shlex.split(command)
        if words[0] == "apt-get":
            _look_for_packages(words)
            continue
        if words[0] == "useradd":
            continue
        if words[:2] == ["install", "--directory"]:  # for a user that there is none of here
            image.place(words[-1]).mkdir(parents=True)
            continue
        done.append(command)
        said = subprocess.run(
            ["bash", "-euc", _on_the_host(command, image.root)],
            cwd=image.place("."),
            env=image.environment(env),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
        assert said.returncode == 0, f"{command}\n{said.stdout}{said.stderr}"
        for packages in image.root.glob("opt/*/lib/python*/site-packages"):
            (packages / "of-the-tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n")


def _look_for_packages(words: list[str]) -> None:
    if words[1] != "install" or shutil.which("apt-cache") is None:
        return
    for name in words[2:]:
        if not name.startswith("-"):
            done = subprocess.run(["apt-cache", "policy", name], capture_output=True, text=True, timeout=60)
            assert "Candidate:" in done.stdout, f"Debian has no package {name}"


def _copy(words: list[str], image: Image, context: Path, stages: dict[str, Path], ignored: list[str]) -> None:
    origin = context
    if words[0].startswith("--from="):
        origin = stages[words.pop(0).removeprefix("--from=")]
    *sources, target = words
    place = image.place(target)
    for source in sources:
        if origin == context:
            assert f"!{source}" in ignored, f"{source} is kept out of the context"
        found = origin / source.lstrip("/")
        if found.is_dir():
            shutil.copytree(
                found, place, symlinks=True, ignore=_ignoring(ignored if origin == context else [])
            )
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, place)


def _ignoring(patterns: list[str]) -> object:
    everywhere = [pattern.removeprefix("**/") for pattern in patterns if pattern.startswith("**/")]

    def ignore(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in everywhere)}

    return ignore


def _on_the_host(text: str, root: Path) -> str:
    """The text with paths of the image as paths of this machine."""
    return re.sub(rf"(?<![\w.*-])/(?=(?:{'|'.join(MAPPED)})(?:/|\b))(?!usr/local/s?bin)", f"{root}/", text)
