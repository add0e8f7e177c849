"""A real Ray with two replicas: streams as if alone, one replica killed, all replaced, and none of them lost sound."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.inference.session import Model
from stream.messages import Chunk
from stream.server.socket.endpoint import CHECKPOINT_SECONDS
from tests.support.command import DEADLINE_SECONDS, wait_for
from tests.support.extras import needs
from tests.support.stream_peer import Offline, as_s16, from_s16, lively_rules, noise, told_events
from tests.support.toy_models import toy_bytes, toy_card

needs("ray", "starlette", "uvicorn", "websockets")

from tests.support.ray_station import RATE, RayStation, Spoken, kill, ray_station, speak_during  # noqa: E402

STREAMS = 6


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    path.write_bytes(toy_bytes(toy_card(detector=lively_rules())))
    return path


@pytest.fixture(scope="module")
def station(model_file: Path) -> Iterator[RayStation]:
    with ray_station("--replicas", "2", "--model", str(model_file), "--limit", "drain_seconds=3") as station:
        yield station


@pytest.fixture(scope="module")
def model(model_file: Path) -> Model:
    return Model.load(model_file, "cpu")


@pytest.fixture(scope="module")
def sounds() -> list[bytes]:
    return [as_s16(noise(20, seed=seed)) for seed in range(STREAMS)]


def assert_nothing_lost(spoken: Spoken, model: Model) -> None:
    """Rows, events and indices are those of one pass over all that was sent."""
    offline = Offline(model, [Chunk(from_s16(spoken.sent), 0, RATE)])
    assert (spoken.end["lost"], spoken.end["left_out"]) == (0, 0)
    assert spoken.end["position"] == len(spoken.sent) // 2
    assert spoken.end["checksum"] == offline.checksum
    assert told_events(spoken.messages) == offline.told


def test_a_replica_is_killed_and_its_streams_go_on_in_the_other(
    station: RayStation, model: Model, sounds: list[bytes]
) -> None:
    station.wait_until_spread()
    first, *_ = station.replicas

    def die() -> None:
        wait_for(lambda: sum(station.figures("stream_classify_streams").values()) == STREAMS, "all streams")
        assert len(station.figures("stream_classify_streams")) == 2
        kill(first)

    spoken = speak_during(station.url, sounds, die, seconds=3)
    moved = [each for each in spoken if len(each.readies) > 1]
    assert 0 < len(moved) < STREAMS
    for each in spoken:
        assert_nothing_lost(each, model)
    assert first not in station.replicas


@pytest.mark.long
def test_every_replica_is_replaced_and_no_sound_is_lost(
    station: RayStation, model: Model, sounds: list[bytes]
) -> None:
    station.wait_until_running(2)
    before = set(station.replicas)
    spoken = speak_during(station.url, sounds, station.replace)
    assert before.isdisjoint(station.replicas)
    for each in spoken:
        assert len(each.readies) > 1
        assert_nothing_lost(each, model)


@pytest.mark.long
def test_where_streams_wait_dies_first_and_a_replica_then(
    station: RayStation, model: Model, sounds: list[bytes]
) -> None:
    station.wait_until_running(2)

    def die() -> None:
        (shelf,) = station.processes("Shelf")
        kill(shelf)
        wait_for(lambda: set(station.processes("Shelf")) - {shelf} != set(), "another shelf")
        saved = 2.5 * CHECKPOINT_SECONDS
        threading.Event().wait(saved)  # until it has every stream again
        kill(station.replicas[0])

    for spoken in speak_during(station.url, sounds, die, seconds=4):
        assert_nothing_lost(spoken, model)


@pytest.mark.long
def test_the_same_without_haproxy(model_file: Path, model: Model, sounds: list[bytes]) -> None:
    words = ("--replicas", "2", "--model", str(model_file), "--limit", "drain_seconds=3")
    with ray_station(*words, RAY_SERVE_ENABLE_HA_PROXY="0") as station:
        for spoken in speak_during(station.url, sounds, lambda: kill(station.replicas[0]), seconds=4):
            assert_nothing_lost(spoken, model)
        station.wait_until_running(2)
        for spoken in speak_during(station.url, sounds, station.replace):
            assert len(spoken.readies) > 1
            assert_nothing_lost(spoken, model)
        assert station.stop() == 0


@pytest.mark.long
def test_nothing_is_left_of_one_that_is_killed(model_file: Path) -> None:
    with ray_station("--replicas", "1", "--model", str(model_file)) as station:
        kill(station.child.pid)
        station.child.wait(DEADLINE_SECONDS)

        def free() -> bool:
            with socket.socket() as asking:
                return asking.connect_ex(("127.0.0.1", station.port)) != 0

        wait_for(free, "the port to be free")


@pytest.mark.long
def test_replicas_come_with_the_streams(model_file: Path, model: Model, sounds: list[bytes]) -> None:
    words = (
        "--replicas",
        "1..2",
        "--max-streams",
        "6",
        "--model",
        str(model_file),
        "--limit",
        "drain_seconds=3",
    )
    with ray_station(*words) as station:
        assert len(station.replicas) == 1
        spoken = speak_during(station.url, sounds, lambda: station.wait_until_running(2))
        station.wait_until_said("2 replicas run")
    for each in spoken:
        assert len(each.readies) == 1
        assert_nothing_lost(each, model)
