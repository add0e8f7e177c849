"""The container: its Dockerfile makes a station that is healthy, closed to strangers, and has what compose gives it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import soundfile

from stream.cli.serve import DEFAULT_PORT
from stream.client import listen
from tests.support.command import DEADLINE_SECONDS, environment, running, wait_for
from tests.support.container import container, innermost, none_left_of, why_not
from tests.support.dockerfile import Image, build_image, instructions
from tests.support.extras import needs
from tests.support.mosquitto import free_port

needs("starlette", "uvicorn", "prometheus_client", "websockets")
ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "assets"
DOCKERFILE = ASSETS / "Dockerfile"


@pytest.fixture(scope="module", params=["steps", pytest.param("buildah", marks=pytest.mark.long)])
def image(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Image]:
    """Its steps carried out in a folder; and, where there are many minutes, a real one."""
    if request.param == "buildah":
        if (reason := why_not(DOCKERFILE)) is not None:
            pytest.skip(reason)
        with container(DOCKERFILE, ROOT) as built:
            yield built
        return
    if os.name != "posix" or shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    try:
        yield build_image(DOCKERFILE, ROOT, tmp_path_factory.mktemp("image"))
    except AssertionError as error:
        if "hatchling" in str(error) and "No matching distribution" in str(error):
            pytest.skip("hatchling cannot be fetched here; the image is not built")
        raise


@pytest.fixture
def env(image: Image) -> dict[str, str]:
    """As a container has it: no sound server, and nothing of this checkout. One has its own."""
    if image.within:
        return dict(os.environ)
    given = image.environment(environment())
    for name in ("PYTHONPATH", "PULSE_SERVER", "XDG_RUNTIME_DIR"):
        given.pop(name, None)
    return given


def in_the_image(image: Image, words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [*image.within, *words]
    return subprocess.run(
        words, cwd=image.place("."), env=env, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )


def test_its_station_is_healthy_and_closed_to_strangers(image: Image, env: dict[str, str]) -> None:
    made = in_the_image(
        image,
        [
            *image.entrypoint,
            "serve",
            "--new-token",
            "phone",
            "--scopes",
            "read,listen",
            "--token-file",
            "tokens",
        ],
        env,
    )
    assert made.returncode == 0, made.stderr
    port = free_port()
    health = [word.replace(str(DEFAULT_PORT), str(port)) for word in image.health]
    assert in_the_image(image, health, env).returncode != 0
    words = [*image.within, *image.entrypoint, *image.command, "--port", str(port)]
    child = subprocess.Popen(
        words, cwd=image.place("."), env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    with running(child), none_left_of(child.pid):
        wait_for(lambda: in_the_image(image, health, env).returncode == 0, "health", child)
        url = f"http://127.0.0.1:{port}/v1/model"
        with pytest.raises(HTTPError, match="401"):
            urlopen(url, timeout=DEADLINE_SECONDS)
        asked = Request(url, headers={"Authorization": f"Bearer {made.stdout.strip()}"})
        with urlopen(asked, timeout=DEADLINE_SECONDS) as answer:
            assert json.load(answer)
        assert "speech" in heard_in_the_demo(port, made.stdout.strip())
        station = innermost(child.pid) if image.within else child.pid
        if image.within:
            assert f"\nUid:\t{image.user}\t" in Path(f"/proc/{station}/status").read_text()
        os.kill(station, signal.SIGTERM)
        _, said = child.communicate(timeout=DEADLINE_SECONDS)
        assert child.returncode == 0
    if not Path("/dev/snd").exists():
        assert b"no sound card" in said
    assert b"Traceback" not in said
    assert in_the_image(image, health, env).returncode != 0


def heard_in_the_demo(port: int, token: str) -> set[str]:
    """Classes that a stream from outside is told of."""
    sound, rate = soundfile.read(ASSETS / "demo.ogg", dtype="int16", frames=160_000)
    messages = listen(f"ws://127.0.0.1:{port}", [sound.tobytes()], rate=rate, scores=0, token=token)
    return {each["record"]["label"] for each in messages if each["type"] == "event"}


def test_it_has_the_compiled_kernel_the_models_and_no_sources(image: Image, env: dict[str, str]) -> None:
    (package,) = image.root.glob("opt/stream-classify/lib/python*/site-packages/stream")
    assert (package / "features" / "native" / "_mfcc.so").is_file()
    assert (package / "_assets" / "default.onnx").is_file()
    assert not image.place("/source").exists()
    proven = in_the_image(image, ["stream-classify", "verify", "small"], env)
    assert proven.returncode == 0, proven.stderr


def test_it_runs_as_nobody_in_particular_on_a_python_that_fits(image: Image) -> None:
    (created,) = [rest for name, rest in instructions(DOCKERFILE.read_text()) if "useradd" in rest]
    assert image.user == re.findall(r"--uid (\d+)", created)[0]
    assert int(image.user) > 1000
    (version,) = re.findall(r"^python:3\.(\d+)-slim$", image.base)
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert f"Programming Language :: Python :: 3.{version}" in classifiers
    assert image.exposed == [DEFAULT_PORT]
    assert str(DEFAULT_PORT) in image.health[-1]
    assert image.volumes == [image.folder]


def test_the_extras_are_those_of_a_station(image: Image) -> None:
    (extras,) = re.findall(r"/source\[(.*?)\]", DOCKERFILE.read_text())
    assert extras.split(",") == ["server", "network", "mqtt"]
    assert set(extras.split(",")) <= set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )


def engine() -> str | None:
    """A program that builds images and runs them apart from this machine, if one works here."""
    for name in ("docker", "podman"):
        if (
            shutil.which(name)
            and subprocess.run([name, "info"], capture_output=True, timeout=60).returncode == 0
        ):
            return name
    return None


@pytest.mark.long
def test_a_container_engine_builds_it() -> None:
    name = engine()
    if name is None:
        pytest.skip("no docker or podman that works here")
    done = subprocess.run(
        [name, "build", "-f", str(DOCKERFILE), "-t", "stream-classify-test", str(ROOT)],
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    heard = subprocess.run(
        [name, "run", "--rm", "stream-classify-test", "--demo", "--fast", "--jsonl"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert '"label":"speech"' in heard.stdout, heard.stderr
