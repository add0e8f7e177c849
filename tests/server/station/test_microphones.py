"""Microphones of a station, on a real sound server: one is unplugged, another goes on to the bit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stream.assembly import make_classifier
from stream.capture.device.lookup import DeviceInfo, refresh, resolve_device
from stream.errors import DeviceNotFound
from stream.messages import Chunk, Result, Status
from stream.recording import merge
from stream.server.station import SourceSpec
from tests.support.command import wait_for
from tests.support.pulse import PulseServer, virtual_microphone
from tests.support.stations import reader, station, toy_model, wait_for_state

pytest.importorskip("pulsectl", reason="pulsectl is for Linux")
pytestmark = pytest.mark.pulse


@pytest.fixture
def server() -> Iterator[PulseServer]:
    with pytest.MonkeyPatch.context() as patch, virtual_microphone(patch) as running:
        yield running


def plug(server: PulseServer, name: str) -> str:
    """Load a microphone that hears noise; the number of its module."""
    number = server.pactl(
        "load-module", "module-null-sink", f"sink_name={name}_sink", "norewinds=1",
        f"sink_properties=device.description={name.title()}Mic",
    )  # fmt: skip
    path = Path(server.env["HOME"]) / f"{name}.wav"
    noise = 0.1 * np.random.default_rng(len(name)).standard_normal(48_000 * 60)
    soundfile.write(path, noise, 48_000)
    player = subprocess.Popen(
        ["paplay", f"--device={name}_sink", str(path)], env={**os.environ, **server.env}
    )
    server._players.append(player)
    return number


class Everything:
    """A sink that keeps sound and results."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.results: list[Result] = []

    def chunk(self, chunk: Chunk) -> None:
        self.chunks.append(Chunk(chunk.samples.copy(), chunk.start, chunk.sample_rate, missing=chunk.missing))

    def result(self, result: Result) -> None:
        self.results.append(result)

    def status(self, status: Status) -> None:
        pass

    def close(self) -> None:
        pass

    @property
    def seconds(self) -> float:
        return sum(len(chunk.samples) / chunk.sample_rate for chunk in self.chunks)


def microphone(name: str) -> SourceSpec:
    return reader().read_source({"name": name, "device": f"{name}mic"})


def test_one_is_unplugged_and_comes_back_and_another_goes_on_to_the_bit(server: PulseServer) -> None:
    numbers = {name: plug(server, name) for name in ("kitchen", "garden")}
    kept: dict[str, list[Everything]] = {"kitchen": [], "garden": []}

    def beside(spec: SourceSpec) -> list[Any]:
        kept[spec.name].append(Everything())
        return kept[spec.name][-1:]

    with station([microphone("kitchen"), microphone("garden")], beside=beside) as (made, _):
        for name in kept:
            wait_for(lambda name=name: bool(kept[name]) and kept[name][-1].seconds > 0.5, f"sound of {name}")  # type: ignore[misc]
        steady = kept["garden"][-1]
        server.pactl("unload-module", numbers["kitchen"])
        wait_for_state(made, "kitchen", "recovering", "silent")
        heard = steady.seconds
        wait_for(lambda: steady.seconds > heard + 0.5, "the garden to be heard meanwhile")
        assert made.source("garden").glance().state == "listening"
        plug(server, "kitchen")
        wait_for_state(made, "kitchen", "listening")
        assert made.source("kitchen").glance().restarts == 0  # it recovers within its run
    assert len(kept["garden"]) == 1
    alone = make_classifier(toy_model(), microphone("garden"))
    want = merge([*map(alone.push, steady.chunks), alone.flush()], alone)
    got = merge(steady.results, alone)
    np.testing.assert_array_equal(got.scores.probs, want.scores.probs)
    assert (got.events, got.gaps) == (want.events, want.gaps)


def test_one_that_is_not_there_at_the_start_is_heard_once_it_is_plugged_in(server: PulseServer) -> None:
    plug(server, "garden")
    with station([microphone("late"), microphone("garden")]) as (made, _):
        wait_for_state(made, "garden", "listening")
        wait_for(lambda: made.source("late").glance().restarts > 0, "another start")
        assert "none has that in its name" in made.source("late").glance().error
        plug(server, "late")
        wait_for_state(made, "late", "listening")


def test_microphones_are_looked_for_again_when_the_sound_server_comes_later(server: PulseServer) -> None:
    server.stop()
    assert resolved() is None
    with station([reader().read_source({"name": "any"})]) as (made, _):
        wait_for(lambda: made.source("any").glance().restarts > 0, "another start")
        assert "no microphone is there" in made.source("any").glance().error
        server.start()
        wait_for_state(made, "any", "listening", "silent")


def resolved() -> DeviceInfo | None:
    """The default microphone, after a new look; None where there is none."""
    refresh()
    try:
        return resolve_device(None)
    except DeviceNotFound:
        return None
