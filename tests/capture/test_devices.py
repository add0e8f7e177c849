"""Which device is meant, and which one it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture.device import portaudio
from stream.capture.device.lookup import (
    COMMON_RATES_HZ,
    DeviceIdentity,
    DeviceInfo,
    choose_rate,
    list_devices,
    next_input,
    refresh,
    resolve_device,
)
from stream.capture.device.microphone import Microphone
from stream.errors import (
    BackendMissing,
    DeviceAmbiguous,
    DeviceBusy,
    DeviceError,
    DeviceNotFound,
    StreamClassifyError,
    UnsupportedRate,
)
from tests.support.pulse import PulseServer, until


def device(
    index: int, name: str, hostapi: str = "ALSA", inputs: int = 2, default: bool = False
) -> DeviceInfo:
    return DeviceInfo(index, name, hostapi, inputs, 48000, default)


DESK = [
    device(0, "HDA Intel: ALC (hw:0,0)", inputs=2),
    device(1, "HDMI (hw:0,3)", inputs=0),
    device(2, "USB Microphone: Audio (hw:1,0)", inputs=1),
    device(3, "USB Camera: Audio (hw:2,0)", inputs=1),
    device(4, "pulse", inputs=32),
    device(5, "pulse monitor", inputs=32),
    device(6, "default", inputs=32, default=True),
]

WORDS = ["usb", "USB", "mic", "Microphone", "hw:1,0", ",", "a", "audio", "alsa", "JACK", "pulse", "İ", "ß"]


@pytest.fixture(scope="module")
def sounddevice() -> Any:
    return pytest.importorskip("sounddevice", exc_type=OSError, reason="PortAudio is not installed")


@given(
    rows=st.lists(
        st.tuples(st.lists(st.sampled_from(WORDS), max_size=4), st.integers(0, 1), st.integers(0, 1)),
        max_size=6,
    ),
    query=st.lists(st.sampled_from(WORDS), max_size=3),
)
def test_names_mean_what_they_mean_to_sounddevice(
    sounddevice: Any, rows: list[tuple[list[str], int, int]], query: list[str]
) -> None:
    hosts = ["ALSA", "JACK Audio"]
    devices = [device(i, " ".join(name), hosts[host], inputs) for i, (name, host, inputs) in enumerate(rows)]
    text = " ".join(query)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sounddevice,
            "query_devices",
            lambda: [
                {
                    "name": d.name,
                    "hostapi": hosts.index(d.hostapi),
                    "max_input_channels": d.max_input_channels,
                }
                for d in devices
            ],
        )
        patch.setattr(sounddevice, "query_hostapis", lambda index: {"name": hosts[index]})
        expected = sounddevice._get_device_id(text, "input")
    try:
        found = resolve_device(text, devices).index
    except (DeviceNotFound, DeviceAmbiguous):
        found = -1
    assert found == expected


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (None, 6),
        (2, 2),
        (4, 4),
        ("usb mic", 2),
        ("USB CAM", 3),
        ("hw:2", 3),
        ("pulse", 4),
        ("Pulse, ALSA", 4),
    ],
)
def test_finds_the_device(query: int | str | None, index: int) -> None:
    assert resolve_device(query, DESK).index == index


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        (7, DeviceNotFound, "device 7: there is none of that number"),
        (-1, DeviceNotFound, "device -1"),
        (1, DeviceNotFound, "only plays"),
        ("hdmi", DeviceNotFound, "only plays"),
        ("mic usb", DeviceNotFound, "[2] USB Microphone: Audio (hw:1,0), ALSA; [3]"),
        (
            "usb",
            DeviceAmbiguous,
            "[2] USB Microphone: Audio (hw:1,0), ALSA; [3] USB Camera: Audio (hw:2,0), ALSA",
        ),
    ],
)
def test_says_why_there_is_none(query: int | str, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        resolve_device(query, DESK)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_input_at_all() -> None:
    with pytest.raises(DeviceNotFound, match="plug one in"):
        resolve_device(None, [device(0, "HDMI", inputs=0)])
    with pytest.raises(DeviceNotFound, match=r"no default microphone: choose one of \[0\] x"):
        resolve_device(None, [device(0, "x")])


def test_identity_survives_a_new_index_and_a_new_card_number() -> None:
    identity = DeviceIdentity.of(DESK[2], 1)
    moved = [device(0, "USB Camera: Audio (hw:1,0)"), device(1, "USB Microphone: Audio (hw:3,0)")]
    assert identity.find(moved).index == 1
    assert identity.find([*moved, device(2, DESK[2].name)]).index == 2


@pytest.mark.parametrize(
    "there",
    [
        [],
        [device(0, "USB Camera: Audio (hw:1,0)")],
        [device(0, "USB Microphone: Audio (hw:1,1)")],
        [device(0, DESK[2].name, hostapi="OSS")],
        [device(0, DESK[2].name, inputs=0)],
    ],
)
def test_identity_takes_no_other_device(there: list[DeviceInfo]) -> None:
    with pytest.raises(DeviceNotFound, match="USB Microphone"):
        DeviceIdentity.of(DESK[2], 1).find(there)


def test_identity_refuses_to_guess_between_twins() -> None:
    twins = [device(i, f"USB Microphone: Audio (hw:{i + 4},0)") for i in range(2)]
    with pytest.raises(DeviceAmbiguous, match=r"hw:4,0.*hw:5,0"):
        DeviceIdentity.of(DESK[2], 1).find(twins)


def run_python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": root, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_missing_library_is_said_with_the_way_out() -> None:
    code = """
