"""Arrays as sources, and the one door: which text means which source."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stream import ArraySource, DeviceError, FileSource, SpecError, UnreadableAudio, UsageError, open_source
from stream.capture.channels import as_float32, parse_channel, pick_channel
from stream.capture.device import microphone
from stream.capture.simulate import SimulatedSource
from stream.capture.source import AudioSource
from stream.capture.stdin import StdinSource


def ramp(n: int) -> np.ndarray:
    return np.linspace(-1, 1, n, endpoint=False)


# Arrays.


def test_an_array_in_blocks_counts_from_its_start() -> None:
    samples = ramp(1_000).astype(np.float32)
    with ArraySource(samples, 16_000, block_samples=300, start=2**33) as source:
        assert isinstance(source, AudioSource)
        chunks = list(source)
    assert [(c.start - 2**33, c.end - 2**33) for c in chunks] == [
        (0, 300),
        (300, 600),
        (600, 900),
        (900, 1_000),
    ]
    assert all(c.sample_rate == 16_000 and c.state == "listening" and c.captured_at is None for c in chunks)
    np.testing.assert_array_equal(np.concatenate([c.samples for c in chunks]), samples)
    assert all(np.shares_memory(c.samples, samples) for c in chunks)
    assert source.info().duration == 1_000


@pytest.mark.parametrize(
    "given",
    [
        ramp(512).astype(np.float32),
        ramp(512),
        np.round(ramp(512) * 2**15).astype(np.int16),
        np.round(ramp(512) * 2**31).astype(np.int32),
        ramp(512).astype(">f4"),
        np.round(ramp(512) * 2**15).astype(">i2"),
    ],
)
def test_every_usual_type_means_the_same_sound(given: np.ndarray) -> None:
    before = given.copy()
    (chunk,) = ArraySource(given, 8_000)
    assert chunk.samples.dtype == np.float32
    np.testing.assert_array_equal(chunk.samples, ramp(512).astype(np.float32))
    np.testing.assert_array_equal(given, before)


def test_channels_of_an_array() -> None:
    stereo = np.stack([ramp(100), -ramp(100)], axis=1)
    (mixed,) = ArraySource(stereo, 8_000)
    (right,) = ArraySource(stereo, 8_000, channel=2)
    assert not mixed.samples.any()
    np.testing.assert_array_equal(right.samples, -ramp(100).astype(np.float32))
    assert right.samples.flags.c_contiguous


@pytest.mark.parametrize(
    ("samples", "options", "words"),
    [
        (np.zeros(10, np.int64), {}, "int64"),
        (np.zeros(10, np.uint8), {}, "uint8"),
        (np.zeros(10, complex), {}, "complex"),
        (np.zeros((2, 3, 4)), {}, "shape"),
        (np.zeros((5, 0)), {}, "shape"),
        (np.zeros(10), {"channel": 2}, "1 channel, not 2"),
        (np.zeros(10), {"block_samples": 0}, "block_samples 0"),
        (np.zeros(10), {"start": -1}, "start -1"),
    ],
)
def test_arrays_that_are_no_sound(samples: np.ndarray, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ArraySource(samples, 8_000, **options)


def test_an_empty_array_is_silence_of_no_length() -> None:
    assert list(ArraySource(np.zeros(0, np.float32), 8_000)) == []


def test_values_beyond_float32_become_infinite_without_a_warning() -> None:
    assert np.isinf(as_float32(np.array([1e300]))).all()


def test_the_mean_does_not_depend_on_how_many_rows_come_at_once() -> None:
    samples = np.random.default_rng(0).standard_normal((1_000, 7)).astype(np.float32)
    one_by_one = np.concatenate([pick_channel(samples[i : i + 1], "mix") for i in range(1_000)])
    np.testing.assert_array_equal(pick_channel(samples, "mix"), one_by_one)


@pytest.mark.parametrize(("text", "meaning"), [("mix", "mix"), (" MIX ", "mix"), ("1", 1), (3, 3)])
def test_channels_as_people_write_them(text: str | int, meaning: str | int) -> None:
    assert parse_channel(text) == meaning


@pytest.mark.parametrize("text", ["0", "-1", "left", "", "1.5", 0])
def test_what_is_no_channel(text: str | int) -> None:
    with pytest.raises(UsageError, match="'mix' or a number from 1"):
        parse_channel(text)


# The door.


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.stack([ramp(800), 0 * ramp(800)], axis=1), 8_000)
    return path


def test_files_by_any_name(recording: Path) -> None:
    (recording.parent / "usb mic").write_bytes(recording.read_bytes())
    (recording.parent / "7").write_bytes(recording.read_bytes())
    (recording.parent / "a b.wav").write_bytes(recording.read_bytes())
    spaced = f"file://{recording.parent}/a%20b.wav"
    for text in (
        "talk.wav",
        str(recording),
        f" {recording} ",
        "usb mic",
        "./7",
        f"file://{recording}",
        spaced,
    ):
        source = open_source(text, fast=True, block_samples=100)
        assert isinstance(source, FileSource)
        assert isinstance(source, AudioSource)
        chunks = list(source)
        assert [len(c.samples) for c in chunks] == [100] * 8
        assert source.info().channel == "mix"
        assert source.info().channels == 2
    (chosen,) = open_source("talk.wav", channel="1", fast=True)
    np.testing.assert_allclose(chosen.samples, ramp(800), atol=1e-4)
    assert open_source("talk.wav").info().live  # the default is the pace of real time


@pytest.mark.parametrize("text", ["no.wav", "no.FLAC", "no.m4a", "./no", "a/b", "file://no", "~nobody/x.mp3"])
def test_what_looks_like_a_file_and_is_none_is_not_called_a_device(text: str, recording: Path) -> None:
    with pytest.raises(UnreadableAudio, match="no such file"):
        open_source(text)


def test_a_folder_with_a_plain_name_is_not_a_file(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (recording.parent / "usb").mkdir()
    asked = asked_microphones(monkeypatch)
    open_source("usb")
    assert asked == [("usb", {"sample_rate": None, "channel": 1, "block_samples": 0})]
    with pytest.raises(UnreadableAudio, match="folder"):
        open_source("./usb")


def asked_microphones(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What the door asks of `Microphone`; there may be none on this machine."""
    asked: list[tuple[Any, dict[str, Any]]] = []

    def record(device: Any, **options: Any) -> ArraySource:
        asked.append((device, options))
        return ArraySource(np.zeros(1, np.float32), 8_000)

    monkeypatch.setattr(microphone, "Microphone", record)
    return asked


