"""An image built from a Dockerfile by buildah, which needs no daemon, and a container of it.

Commands run in the files of the image as its user, and see processes and network of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.dockerfile import Image, instructions

BUILD_SECONDS = 1500
_REGISTRY = "docker.io/library/"  # what a name without one is looked for in


def why_not(dockerfile: Path) -> str | None:
    """Why buildah cannot build the image here; None if it can. May fetch what it is made from."""
    if shutil.which("buildah") is None:
        return "buildah is not installed"
    if os.geteuid() != 0:
        return "buildah is tried as root alone"
    for name in {rest.split()[0] for word, rest in instructions(dockerfile.read_text()) if word == "FROM"}:
        if (
            _said("images", "--quiet", f"{_REGISTRY}{name}") is None
            and _said("pull", "--quiet", name) is None
        ):
            return f"{name} is not in buildah's storage, and cannot be fetched"
    return None


@contextmanager
def container(dockerfile: Path, context: Path) -> Iterator[Image]:
    """Build, and keep a container for a block; nothing of it stays in buildah's storage."""
    tag = f"stream-classify-test-{os.getpid()}"
    # The other format, which is buildah's own choice, has no health check.
    how = ("--format", "docker", "--isolation", "chroot", "--pull-never")
    name = ""
    try:
        _done("build", *how, "-f", str(dockerfile), "-t", tag, str(context))
        name = _done("from", "--pull-never", tag).strip()
        yield _image(dockerfile, tag, name)
    finally:
        if name:
            _said("umount", name)
            _said("rm", name)
        _said("rmi", tag)


def _image(dockerfile: Path, tag: str, name: str) -> Image:
    """As buildah understood the Dockerfile."""
    config: dict[str, Any] = json.loads(_done("inspect", "--type", "image", tag))["Docker"]["config"]
    *_, base = [rest for word, rest in instructions(dockerfile.read_text()) if word == "FROM"]
    kind, *health = config["Healthcheck"]["Test"]
    assert kind == "CMD", kind
    return Image(
        root=Path(_done("mount", name).strip()),
        base=base,
        env=dict(each.split("=", 1) for each in config["Env"]),
        folder=config["WorkingDir"],
        user=config["User"],
        exposed=[int(each.partition("/")[0]) for each in config["ExposedPorts"]],
        volumes=list(config["Volumes"]),
        entrypoint=config["Entrypoint"],
        command=config["Cmd"],
        health=health,
        within=("buildah", "run", "--isolation", "chroot", name, "--"),
    )


def innermost(pid: int) -> int:
    """The last child of a last child …: what buildah runs."""
    while children := _children(pid):
        pid = children[-1]
    return pid


@contextmanager
def none_left_of(pid: int) -> Iterator[None]:
    """What a process started is gone behind the block; when buildah is killed, it would go on."""
    try:
        yield
    finally:
        found = [pid]
        for each in found:
            found += _children(each)
        for each in reversed(found[1:]):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    lists = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            lists.append(path.read_text())
    return sorted(int(each) for each in " ".join(lists).split())


def _done(*words: str) -> str:
    done = subprocess.run(["buildah", *words], capture_output=True, text=True, timeout=BUILD_SECONDS)
    assert done.returncode == 0, f"buildah {' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def _said(*words: str) -> str | None:
    """The same; None where it fails."""
    try:
        return _done(*words)
    except AssertionError:
        return None