import ctypes.util
find = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if "portaudio" in name else find(name)
from stream.capture.device.microphone import Microphone
from stream.errors import BackendMissing
try:
    Microphone()
except BackendMissing as error:
    print(error)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert "PortAudio" in done.stdout
    assert ("apt-get install libportaudio2" in done.stdout) == sys.platform.startswith("linux")
    assert done.stdout.count("\n") == 1


def test_a_broken_sound_configuration_is_said(tmp_path: Path) -> None:
    pytest.importorskip("sounddevice", exc_type=OSError, reason="PortAudio is not installed")
    broken = tmp_path / "alsa.conf"
    broken.write_text("pcm.x {")
    code = """
from stream.capture.device.lookup import list_devices
from stream.errors import DeviceError
try:
    print(list_devices())
except DeviceError as error:
    print("DeviceError:", error)
"""
    done = run_python(code, ALSA_CONFIG_PATH=str(broken))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n" or done.stdout.startswith("DeviceError: PortAudio does not start")


def test_a_missing_module_is_said_with_the_way_out() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "sounddevice", None)
        with pytest.raises(BackendMissing, match="pip install sounddevice"):
            list_devices()


@pytest.mark.parametrize(
    ("code", "kind"),
    [(-9985, DeviceBusy), (-9997, UnsupportedRate), (-9998, DeviceError), (-9999, DeviceError)],
)
def test_errors_of_portaudio_become_ours(sounddevice: Any, code: int, kind: type[DeviceError]) -> None:
    error = sounddevice.PortAudioError("Error opening\nInputStream", code)
    explained = portaudio.explain(error, "usb", 8000)
    assert type(explained) is kind
    assert "'usb'" in str(explained)
    assert "\n" not in str(explained)


@pytest.mark.pulse
def test_lists_what_is_there_now(virtual_mic: PulseServer) -> None:
    devices = list_devices()
    assert [d.index for d in devices] == list(range(len(devices)))
    pulse = resolve_device("pulse", devices)
    assert (pulse.name, pulse.hostapi) == ("pulse", "ALSA")
    assert pulse.max_input_channels > 0
    assert resolve_device(None, devices).is_default
    virtual_mic.stop()
    assert any(d.name == "pulse" for d in list_devices()), "PortAudio's list is frozen"
    assert not any(d.name == "pulse" for d in refresh())


@pytest.mark.pulse
def test_refresh_spares_an_open_stream(virtual_mic: PulseServer) -> None:
    with Microphone("pulse") as microphone:
        chunks = iter(microphone)
        until(chunks, lambda chunk: len(chunk.samples) > 0)
        devices = refresh()
        assert any(d.name == "pulse" for d in devices)
        assert devices == list_devices()
        before = next(chunks).end
        until(chunks, lambda chunk: chunk.end >= before + microphone.sample_rate // 2)
        assert microphone.report().lost == 0


@pytest.mark.pulse
def test_rates(virtual_mic: PulseServer) -> None:
    pulse = resolve_device("pulse")
    assert choose_rate(pulse, None, 1) == pulse.default_rate
    assert choose_rate(pulse, 16000, 1) == 16000
    with pytest.raises(UnsupportedRate, match=r"400000 Hz: choose one of .*16000, .*48000") as caught:
        choose_rate(pulse, 400_000, 1)
    assert all(str(rate) in str(caught.value) for rate in COMMON_RATES_HZ)


@pytest.mark.pulse
@pytest.mark.parametrize(
    ("device", "options", "words"),
    [
        (99, {}, "device 99"),
        ("no such microphone", {}, "no such microphone"),
        ("pulse", {"sample_rate": 400_000}, "400000 Hz"),
        ("pulse", {"channel": 1000}, "1000"),
        ("pulse", {"channel": "left"}, "left"),
        ("pulse", {"block_samples": -1}, "block_samples -1"),
        ("pulse", {"chunk_seconds": 0.0}, "chunk_seconds 0"),
        ("pulse", {"chunk_seconds": 0.5}, "chunk_seconds 0.5"),
        ("pulse", {"buffer_seconds": 0.01}, "buffer_seconds 0.01"),
        ("pulse", {"when_late": "panic"}, "drop-oldest"),
    ],
)
def test_a_microphone_refuses_in_one_line(
    virtual_mic: PulseServer, device: int | str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(StreamClassifyError) as caught:
        Microphone(device, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_next_input_goes_round_and_leaves_out_what_does_not_fit() -> None:
    devices = [device(0, "one"), device(1, "speaker", inputs=0), device(2, "two"), device(3, "three")]

    def after(place: int, *unfit: str) -> str:
        return next_input(devices[place], lambda each: each.name not in unfit, devices).name

    assert [after(place) for place in (0, 2, 3)] == ["two", "three", "one"]
    assert after(0, "two") == "three"
    assert next_input(device(9, "gone"), lambda each: True, devices).name == "one"
    with pytest.raises(DeviceNotFound, match="no other microphone"):
        after(0, "two", "three")
    with pytest.raises(DeviceNotFound, match="no other microphone"):
        next_input(devices[0], lambda each: True, devices[:2])
