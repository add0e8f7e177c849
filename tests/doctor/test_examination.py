"""What the doctor finds in sound with one fault, and that it finds nothing in sound without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from stream import ArraySource, open_source
from stream.capture.source import AudioSource
from stream.doctor.examination import examine, level_dbfs
from stream.doctor.spectrum import spectra
from stream.doctor.stethoscope import listen_for
from stream.installation import asset
from stream.messages import Chunk, SourceInfo

RATE = 48_000
MODEL_RATE = 16_000
Samples = NDArray[np.float32]


def room(seconds: float = 6.0, level_db: float = -50.0, seed: int = 0) -> Samples:
    """Noise whose loudness comes and goes, with more in it below than above."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.sqrt(1 + np.fft.rfftfreq(n, 1 / RATE) / 300)
    noise = np.fft.irfft(spectrum, n) * (1.2 + np.sin(np.arange(n) * 2 * np.pi * 0.4 / RATE))
    noise *= 10 ** (level_db / 20) / np.sqrt(np.mean(noise**2))
    return noise.astype(np.float32)


def found(samples: Samples) -> list[str]:
    heard = listen_for(ArraySource(samples, RATE), 60)
    return [finding.kind for finding in examine(heard, MODEL_RATE)]


def hum(mains: float, level_db: float) -> Samples:
    """The mains and its odd multiples, a little off, as the grid is."""
    t = np.arange(6 * RATE) / RATE
    sound = sum(np.sin(2 * np.pi * mains * 1.0004 * k * t + k) / k for k in (1, 2, 3, 5))
    return (10 ** (level_db / 20) * np.sqrt(2) * sound / 1.6).astype(np.float32)


def talk() -> Samples:
    sound, rate = soundfile.read(asset("demo.ogg"), dtype="float32", frames=6 * 16000)
    resampled: Samples = soxr.resample(sound, rate, RATE)
    return resampled


def through_a_headset(samples: Samples) -> Samples:
    narrow: Samples = soxr.resample(soxr.resample(samples, RATE, 8000), 8000, RATE)
    return narrow


@pytest.mark.parametrize(
    ("samples", "kinds"),
    [
        (room(), []),
        (talk(), []),
        (room(level_db=-20), []),
        (np.zeros(RATE * 3, np.float32), ["flat"]),
        (np.full(RATE * 3, 0.25, np.float32), ["flat"]),
        (np.clip(20 * talk(), -1, 1), ["clipping"]),
        (talk() + np.float32(0.3), ["offset"]),
        (room(level_db=-75), ["faint"]),
        (room() + hum(50, -40), ["hum"]),
        (room() + hum(60, -45), ["hum"]),
        (talk() + hum(50, -45), ["hum"]),
        (through_a_headset(room(level_db=-30)), ["band"]),
        (through_a_headset(talk()), ["band"]),
        (1000 * talk(), ["clipping", "scale"]),
        (np.zeros(0, np.float32), ["silent"]),
    ],
)
def test_each_fault_and_nothing_else(samples: Samples, kinds: list[str]) -> None:
    if "scale" in kinds:
        assert "scale" in found(samples)
    else:
        assert found(samples) == kinds


def test_music_is_no_hum() -> None:
    """Chords that stand, near multiples of the mains and far from them."""
    t = np.arange(6 * RATE) / RATE
    notes = sum(np.sin(2 * np.pi * f * t) for f in (98.0, 123.5, 146.8, 196.0, 246.9))
    assert "hum" not in found((0.02 * notes).astype(np.float32) + room())


def test_one_tone_alone_is_no_hum() -> None:
    t = np.arange(6 * RATE) / RATE
    assert found((0.1 * np.sin(2 * np.pi * 50 * t)).astype(np.float32) + room()) == []


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("sim:tone?length=4s", []),
        ("sim:silence?length=4s", ["flat"]),
        ("sim:noise?length=4s&zeros@0s&for=4s", ["flat"]),
        ("sim:noise?length=4s&clip@1s&for=2s&gain=30dB", ["clipping"]),
        ("sim:noise?length=4s&xrun@1s&n=480", ["lost"]),
        ("sim:noise?length=4s&nan@1s&for=50ms", ["missing"]),
        ("sim:noise?length=4s&unplug@1s&for=500ms", ["lost", "device"]),
    ],
)
def test_faults_of_the_simulated_microphone(text: str, kinds: list[str]) -> None:
    heard = listen_for(open_source(text, fast=True), 60)
    assert [finding.kind for finding in examine(heard, MODEL_RATE)] == kinds


def test_listening_ends_and_counts() -> None:
    heard = listen_for(open_source("sim:noise?length=9s&xrun@1s&n=480", fast=True), 2.5)
    assert len(heard.samples) == 2.5 * heard.source.sample_rate
    assert heard.lost == 480


class Deaf:
    """A live source that says it is open and gives nothing."""

    sample_rate = RATE

    def __iter__(self) -> Iterator[Chunk]:
        while True:
            yield Chunk(np.zeros(0, np.float32), 0, RATE, state="silent", detail="no sound arrives")

    def info(self) -> SourceInfo:
        return SourceInfo("deaf", RATE, live=True)

    def __getattr__(self, name: str) -> object:
        return getattr(ArraySource(np.zeros(0, np.float32), RATE), name)

    def __enter__(self) -> AudioSource:
        return self  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        pass


def test_a_source_that_gives_nothing_is_given_up() -> None:
    now = iter(range(1000))
    heard = listen_for(Deaf(), 5.0, clock=lambda: float(next(now)))  # type: ignore[arg-type]
    (finding,) = examine(heard, MODEL_RATE)
    assert finding.kind == "silent"
    assert finding.text.startswith("no sound arrives: does")
    assert next(now) < 20


def test_spectra_add_up_to_the_power(tmp_path: Path) -> None:
    samples = room(3.0, -20.0)
    assert 10 * np.log10(spectra(samples, RATE).sum(axis=1).mean()) == pytest.approx(
        level_dbfs(samples), abs=0.3
    )
