"""Decoding in blocks gives what decoding at once gives, and the whole of it, whatever the codec."""

from __future__ import annotations

import shutil
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
