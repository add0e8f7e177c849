"""The compose example fits the program and its image, and its broker, run with its own file, hears its station."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from stream.cli.serve import DEFAULT_PORT
from tests.support.command import environment, running, start, wait_for
from tests.support.dockerfile import instructions
from tests.support.extras import needs
from tests.support.guides import check_arguments
from tests.support.mosquitto import Listener, answers, free_port, needs_mosquitto

needs("yaml", "starlette", "uvicorn", "prometheus_client")
needs_mosquitto()
ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "assets"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load((ASSETS / "compose.yaml").read_text())
    return found


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Path in the container -> what lies there."""
    return {target: source for source, target in (each.split(":")[:2] for each in service["volumes"])}


def test_its_files_and_volumes_are_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    used = set()
    for service in services.values():
        for source in mounts(service).values():
            if source.startswith("."):
                assert (ASSETS / source).is_file(), source
            else:
                used.add(source)
        assert set(service.get("depends_on", [])) <= set(services)
        assert service["restart"] == "unless-stopped"
    assert used == set(compose["volumes"])
    build = services["station"]["build"]
    assert (ASSETS / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()


def test_its_station_is_what_the_image_and_the_program_take(compose: dict[str, Any]) -> None:
    station = compose["services"]["station"]
    declared = dict(instructions((ASSETS / "Dockerfile").read_text()))
    (port,) = station["ports"]
    assert port == f"{DEFAULT_PORT}:{declared['EXPOSE']}"
    assert mounts(station)[declared["VOLUME"]] == "station"
    command = station["command"]
    assert command[: len(json.loads(declared["CMD"]))] == json.loads(declared["CMD"])
    check_arguments(command)
    settings = command[command.index("--settings") + 1]
    assert mounts(station)[settings] == "./station.toml"
    assert station["read_only"]
    assert station["cap_drop"] == ["ALL"]
    assert PurePosixPath("/tmp") in map(PurePosixPath, station["tmpfs"])


def test_the_commands_in_its_head_are_the_programs(compose: dict[str, Any]) -> None:
    text = "\n".join((ASSETS / name).read_text() for name in ("compose.yaml", "Dockerfile")).replace(
        "\\\n#", ""
    )
    found = re.findall(r"^# .*?(?:--rm station|stream-classify) +(serve .*)$", text, flags=re.M)
    assert len(found) == 2
    for line in found:
        check_arguments(line.split())


def test_its_broker_is_only_this_machines(compose: dict[str, Any]) -> None:
    broker = compose["services"]["broker"]
    (port,) = broker["ports"]
    assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)
    assert f"listener {port.rsplit(':')[-1]}" in (ASSETS / "mosquitto.conf").read_text().splitlines()
    assert mounts(broker)["/mosquitto/config/mosquitto.conf"] == "./mosquitto.conf"
    (kept,) = re.findall(r"^persistence_location (.*)/$", (ASSETS / "mosquitto.conf").read_text(), flags=re.M)
    assert mounts(broker)[kept] == "broker"


def test_what_its_station_hears_reaches_its_broker(compose: dict[str, Any], tmp_path: Path) -> None:
    """With both files as they are, but for the broker's address and the folder of what it keeps."""
    port = free_port()
    config = (ASSETS / "mosquitto.conf").read_text()
    config = config.replace("listener 1883", f"listener {port} 127.0.0.1").replace(
        "/mosquitto/data/", f"{tmp_path}/"
    )
    (tmp_path / "mosquitto.conf").write_text(f"{config}user root\n")
    settings = (ASSETS / "station.toml").read_text()
    assert "mqtt://broker" in settings
    (tmp_path / "station.toml").write_text(settings.replace("mqtt://broker", f"mqtt://127.0.0.1:{port}"))
    command = [*compose["services"]["station"]["command"], "--port", "0"]
    command[command.index("--settings") + 1] = str(tmp_path / "station.toml")
    broker = subprocess.Popen(
        ["mosquitto", "-c", str(tmp_path / "mosquitto.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with running(broker):
        wait_for(lambda: answers(port), "the broker", broker)
        listener = Listener(port)
        try:
            token = start("serve", "--new-token", "x", "--token-file", "tokens", cwd=tmp_path)
            with running(token):
                token.communicate(timeout=60)
            with running(start(*command, cwd=tmp_path, env=environment(HOME=str(tmp_path)))) as station:
                wait_for(lambda: bool(listener.of("demo/event")), "an event", station)
                assert json.loads(listener.of("demo/event")[0])["label"] in ("speech", "music", "noise")
        finally:
            listener.close()
