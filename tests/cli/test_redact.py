"""``stream-classify redact`` as a filter in front of other programs, and as a way to make a file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream.capture.files import read_audio
from stream.installation import asset
from stream.messages import Chunk
from stream.privacy.redactor import Redactor
from tests.support.command import COMMAND, ROOT, environment, running, start, stream_classify, wait_for

RATE = 16_000
FRENCH_WORDS = (26.3, 30.4)  # somebody speaks over music in the demo recording


def redacted(sound: np.ndarray, rate: int = RATE) -> np.ndarray:
    redactor = Redactor()
    pieces = [*redactor.push(Chunk(sound, 0, rate)), *redactor.flush()]
    return np.concatenate([piece.samples for piece in pieces])


def as_int16(sound: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("name", ["quiet.flac", "quiet.wav"])
def test_a_file_becomes_a_file_of_the_same_length_without_its_speech(tmp_path: Path, name: str) -> None:
    done = stream_classify("redact", "--demo", "--fast", "-v", "-o", str(tmp_path / name))
    assert done.returncode == 0, done.stderr
    assert "0.9 s late" in done.stderr
    samples, rate = soundfile.read(tmp_path / name, dtype="int16")
    sound = read_audio(asset("demo.ogg"), RATE)
    assert rate == RATE
    np.testing.assert_array_equal(samples, as_int16(redacted(sound)))
    assert not samples[slice(*(round(at * RATE) for at in FRENCH_WORDS))].any()
    assert list(tmp_path.iterdir()) == [tmp_path / name]  # nothing is left beside it


@pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("sox")), reason="needs ffmpeg and sox (apt-get install)"
)
def test_it_stands_in_a_pipe_between_ffmpeg_and_sox(tmp_path: Path) -> None:
    """44.1 kHz, 32-bit floats, in real pipes, to the sample."""
    words = " ".join(COMMAND)
    pipe = (
        f"ffmpeg -loglevel error -i {asset('demo.ogg')} -f f32le -ar 44100 -ac 1 - |"
        f"{words} redact --input - --format f32le --sample-rate 44100 --output - --output-format f32le |"
        f"sox -t raw -r 44100 -e float -b 32 -c 1 - {tmp_path / 'out.wav'}"
    )
    done = subprocess.run(["bash", "-c", pipe], env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    samples, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (rate, len(samples)) == (44_100, 90 * 44_100)
    assert not samples[slice(*(round(at * rate) for at in FRENCH_WORDS))].any()
    assert samples[18 * rate : 24 * rate].any()


def test_16_bit_samples_come_out_as_they_went_in(tmp_path: Path) -> None:
    sound = as_int16(read_audio(asset("demo.ogg"), RATE))[: 25 * RATE]
    done = subprocess.run(
        [*COMMAND, "redact", "--input", "-", "--sample-rate", str(RATE), "--output", "-"],
        input=sound.astype("<i2").tobytes(),
        env=environment(),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    out = np.frombuffer(done.stdout, "<i2")
    assert len(out) == len(sound)
    assert np.array_equal(out[17 * RATE : 23 * RATE], sound[17 * RATE : 23 * RATE])
    assert np.all((out == sound) | (out == 0))


def test_what_was_lost_is_silence_of_its_length(tmp_path: Path) -> None:
    source = "sim:noise?length=8s&unplug@3s&for=1500ms&nan@6s"
    done = stream_classify("redact", "--input", source, "--fast", "-v", "-o", str(tmp_path / "out.wav"))
    assert done.returncode == 0, done.stderr
    samples, rate = soundfile.read(tmp_path / "out.wav")
    assert len(samples) == 8 * rate
    assert np.isfinite(samples).all()
    assert not samples[3 * rate : round(4.5 * rate)].any()
    assert "1.5 s were lost" in done.stderr


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    words = " ".join(COMMAND)
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{words} redact --demo --fast --output - | head -c 1000; echo ${{PIPESTATUS[0]}} >&2",
        ],
        env=environment(),
        capture_output=True,
        timeout=60,
    )
    assert len(done.stdout) == 1000
    assert done.stderr == b"0\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_stopped_in_the_middle_the_file_is_whole(tmp_path: Path, number: int) -> None:
    part, out = tmp_path / "out.wav.part", tmp_path / "out.wav"
    with running(start("redact", "--input", "sim:noise?length=600s", "-o", str(out))) as child:
        wait_for(lambda: part.exists() and part.stat().st_size > 20_000, "sound", child)
        os.kill(child.pid, number)
        child.wait(30)
    assert child.returncode == 0
    assert not part.exists()
    assert soundfile.info(out).frames > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--output", "x.mp3"), "ends in .wav or .flac"),
        (("--output", "/nonexistent/x.wav"), "cannot be written"),
        (("--output", "x.flac", "--output-format", "f32le"), "FLAC has no 32-bit floats"),
        (("--output", "x.wav", "--demo", "--sample-rate", "8000"), "does not apply"),
    ],
)
def test_wrong_words_are_refused_in_a_line(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    source = () if {"--input", "--demo"} & set(words) else ("--demo",)
    done = stream_classify("redact", *source, *words, cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_its_own_input_is_not_written_over(tmp_path: Path) -> None:
    shutil.copy(ROOT / "assets/demo.ogg", tmp_path / "talk.wav")
    done = stream_classify("redact", "--input", str(tmp_path / "talk.wav"), "-o", str(tmp_path / "talk.wav"))
    assert "is the file of --input" in done.stderr
    assert done.returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_raw_sound_is_not_poured_over_a_terminal() -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "redact", "--demo", "--output", "-"],
            stdout=theirs,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=60,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert b"to the terminal" in done.stderr
