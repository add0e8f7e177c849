"""PulseAudio's microphones by name: listed, opened, told apart, and found again; against a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream import DeviceAmbiguous, DeviceNotFound
from stream.capture.device.lookup import list_devices, named_sources, resolve_device
from stream.capture.device.microphone import Microphone
from stream.capture.device.sound_server import server_sources
from stream.messages import Chunk
from tests.support.pulse import PulseServer, until, virtual_microphone

pytest.importorskip("pulsectl", reason="pulsectl is for Linux")
pytestmark = pytest.mark.pulse
TONES = {"kitchen": 440.0, "garden": 1760.0}


@pytest.fixture(scope="module")
def server() -> Iterator[PulseServer]:
    """Two microphones beside the default one, each with a tone of its own."""
    with pytest.MonkeyPatch.context() as patch, virtual_microphone(patch) as running:
        for name in TONES:
            plug(running, name)
        yield running


def plug(server: PulseServer, name: str) -> str:
    """Load a microphone that hears a tone; the numbers of its modules."""
    number = server.pactl(
        "load-module", "module-null-sink", f"sink_name={name}_sink", "norewinds=1",
        f"sink_properties=device.description={name.title()}Mic",
    )  # fmt: skip
    path = Path(server.env["HOME"]) / f"{name}.wav"
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * TONES[name] * np.arange(48_000 * 60) / 48_000), 48_000)
    player = subprocess.Popen(
        ["paplay", f"--device={name}_sink", str(path)], env={**os.environ, **server.env}
    )
    server._players.append(player)
    return number


def pitch(microphone: Microphone) -> float:
    """Hz of the loudest partial of a second of sound."""
    held: list[np.ndarray] = []

    def enough(chunk: Chunk) -> bool:
        if len(chunk.samples) and np.abs(chunk.samples).max() > 0.05:
            held.append(chunk.samples)
        return sum(map(len, held)) > microphone.sample_rate // 2

    until(iter(microphone), enough)
    sound = np.concatenate(held)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * microphone.sample_rate / len(sound))


def test_they_are_listed_with_their_names(server: PulseServer) -> None:
    names = {source.name: source for source in server_sources()}
    assert {"kitchen_sink.monitor", "garden_sink.monitor"} <= set(names)
    assert sum(source.is_default for source in names.values()) == 1
    devices = named_sources(list_devices())
    assert len({device.index for device in devices}) == 1
    done = subprocess.run(
        [sys.executable, "-m", "stream", "--list-devices"],
        capture_output=True, text=True, timeout=60, env={**os.environ, **server.env},
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if "kitchen_sink" in line)
    assert "KitchenMic" in line
    assert "give --device a part of the name" in done.stderr


@pytest.mark.parametrize("name", TONES)
@pytest.mark.parametrize("how", ["{}", "{}mic", "{}_sink.monitor"])
def test_the_one_that_was_named_is_heard(server: PulseServer, name: str, how: str) -> None:
    with Microphone(how.format(name)) as microphone:
        assert pitch(microphone) == pytest.approx(TONES[name], abs=10)
        assert name.title() in microphone.info().name
    assert "PULSE_SOURCE" not in os.environ


def test_two_at_a_time(server: PulseServer) -> None:
    with Microphone("kitchen") as one, Microphone("garden") as other:
        assert pitch(other) == pytest.approx(TONES["garden"], abs=10)
        assert pitch(one) == pytest.approx(TONES["kitchen"], abs=10)


def test_the_next_one_goes_on_with_the_same_stream(server: PulseServer) -> None:
    """Round and round, without closing: each change is a gap of a known length."""
    with Microphone("kitchen") as microphone:
        assert pitch(microphone) == pytest.approx(TONES["kitchen"], abs=10)
        heard: dict[str, float] = {}
        ends: list[int] = []
        for _ in range(len(server_sources())):
            name = microphone.move_to_next()
            assert microphone.info().name == name
            log: list[Chunk] = []
            chunks = iter(microphone)
            until(chunks, lambda chunk: chunk.state == "recovering", log)
            until(
                chunks, lambda chunk: chunk.state in ("listening", "silent") and len(chunk.samples) > 0, log
            )
            ends.append(log[-1].end)
            assert f"changing to {name}" in {chunk.detail for chunk in log}
            if "Mic" in name:
                heard[name] = pitch(microphone)
    assert heard == {
        "Monitor of KitchenMic": pytest.approx(TONES["kitchen"], abs=10),
        "Monitor of GardenMic": pytest.approx(TONES["garden"], abs=10),
    }
    assert ends == sorted(ends)


def test_names_that_do_not_tell(server: PulseServer) -> None:
    with pytest.raises(DeviceAmbiguous, match=r"KitchenMic.*GardenMic|GardenMic.*KitchenMic"):
        resolve_device("mic sink")
    with pytest.raises(DeviceNotFound, match="none has that in its name"):
        resolve_device("cellar")
    assert resolve_device("pulse").source == ""  # as it was


def test_one_that_leaves_is_gone_and_found_again(server: PulseServer) -> None:
    """The server would go on with another microphone; what it hears is nobody's kitchen."""
    number = next(
        line.split()[0] for line in server.pactl("list", "short", "modules").splitlines() if "kitchen" in line
    )
    with Microphone("kitchen") as microphone:
        assert pitch(microphone) == pytest.approx(TONES["kitchen"], abs=10)
        server.pactl("unload-module", number)
        chunks = iter(microphone)
        until(chunks, lambda chunk: chunk.state == "recovering")
        plug(server, "kitchen")
        until(chunks, lambda chunk: chunk.state == "listening" and len(chunk.samples) > 0)
        assert pitch(microphone) == pytest.approx(TONES["kitchen"], abs=10)