def test_microphones(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_microphones(monkeypatch)
    plain = {"sample_rate": None, "channel": 1, "block_samples": 0}
    for text, device in ((None, None), ("", None), ("2", 2), (2, 2), ("USB mic", "USB mic")):
        open_source(text)
        assert asked.pop() == (device, plain)
    open_source("2", sample_rate=48_000, channel="mix", block_samples=64, when_late="skip-to-now")
    assert asked == [
        (2, {"sample_rate": 48_000, "channel": "mix", "block_samples": 64, "when_late": "skip-to-now"})
    ]


def test_a_microphone_that_is_not_there_is_a_device_error(recording: Path) -> None:
    with pytest.raises(DeviceError):
        open_source("no microphone has such a name")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\0\x40" * 600)))
    source = open_source("-", sample_rate=8_000, channels=2, block_samples=100)
    assert isinstance(source, StdinSource)
    assert [len(c.samples) for c in source] == [100, 100, 100]
    with pytest.raises(UsageError, match="--sample-rate"):
        open_source("-")


def test_scripts(recording: Path) -> None:
    source = open_source("sim:talk.wav?xrun@50ms&n=10", fast=True, channel=1)
    assert isinstance(source, SimulatedSource)
    assert sum(len(c.samples) for c in source) == 790
    with pytest.raises(SpecError):
        open_source("sim:talk.wav?x")


def test_addresses_and_their_schemes(recording: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    with pytest.raises(UsageError, match="no known scheme"):
        open_source("gopher://host/talk.wav")


@pytest.mark.parametrize("text", ["talk.wav", "sim:talk.wav", "-", "http://127.0.0.1:1/a"])
@pytest.mark.parametrize(
    "options", [{"when_late": "nonsense"}, {"sample_rate": 8_000}, {"format": "f32le"}, {"channels": 7}]
)
def test_arguments_that_do_not_apply(recording: Path, text: str, options: dict[str, Any]) -> None:
    if text == "-" and "when_late" not in options:
        pytest.skip("they are for raw PCM")
    with pytest.raises(UsageError, match=r"does not apply to .*; leave it out"):
        open_source(text, **options)


def test_a_policy_that_does_not_exist() -> None:
    with pytest.raises(SpecError, match="nonsense"):
        open_source("2", when_late="nonsense")


@pytest.mark.parametrize(
    "options", [{"channel": "left"}, {"channel": 0}, {"channel": 3}, {"block_samples": -1}]
)
def test_options_that_make_no_sense(recording: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        open_source("talk.wav", **options)


def test_the_door_is_light() -> None:
    """Opening it loads no decoder, no PortAudio and no FFmpeg."""
    code = "import sys, stream.capture.source; print({'soundfile', 'soxr', 'sounddevice', 'av'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "set()"
