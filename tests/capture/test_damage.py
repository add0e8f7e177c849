"""Recordings that are damaged, absurd, hostile or none at all: sound as far as it goes, or one clear line."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream import FileSource, StreamClassifyError, UnreadableAudio
from stream.capture.files import read_audio
from stream.features.resample import output_index

FUZZ = int(os.environ.get("STREAM_CLASSIFY_FUZZ", "300"))


def noise(n: int, channels: int = 1) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(3).standard_normal((n, channels))


def gathered(source: FileSource) -> NDArray[np.float32]:
    return np.concatenate([chunk.samples for chunk in source])


def wav(
    rate: int = 16_000, channels: int = 1, bits: int = 16, kind: int = 1, data: bytes = bytes(2_000)
) -> bytes:
    """A WAV file with whatever its header is told to say."""
    width = channels * bits // 8
    fields = struct.pack("<IHHIIHH", 16, kind, channels, rate, (rate * width) % 2**32, width % 2**16, bits)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + fields
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_a_cut_file_is_given_as_far_as_it_goes_and_says_so(tmp_path: Path, kind: str, subtype: str) -> None:
    whole, half = tmp_path / f"whole.{kind.lower()}", tmp_path / f"half.{kind.lower()}"
    soundfile.write(whole, noise(480_000, 2), 48_000, format=kind, subtype=subtype)
    data = whole.read_bytes()
    half.write_bytes(data[: len(data) // 2])
    expected = gathered(FileSource(whole))
    source = FileSource(half)
    got = gathered(source)
    assert 0.7 < len(got) / (len(expected) / 2) < 1.2
    same = min(len(got), 150_000)
    np.testing.assert_array_equal(got[:same], expected[:same])
    assert str(half) in source.report().truncated
    assert "cut off after" in source.report().truncated
    with pytest.warns(UserWarning, match="cut off"):
        assert len(read_audio(half, 16_000)) == output_index(len(got), 48_000, 16_000)


def test_a_wav_written_to_a_pipe_has_no_length_and_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    data = bytearray(wav(data=bytes(32_000)))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    source = FileSource(path)
    assert len(gathered(source)) == 16_000
    assert source.report().truncated == ""


def make(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "x.wav").write_bytes(content)
        return folder / "x.wav"

    return write


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.wav")
    return folder / "pipe.wav"


def raw(folder: Path) -> Path:
    (folder / "x.raw").write_bytes(bytes(100))
    return folder / "x.raw"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "no.wav", "no such file"),
    "a folder": (lambda folder: folder, "folder"),
    "a pipe": (fifo, "regular file"),
    "headerless": (raw, "--sample-rate"),
    "a name with a zero": (lambda folder: folder / "a\0b.wav", "cannot be opened"),
    "a long name": (lambda folder: folder / ("a" * 5_000), "cannot be opened"),
    "0 bytes": (make(b""), "0 bytes"),
    "text": (make(b"not a sound at all\n" * 50), "not audio"),
    "half a header": (make(wav()[:25]), "not audio"),
    "0 samples": (make(wav(data=b"")), "no sound"),
    "rate 0": (make(wav(rate=0)), "not audio"),
    "rate 1": (make(wav(rate=1)), "1 Hz"),
    "rate 2^31": (make(wav(rate=2**31)), "not audio"),
    "rate 2^31 - 1": (make(wav(rate=2**31 - 1)), "2147483647 Hz"),
    "0 channels": (make(wav(channels=0)), "not audio"),
    "1000 channels": (make(wav(channels=1_000, data=bytes(20_000))), "1000 channels"),
    "0 bits": (make(wav(bits=0)), "not audio"),
    "an unknown codec": (make(wav(kind=0x4321)), "not audio"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_one_line_that_names_the_file(tmp_path: Path, case: str) -> None:
    if case == "a pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    prepare, words = BAD[case]
    with pytest.raises(UnreadableAudio, match=words) as caught:
        FileSource(prepare(tmp_path))
    assert "\n" not in str(caught.value)
    assert case == "a name with a zero" or tmp_path.name in str(caught.value)


def test_a_file_one_may_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(UnreadableAudio, match="permission denied"):
        FileSource(path)


def test_without_pyav_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(64))
    with pytest.raises(UnreadableAudio, match=r"run: pip install .*\[network\]"):
        FileSource(path)


def test_a_playlist_does_not_open_other_files(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    (tmp_path / "secret.wav").write_bytes(wav())
    lists = {
        "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "a.ffconcat": "ffconcat version 1.0\nfile secret.wav\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(UnreadableAudio):
            FileSource(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.mp3", "<!DOCTYPE html><html>404</html>", "is a web page, not sound"),
        ("a.wav", "\ufeff \n<HTML>", "is a web page, not sound"),
        ("a.m3u", "first.mp3\nsecond.mp3\n", "is a playlist, which holds addresses"),
        ("a.m3u", "#EXTM3U\nhttp://radio.example/a.mp3\n", "is an M3U playlist, which holds addresses"),
        (
            "a.pls",
            "[playlist]\nFile1=http://radio.example/a.mp3\n",
            "is a PLS playlist, which holds addresses",
        ),
        (
            "a.flac",
            "version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "Git LFS pointer.*git lfs pull",
        ),
    ],
)
def test_text_that_is_named_like_sound(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UnreadableAudio, match=said):
        FileSource(tmp_path / name)
    assert capfd.readouterr().err == ""  # no decoder was asked


def test_a_picture_that_outlasts_the_sound_is_no_damage(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    for name in ("a.mp4", "a.mkv", "a.webm", "a.mov"):
        path = tmp_path / name
        codecs = "-c:v libvpx -c:a libopus" if name == "a.webm" else "-c:v mpeg4 -c:a aac"
        subprocess.run(
            f"ffmpeg -v error -f lavfi -i color=s=32x32:d=6:r=5 -f lavfi -i anoisesrc=d=2 {codecs} {path}".split(),
            check=True,
            timeout=60,
        )
        with FileSource(path) as source:
            assert sum(len(chunk.samples) for chunk in source) / source.sample_rate == pytest.approx(
                2, abs=0.1
            )
            assert source.report().truncated == "", name


@pytest.mark.parametrize("name", ["a.mov", "a.mkv"])
def test_much_picture_without_sound_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """More of it than may come of what is neither sound nor picture."""
    pytest.importorskip("av", reason="PyAV is not installed")
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    monkeypatch.setattr("stream.capture.pyav._SOUNDLESS_BYTES", 1 << 20)
    path = tmp_path / name
    subprocess.run(
        "ffmpeg -v error -f lavfi -i testsrc2=s=320x240:d=5:r=10 -f lavfi -i anoisesrc=d=2 "
        f"-c:v rawvideo -pix_fmt uyvy422 -c:a aac {path}".split(),
        check=True,
        timeout=60,
    )
    assert path.stat().st_size > 6 << 20
    with FileSource(path) as source:
        assert source.info().duration == pytest.approx(2 * source.sample_rate, rel=0.05)
        assert sum(len(chunk.samples) for chunk in source) == pytest.approx(2 * source.sample_rate, rel=0.05)
        assert source.report().truncated == ""
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "head"), [("a.mp3", 0), ("a.mp3", 2), ("a.aac", 0), ("a.aac", 2), ("a.ac3", 2)]
)
def test_zeros_without_end_take_little_memory(tmp_path: Path, name: str, head: int) -> None:
    """A sparse file, after some seconds of real sound or none, heard in a process of its own."""
    pytest.importorskip("av", reason="PyAV is not installed")
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    path = tmp_path / name
    path.touch()
    if head:
        subprocess.run(
            f"ffmpeg -v error -y -f lavfi -i anoisesrc=d={head} {path}".split(), check=True, timeout=60
        )
    os.truncate(path, 3 << 30)
    code = (
        "import sys; from stream import FileSource, UnreadableAudio\n"
        f"try:\n  with FileSource({str(path)!r}) as s: print(sum(len(c.samples) for c in s) / s.sample_rate)\n"
        "except UnreadableAudio as error: print(error)\n"
        "print(int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    said, memory = done.stdout.splitlines()
    assert int(memory) < 700, said
    assert float(said) == pytest.approx(head, abs=0.2) if head else "zeros" in said


# Fuzz: no input may crash, hang, or end in anything but sound or one of our errors.

VALUES = st.one_of(st.sampled_from([0, 1, 2, 3, 8, 16, 24, 32, 2**15, 2**16 - 1]), st.integers(0, 2**16 - 1))
LONG = st.one_of(st.sampled_from([0, 1, 16, 36, 2**31 - 1, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))


@st.composite
def broken_wav(draw: st.DrawFn) -> bytes:
    """A WAV whose fields lie, with odd chunks between and bytes flipped."""
    fields = struct.pack(
        "<HHIIHH",
        draw(st.sampled_from([1, 2, 3, 6, 7, 17, 49, 85, 0xFFFE, 0x1234])),
        draw(VALUES),
        draw(LONG),
        draw(LONG),
        draw(VALUES),
        draw(VALUES),
    )
    extra = draw(st.binary(max_size=40))
    odd = b"".join(
        draw(st.sampled_from([b"LIST", b"fact", b"bext", b"cue ", b"smpl", b"JUNK", b"data", b"fmt "]))
        + struct.pack("<I", draw(LONG))
        + draw(st.binary(max_size=30))
        for _ in range(draw(st.integers(0, 3)))
    )
    sound = draw(st.binary(max_size=400))
    out = bytearray(
        b"RIFF"
        + struct.pack("<I", draw(LONG))
        + b"WAVEfmt "
        + struct.pack("<I", draw(st.sampled_from([16, 18, 40, 0, 1000])))
        + fields
        + extra
        + odd
        + b"data"
        + struct.pack("<I", draw(LONG))
        + sound
    )
    for _ in range(draw(st.integers(0, 4))):
        out[draw(st.integers(0, len(out) - 1))] = draw(st.integers(0, 255))
    return bytes(out[: draw(st.integers(1, len(out)))])


def read_or_refuse(path: Path) -> None:
    try:
        source = FileSource(path)
        count = sum(len(chunk.samples) for chunk in source)
        assert count > 0
    except StreamClassifyError as error:
        if "\n" in str(error):
            raise


@settings(max_examples=FUZZ, deadline=2_000, suppress_health_check=list(HealthCheck))
@given(data=broken_wav())
def test_fuzzed_wav_headers(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.wav"
    path.write_bytes(data)
    read_or_refuse(path)


@settings(max_examples=FUZZ // 3, deadline=2_000, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(
        [
            ("FLAC", "PCM_16"),
            ("OGG", "VORBIS"),
            ("OGG", "OPUS"),
            ("MP3", "MPEG_LAYER_III"),
            ("AIFF", "PCM_16"),
            ("AU", "ULAW"),
            ("CAF", "ALAC_16"),
            ("W64", "PCM_24"),
        ]
    ),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    keep=st.floats(0.02, 1),
)
@example(kind=("CAF", "ALAC_16"), flips=[(0.001, 0)], keep=1.0)  # a stream without a decoder
def test_fuzzed_compressed_files(
    tmp_path_factory: pytest.TempPathFactory,
    kind: tuple[str, str],
    flips: list[tuple[float, int]],
    keep: float,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    good = folder / f"good-{kind[1]}.{kind[0].lower()}"
    if not good.exists():
        soundfile.write(good, noise(16_000), 16_000, format=kind[0], subtype=kind[1])
    data = bytearray(good.read_bytes())
    for where, value in flips:
        data[int(where * len(data))] = value
    path = folder / f"fuzz.{kind[0].lower()}"
    path.write_bytes(data[: int(keep * len(data)) + 1])
    read_or_refuse(path)
