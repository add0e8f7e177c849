"""Raw PCM from a pipe: every byte in its place, no waiting for more than there is, and clear words."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from stream import UnreadableAudio, UsageError
from stream.capture.stdin import StdinSource


class Dribble(io.RawIOBase):
    """Gives bytes in the given portions, however much is asked for."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data, self.sizes = data, sizes

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        n = min(self.sizes.pop(0) if self.sizes else size, size)
        out, self.data = self.data[:n], self.data[n:]
        return out


def pcm(samples: np.ndarray, format: str) -> bytes:
    if format == "f32le":
        return samples.astype("<f4").tobytes()
    return np.round(samples * 2**15).astype("<i2").tobytes()


@pytest.mark.parametrize("format", ["s16le", "f32le"])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("sizes", [[], [1] * 997, [3, 1, 7, 4_096, 5], [12_345]])
def test_every_sample_arrives_however_the_bytes_do(format: str, channels: int, sizes: list[int]) -> None:
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (5_000, channels)) / 2**15
    stream = Dribble(pcm(samples, format) + b"\x01", list(sizes))  # half a frame at the end is dropped
    source = StdinSource(stream, sample_rate=8_000, channels=channels, channel=channels, format=format)
    at, parts = 0, []
    for chunk in source:
        assert chunk.start == at
        assert chunk.sample_rate == 8_000
        assert 0 < len(chunk.samples) <= 4_096
        parts.append(chunk.samples)
        at = chunk.end
    np.testing.assert_array_equal(np.concatenate(parts), samples[:, -1].astype(np.float32))


def test_channels_are_mixed_unless_one_is_chosen() -> None:
    stereo = np.array([[0.5, -0.25], [0.25, 0.75]])
    (chunk,) = StdinSource(io.BytesIO(pcm(stereo, "s16le")), sample_rate=8_000, channels=2)
    np.testing.assert_array_equal(chunk.samples, np.float32([0.125, 0.5]))


def test_values_that_are_no_numbers_come_through_for_the_repair_stage() -> None:
    data = pcm(np.array([0.1, np.nan, np.inf, -0.1]), "f32le")
    (chunk,) = StdinSource(io.BytesIO(data), sample_rate=8_000, format="f32le")
    assert np.isnan(chunk.samples[1])
    assert np.isinf(chunk.samples[2])


def test_a_live_pipe_is_given_out_as_it_arrives() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as sink:
        chunks = iter(StdinSource(stream, sample_rate=16_000, clock=lambda: 7.0))
        for start in range(0, 500, 100):
            sink.write(pcm(np.full(100, 0.5), "s16le"))
            chunk = next(chunks)  # would wait forever if it wanted a full block
            assert (chunk.start, len(chunk.samples), chunk.captured_at) == (start, 100, 7.0)
        sink.write(b"\0")
        sink.close()
        assert list(chunks) == []


def test_closing_ends_a_wait_for_bytes_that_never_come() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb"):
        source = StdinSource(stream, sample_rate=16_000)
        assert source.info().live
        chunks = iter(source)
        thread = threading.Thread(target=lambda: list(chunks), daemon=True)
        thread.start()
        source.close()
        thread.join(20)
        assert not thread.is_alive()
        source.close()


def test_a_redirected_file_is_not_live(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(pcm(np.zeros(10_000), "s16le"))
    with path.open("rb") as stream:
        source = StdinSource(stream, sample_rate=16_000, block_samples=1_000)
        assert not source.info().live
        assert [len(c.samples) for c in source] == [1_000] * 10


SCRIPT = """
from stream.capture.stdin import StdinSource
with StdinSource(sample_rate=44100) as source:
    print(sum(len(c.samples) for c in source))
"""


def test_the_real_standard_input() -> None:
    data = pcm(np.zeros(44_100), "s16le")
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=60)
    assert done.stdout.strip() == b"44100"


@pytest.mark.skipif(os.name != "posix", reason="closing standard input is a matter of POSIX shells")
def test_no_standard_input_and_a_keyboard_are_clear_errors() -> None:
    command = f"{sys.executable} -c '{SCRIPT}'"
    done = subprocess.run(f"{command} <&-", shell=True, capture_output=True, text=True, timeout=60)
    assert "SourceError: there is no standard input" in done.stderr
    if shutil.which("script") is None:
        pytest.skip("script(1) is not installed: the keyboard part was not run")
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        capture_output=True,
        text=True,
        stdin=subprocess.PIPE,
        timeout=60,
    )
    assert "SourceError: standard input is a keyboard" in done.stdout
    assert "parec --raw" in done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample_rate": None}, "--sample-rate"),
        ({"sample_rate": 0}, "0 Hz"),
        ({"sample_rate": 1}, "1 Hz"),
        ({"sample_rate": 1_000_000_000}, "1000000000 Hz"),
        ({"sample_rate": 8_000, "channels": 1_000_000}, "1000000 channels"),
        ({"sample_rate": 8_000, "format": "mp3"}, "s16le or f32le"),
        ({"sample_rate": 8_000, "channels": 2, "channel": 3}, "2 channels, not 3"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        StdinSource(io.BytesIO(), **options)  # type: ignore[arg-type]


FILES = [
    "wav",
    "rf64",
    "flac",
    "ogg",
    "mp3",
    "bare.mp3",
    "low.mp3",
    "aiff",
    "au",
    "caf",
    "m4a",
    "aac",
    "webm",
    "html",
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    folder = tmp_path_factory.mktemp("files")
    options = {
        "rf64": "-rf64 always -f wav",
        "bare.mp3": "-id3v2_version 0 -write_xing 0 -f mp3",
        "low.mp3": "-id3v2_version 0 -ar 16000 -b:a 8k -f mp3",
        "aac": "-f adts",
    }
    made = {}
    for name in FILES[:-1]:
        command = f"ffmpeg -v error -f lavfi -i sine=d=1 {options.get(name, '')} {folder / name}.{name.split('.')[-1]}"
        subprocess.run(command.split(), check=True, timeout=60)
        made[name] = (folder / f"{name}.{name.split('.')[-1]}").read_bytes()
    return made | {"html": b"<!DOCTYPE html>\n<html><body>404</body></html>"}


@pytest.mark.parametrize("sizes", [[], [1, 1, 1], [1] * 3_000])
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_not_taken_for_samples(files: dict[str, bytes], name: str, sizes: list[int]) -> None:
    for block_samples in (0, 1):
        stream = Dribble(files[name], list(sizes))
        with pytest.raises(UnreadableAudio, match=r"carries an? .*, not raw PCM"):
            list(StdinSource(stream, sample_rate=8_000, block_samples=block_samples))
    sure = StdinSource(io.BytesIO(files[name]), sample_rate=8_000, format="s16le")
    assert sum(len(chunk.samples) for chunk in sure) == len(files[name]) // 2


@pytest.mark.parametrize(
    "first", [0, 60, -1025, -2 * 256 - 1, 0x4952]
)  # "<", FF FB and FF FD: MP3's sync; "RI"
def test_samples_are_not_taken_for_a_file(first: int) -> None:
    samples = np.random.default_rng(5).integers(-(2**15), 2**15, 9_000)
    samples[0] = first
    source = StdinSource(io.BytesIO(samples.astype("<i2").tobytes()), sample_rate=8_000)
    assert sum(len(chunk.samples) for chunk in source) == 9_000


def test_an_empty_stream_is_the_end() -> None:
    assert list(StdinSource(io.BytesIO(), sample_rate=8_000)) == []
