"""A closed source says so: for every kind."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream import ArraySource, AudioSource, ClosedError, FileSource, Microphone
from stream.capture.network.network_source import NetworkSource
from stream.capture.simulate import SimulatedSource
from stream.capture.stdin import StdinSource
from tests.capture.test_network import folder, server
from tests.support.pulse import PulseServer


def refuses_once_closed(source: AudioSource, name: str) -> None:
    begun = iter(source)
    next(begun)
    source.close()
    source.close()
    assert list(begun) == [], "an iteration that had begun just ends"
    with pytest.raises(ClosedError, match=rf"{name} was closed: open it again") as caught:
        iter(source)
    assert "\n" not in str(caught.value)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    return tmp_path / "a.wav"


def test_sources_without_a_device(recording: Path) -> None:
    refuses_once_closed(ArraySource(np.zeros(5000), 16_000), "array")
    refuses_once_closed(FileSource(recording), "a.wav")
    refuses_once_closed(StdinSource(io.BytesIO(bytes(99_999)), sample_rate=16_000), "standard input")
    refuses_once_closed(SimulatedSource("sim:tone?loop=forever"), "sim:tone")
    refuses_once_closed(SimulatedSource(f"sim:{recording}?loop=forever"), f"sim:{recording}")


def test_a_network_stream(recording: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'stream-classify[network]'")
    with server(folder(recording.parent)) as address:
        refuses_once_closed(NetworkSource(address + "a.wav"), address + "a.wav")


@pytest.mark.pulse
def test_a_microphone(virtual_mic: PulseServer) -> None:
    refuses_once_closed(Microphone("pulse"), "pulse")
    microphone = Microphone("pulse")
    microphone.close()
    with pytest.raises(ClosedError):
        microphone.__enter__()
