"""An archive, a model to listen to it with, and a recording that no test hears to its end."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream.archive.inventory import Recording, find_recordings
from tests.support.toy_models import toy_bytes

RATE = 16_000


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    path.write_bytes(toy_bytes())
    return path


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten recordings of some seconds, one of them at another rate, one cut off, and one that is no sound."""
    folder = tmp_path_factory.mktemp("archive")
    rng = np.random.default_rng(4)
    for number in range(10):
        seconds, rate = 1 + number / 3, 44_100 if number == 3 else RATE
        loud = 0.3 * (rng.uniform(size=round(4 * seconds)) > 0.5).repeat(rate // 4)
        file = folder / f"20260101_12{number:02}00.wav"
        soundfile.write(file, loud * rng.normal(size=len(loud)).clip(-3, 3), rate)
    cut = folder / "cut.wav"
    cut.write_bytes((folder / "20260101_120900.wav").read_bytes()[:90_001])
    (folder / "broken.wav").write_bytes(b"this is no sound")
    return folder


@pytest.fixture(scope="session")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Far more sound than any test listens to."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    size = 2 * RATE * 10 * 3600
    header = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16
    )
    with open(path, "wb") as file:
        file.write(header + struct.pack("<4sI", b"data", size))
        file.truncate(44 + size)  # silence that takes no room on the disk
    return find_recordings([str(path)])[0]
