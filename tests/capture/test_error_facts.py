"""What errors say to programs: docstrings, and the facts behind the one line."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

from stream import DeviceAmbiguous, DeviceNotFound, UnreadableAudio, UnsupportedRate, errors, open_source
from stream.capture.device import lookup, portaudio
from stream.capture.device.lookup import DeviceInfo, choose_rate, list_devices, resolve_device
from stream.errors import BackendMissing, DeviceBusy, StreamClassifyError

KINDS = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]
DESK = [
    DeviceInfo(i, name, "ALSA", 2, 48_000, False) for i, name in enumerate(["usb one", "usb two", "line"])
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_says_what_happened_and_what_to_do(kind: type[StreamClassifyError]) -> None:
    assert kind.__doc__
    assert kind.__doc__ is not StreamClassifyError.__doc__ or kind is StreamClassifyError
    assert str(kind("one line")) == "one line"


def test_devices_that_there_are() -> None:
    with pytest.raises(DeviceAmbiguous) as several:
        resolve_device("usb", DESK)
    assert several.value.candidates == tuple(DESK[:2])
    for query in ("camera", 7):
        with pytest.raises(DeviceNotFound) as none:
            resolve_device(query, DESK)
        assert none.value.available == tuple(DESK)


def test_rates_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "records_at", lambda device, rate, channels: rate in (16_000, 48_000))
    with pytest.raises(UnsupportedRate) as caught:
        choose_rate(DESK[0], 44_100, 1)
    assert (caught.value.sample_rate, caught.value.supported) == (44_100, (16_000, 48_000))


def test_what_is_busy_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = portaudio.explain(Exception("Device unavailable", -9985), "usb one")
    assert isinstance(busy, DeviceBusy)
    assert busy.device == "usb one"
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
    with pytest.raises(BackendMissing) as caught:
        list_devices()
    assert caught.value.backend == "sounddevice"


def test_the_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no sound")
    for name in ("empty.wav", "text.wav", "none.wav"):
        with pytest.raises(UnreadableAudio) as caught:
            open_source(str(tmp_path / name))
        assert caught.value.path == str(tmp_path / name)


@pytest.mark.parametrize(
    ("error", "fact"),
    [
        (DeviceAmbiguous("x", candidates=tuple(DESK)), "candidates"),
        (UnsupportedRate("x", sample_rate=1, supported=(2,)), "supported"),
        (UnreadableAudio("x", path="a.wav"), "path"),
    ],
)
def test_facts_cross_processes(error: StreamClassifyError, fact: str) -> None:
    again: Any = pickle.loads(pickle.dumps(error))
    assert str(again) == "x"
    assert getattr(again, fact) == getattr(error, fact)
