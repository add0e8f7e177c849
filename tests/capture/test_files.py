"""Recordings as sources: every format, exact samples, honest about damage, one line for what cannot be read."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stream import FileSource, UsageError
from stream.capture.files import read_audio
from stream.features.resample import StreamingResampler, output_index

Samples = NDArray[np.float32]


def noise(n: int, channels: int = 1) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(3).standard_normal((n, channels))


def gathered(source: FileSource) -> Samples:
    """All samples, having checked that the chunks follow each other."""
    at, parts = 0, []
    for chunk in source:
        assert chunk.start == at
        assert chunk.sample_rate == source.sample_rate
        assert chunk.samples.dtype == np.float32
        assert len(chunk.samples) > 0
        parts.append(chunk.samples)
        at = chunk.end
    return np.concatenate(parts)


FORMATS = [
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_32"),
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("WAV", "ULAW"),
    ("WAVEX", "PCM_24"),
    ("W64", "PCM_16"),
    ("RF64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
@pytest.mark.parametrize("block", [0, 1_000])
def test_every_format_gives_what_its_decoder_gives(
    tmp_path: Path, kind: str, subtype: str, block: int
) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, noise(30_000, 2), 48_000, format=kind, subtype=subtype)
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0]
    source = FileSource(path, block_samples=block, channel=2)
    np.testing.assert_array_equal(gathered(source), whole[:, 1])
    assert source.report().truncated == ""
    info = source.info()
    assert (info.sample_rate, info.channels, info.channel, info.live) == (48_000, 2, "2", False)
    assert info.duration == len(whole)


def test_channels_are_mixed_by_their_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = noise(5_000, 6).astype(np.float32)
    soundfile.write(path, samples, 44_100, subtype="FLOAT")
    np.testing.assert_allclose(gathered(FileSource(path)), samples.mean(axis=1), atol=1e-7)
    with pytest.raises(UsageError, match=r"6 channels, not 7"):
        FileSource(path, channel=7)


@pytest.mark.parametrize(("suffix", "options"), [("gsm", []), ("voc", []), ("wav", ["-e", "ms-adpcm"])])
def test_odd_formats_made_by_another_program(tmp_path: Path, suffix: str, options: list[str]) -> None:
    if shutil.which("sox") is None:
        pytest.skip("sox is not installed")
    path = tmp_path / f"a.{'wav' if suffix == 'gsm' else suffix}"
    encoding = ["-e", "gsm-full-rate"] if suffix == "gsm" else options
    subprocess.run(
        ["sox", "-n", "-r", "8000", "-c", "1", *encoding, path, "synth", "1", "sine", "440"],
        check=True,
        timeout=60,
    )
    got = gathered(FileSource(path))
    assert abs(len(got) - 8_000) < 600  # these codecs fill their last block
    assert np.abs(np.fft.rfft(got[:8_000])).argmax() == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("m4a", "aac"), ("aac", "aac"), ("webm", "libopus"), ("mka", "ac3")]
)
def test_what_libsndfile_does_not_know_goes_through_pyav(tmp_path: Path, suffix: str, codec: str) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path / f"a.{suffix}"
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(96_000) / 48_000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        stream.codec_context.open()
        shaper = av.AudioResampler(
            stream.format.name, "mono", 48_000, frame_size=stream.codec_context.frame_size or 1024
        )
        for piece in (*shaper.resample(frame), *shaper.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    source = FileSource(path)
    got = gathered(source)
    assert source.sample_rate == 48_000
    assert len(got) == pytest.approx(96_000, abs=4_096)
    assert np.abs(np.fft.rfft(got[24_000:72_000])).argmax() == pytest.approx(1_000, abs=1)


def test_iterating_again_starts_again_and_closing_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(9_000), 16_000)
    source = FileSource(path, block_samples=1_000)
    np.testing.assert_array_equal(gathered(source), gathered(source))
    chunks = iter(source)
    next(chunks)
    source.close()
    assert list(chunks) == []


# Time.


class Time:
    """A clock that moves when somebody sleeps, and a little by itself."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 1_000.0
        self.late = late

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self.late


@pytest.mark.parametrize("late", [0.0, 0.013])
def test_real_time_keeps_its_schedule_however_late_each_sleep_wakes(tmp_path: Path, late: float) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(441_000), 44_100)
    time = Time(late)
    for chunk in FileSource(path, fast=False, clock=time.clock, sleep=time.sleep):
        due = 1_000.0 + chunk.end / 44_100
        assert due <= time.now + 1e-9
        assert time.now <= due + late + 1e-9  # not the sum of all delays
        assert chunk.captured_at == pytest.approx(due)
    assert chunk.end == 441_000
    assert FileSource(path, fast=False).info().live


def test_playing_again_begins_a_new_schedule(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(16_000), 16_000)
    time = Time()
    source = FileSource(path, fast=False, clock=time.clock, sleep=time.sleep)
    for end in (1_001.0, 1_002.0):
        list(source)
        assert time.now == pytest.approx(end)


def test_closing_wakes_a_file_that_waits_for_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(16_000), 16_000)
    source = FileSource(path, fast=False, block_samples=16_000, clock=lambda: 0.0)  # that second never comes
    chunks = iter(source)
    thread = threading.Thread(target=lambda: list(chunks), daemon=True)
    thread.start()
    source.close()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_a_signal_handler_can_close_it(tmp_path: Path) -> None:
    """The handler interrupts the very wait it ends, as Ctrl-C does."""
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(160_000), 16_000)
    source = FileSource(path, fast=False, block_samples=160_000)
    before = signal.signal(signal.SIGALRM, lambda *_: source.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert list(source) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 16_000, 1, "PCM_16") as file:
        for _ in range(60):
            file.write(np.zeros(16_000 * 10, np.int16))
    tracemalloc.start()
    resampler = StreamingResampler(16_000, 8_000)
    total = sum(len(resampler.push(chunk.samples)) for chunk in FileSource(path)) + len(resampler.flush())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 60 * 80_000
    assert peak < 2**20


# The whole file at once.


@pytest.mark.parametrize("rate", [None, 16_000, 44_100])
def test_read_audio_is_the_stream_of_it(tmp_path: Path, rate: int | None) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(50_001, 2), 44_100)
    whole = read_audio(path, rate)
    resampler = StreamingResampler(44_100, rate or 44_100)
    streamed = [resampler.push(chunk.samples) for chunk in FileSource(path, block_samples=313)]
    np.testing.assert_array_equal(whole, np.concatenate([*streamed, resampler.flush()]))
    assert len(whole) == output_index(50_001, 44_100, rate or 44_100)


def test_missing_samples_in_a_float_file_stay_missing_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = noise(48_000)
    samples[24_000:24_300] = np.nan
    soundfile.write(path, samples, 48_000, subtype="FLOAT")
    got = read_audio(path, 16_000)
    assert np.flatnonzero(np.isnan(got)).tolist() == list(range(8_000, 8_100))
