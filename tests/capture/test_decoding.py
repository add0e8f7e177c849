"""Decoding in blocks gives what decoding at once gives, and the whole of it, whatever the codec."""

from __future__ import annotations

import shutil
import struct
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stream import FileSource
from stream.capture.decoding import open_decoder
from stream.capture.files import read_audio
from stream.capture.wav import Slice, misstated_sound

RATE, SECONDS = 44_100, 12
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")
needs_av = pytest.mark.skipif(find_spec("av") is None, reason="no PyAV")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("decoding") / "a.wav"
    t = np.arange(SECONDS * RATE) / RATE
    swept = 0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t) * (1 + np.sin(2 * np.pi * 3 * t)) / 2
    soundfile.write(path, swept + 0.02 * np.random.default_rng(0).standard_normal(len(t)), RATE)
    return path


def encoded(recording: Path, name: str, options: str) -> Path:
    path = recording.with_name(name)
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(recording), *options.split(), str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def at_once(path: Path) -> NDArray[np.float32]:
    """The whole recording from one call of its decoder."""
    if path.suffix != ".m4a":
        return soundfile.read(path, dtype="float32")[0]
    import av

    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("32.mp3", "-c:a libmp3lame -b:a 32k"),
        ("64.mp3", "-c:a libmp3lame -b:a 64k"),
        ("vbr.mp3", "-c:a libmp3lame -q:a 6"),
        ("a.ogg", "-c:a libvorbis -q:a 0"),
        ("a.opus", "-c:a libopus -b:a 24k"),
        ("a.flac", ""),
        ("adpcm.wav", "-c:a adpcm_ms"),
        pytest.param("a.m4a", "-c:a aac -b:a 48k", marks=needs_av),
    ],
)
def test_blocks_are_the_recording_decoded_at_once(recording: Path, name: str, options: str) -> None:
    path = encoded(recording, name, options)
    expected = at_once(path)
    assert len(expected) > 2 * 65_536
    np.testing.assert_array_equal(read_audio(path), expected)
    chunks = [chunk.samples for chunk in FileSource(path, block_samples=999)]
    np.testing.assert_array_equal(np.concatenate(chunks), expected)


@needs_ffmpeg
@pytest.mark.parametrize("options", ["-q:a 9", "-b:a 64k"])
@pytest.mark.parametrize("tags", ["-id3v2_version 3", "-id3v2_version 0"])
def test_an_mp3_that_does_not_say_how_long_it_is_is_read_to_its_end(
    recording: Path, options: str, tags: str
) -> None:
    path = encoded(recording, "bare.mp3", f"-c:a libmp3lame {options} {tags} -write_xing 0")
    heard = read_audio(path)
    assert SECONDS * RATE <= len(heard) <= SECONDS * RATE + 4 * 1152
    decoder = open_decoder(path)
    try:
        assert next(decoder.blocks()).shape == (65_536, 1)  # and closing it here ends what feeds it
    finally:
        decoder.close()


def wav_header(length: int, *, riff: int, sample_rate: int = RATE) -> bytes:
    fields = struct.pack("<IHHIIHH", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return (
        struct.pack("<4sI4s4s", b"RIFF", riff, b"WAVE", b"fmt ")
        + fields
        + struct.pack("<4sI", b"data", length)
    )


def rf64_header(length: int) -> bytes:
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, length + 72, length, length // 2, 0)
    plain = wav_header(0xFFFFFFFF, riff=0xFFFFFFFF)
    return b"RF64" + plain[4:12] + sizes + plain[12:]


def test_a_wav_past_4_gib_is_read_to_its_end_whatever_32_bits_say(tmp_path: Path) -> None:
    rate, length = 192_000, (1 << 32) + 600 * 192_000
    last = (np.arange(1000) * 30).astype("<i2")
    for name, stated in (
        ("wrapped", length - (1 << 32)),
        ("unknown", 0xFFFFFFFF),
        ("signed", 0x7FFFFFFF),
        ("none", 0),
    ):
        path = tmp_path / f"{name}.wav"
        with open(path, "wb") as file:  # sparse
            file.write(wav_header(stated, riff=(stated + 36) & 0xFFFFFFFF, sample_rate=rate))
            file.truncate(44 + length - last.nbytes)
            file.seek(0, 2)
            file.write(last.tobytes())
        with FileSource(path) as source:
            assert source.info().duration == length // 2, name
        sound = misstated_sound(path)
        assert sound is not None
        with soundfile.SoundFile(Slice(path, sound.start, sound.length), **RAW) as file:
            file.seek(length // 2 - 1000)
            np.testing.assert_array_equal(file.read(dtype="int16"), last)
        path.unlink()


RAW = {"format": "RAW", "samplerate": 192_000, "channels": 1, "subtype": "PCM_16", "endian": "LITTLE"}


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"]
)
def test_the_wav_of_a_recorder_that_was_killed_has_all_its_sound(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "killed.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(1).standard_normal((50_000, 2)), RATE, subtype=subtype)
    expected = read_audio(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    size = len(data) - at - 4
    for stated in (0, size // 3 // 8 * 8):  # never written, or last written a while ago
        data[at : at + 4] = stated.to_bytes(4, "little")
        data[4:8] = (at - 4 + stated).to_bytes(4, "little")
        path.write_bytes(data)
        np.testing.assert_array_equal(read_audio(path), expected)


@pytest.mark.parametrize("stated", [0, (1 << 64) - 1])
def test_an_rf64_that_was_not_finished_has_all_its_sound(tmp_path: Path, stated: int) -> None:
    path = tmp_path / "a.wav"
    samples = (1000 * np.random.default_rng(1).standard_normal(50_000)).astype("<i2")
    header = bytearray(rf64_header(2 * len(samples)))
    path.write_bytes(header + samples.tobytes())
    expected = read_audio(path)
    header[28:36] = stated.to_bytes(8, "little")
    path.write_bytes(header + samples.tobytes())
    np.testing.assert_array_equal(read_audio(path), expected)
    np.testing.assert_array_equal(expected, samples / np.float32(32768))


def test_chunks_behind_the_sound_of_a_wav_are_not_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    comment = struct.pack("<4sI", b"LIST", 4000) + bytes(4000)
    for behind in (comment, comment + b"TAG" + bytes(125)):
        path.write_bytes(wav_header(8000, riff=0) + bytes(8000) + behind)
        assert len(read_audio(path)) == 4000
