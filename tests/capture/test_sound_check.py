"""Hints about odd sound: given once for what is odd, never for what is not, and the samples stay as they are."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stream import ArraySource, FileSource
from stream.capture.live.receiver import Receiver
from stream.capture.live.ring import Ring
from stream.capture.live.supervisor import Patience, Supervisor
from stream.capture.sound_check import SoundCheck
from stream.capture.stdin import StdinSource
from stream.installation import asset

RATE = 16_000
Samples = NDArray[np.float32]


def speechlike(seconds: float, level: float = 0.1, seed: int = 0) -> Samples:
    """Noise with an envelope that comes and goes."""
    n = round(seconds * RATE)
    envelope = np.maximum(np.sin(2 * np.pi * 1.3 * np.arange(n) / RATE), 0.01)
    return (np.random.default_rng(seed).normal(0, level, n) * envelope).astype(np.float32)


def pair(left: Samples, right: Samples) -> Samples:
    return np.stack([left, right], axis=1)


SOUND = speechlike(5)
ODD = {
    "cancel": (pair(SOUND, -SOUND), "channels cancel each other.*--channel 1"),
    "cancel nearly": (pair(SOUND, -0.97 * SOUND), "channels cancel each other"),
    "short cancel": (pair(SOUND[:8000], -SOUND[:8000]), "channels cancel each other"),
    "cancel after a pause": (np.concatenate([np.zeros((4 * RATE, 2), np.float32), pair(SOUND, -SOUND)]), "cancel"),
    "integers": (np.rint(SOUND * 32767).astype(np.float32)[:, None], "times full scale.*32768"),
    "quiet integers": (np.rint(SOUND * 300).astype(np.float32)[:, None], "times full scale"),
    "offset": ((SOUND + 0.3)[:, None], "constant offset of 0.3"),
    "offset below": ((SOUND - 0.1)[:, None], "constant offset of -0.1"),
    "offset alone": (np.full((5 * RATE, 1), 0.2, np.float32), "constant offset"),
    "faint": (speechlike(8, 1e-4)[:, None], r"loudest second is at -\d+ dBFS.*microphone up"),
    "one channel faint": (pair(speechlike(8, 1e-4), np.zeros(8 * RATE, np.float32)), "loudest second"),
}  # fmt: skip
FINE = {
    "mono": SOUND[:, None],
    "stereo": pair(SOUND, speechlike(5, seed=1)),
    "one channel": pair(SOUND, np.zeros_like(SOUND)),
    "one of many channels": np.eye(1, 128, dtype=np.float32) * SOUND[:, None],
    "silence": np.zeros((40 * RATE, 2), np.float32),
    "loud": (SOUND * 20)[:, None].clip(-2, 2),
    "clipped": np.sign(SOUND)[:, None],
    "an effect": np.concatenate([pair(SOUND, SOUND), pair(SOUND[: 2 * RATE], -SOUND[: 2 * RATE])]),
    "small offset": (SOUND + 0.005)[:, None],
    "missing": np.where(np.arange(len(SOUND)) % 1000 < 10, np.nan, SOUND).astype(np.float32)[:, None],
    "quiet talk": speechlike(8, 0.004)[:, None],
    "silence, then a faint end": np.concatenate([np.zeros(9 * RATE), speechlike(1, 1e-4)]).astype(np.float32)[:, None],
    "nothing": np.zeros((0, 2), np.float32),
}  # fmt: skip


def hints(samples: Samples, size: int = 1000, *, channel: int | str = "mix") -> str:
    check = SoundCheck(RATE, channel)  # type: ignore[arg-type]
    for at in range(0, len(samples), size):
        part = samples[at : at + size]
        expected = part.mean(axis=1, dtype=np.float64).astype(np.float32) if channel == "mix" else part[:, 0]
        np.testing.assert_array_equal(check.mono(part), expected)
    check.finish()
    return "; ".join(check.hints)


@pytest.mark.parametrize("size", [160, 7_777, 10**7])
@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_said_in_any_chunking(name: str, size: int) -> None:
    samples, said = ODD[name]
    assert re.search(said, hints(samples, size)), hints(samples, size)
    assert hints(samples, size).count(";") == 0


@pytest.mark.parametrize("name", FINE)
def test_what_is_not_odd_is_not_remarked(name: str) -> None:
    assert hints(FINE[name]) == ""


def test_one_channel_cannot_cancel() -> None:
    assert hints(pair(SOUND, -SOUND), channel=1) == ""


def test_the_demo_recording_is_fine() -> None:
    with FileSource(asset("demo.ogg")) as source:
        assert sum(len(chunk.samples) for chunk in source)
        assert source.report().hints == ()


def test_hints_come_while_a_long_recording_is_heard(tmp_path: Path) -> None:
    silence = np.zeros((10 * RATE, 2), np.float32)
    samples = np.concatenate([silence, np.tile(pair(SOUND, -SOUND), (4, 1))])
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with FileSource(tmp_path / "a.wav") as source:
        details = [chunk.detail for chunk in source]
        assert details[0] == ""
        assert "cancel" in details[-1]
        assert source.report().hints == (details[-1],)


def test_raw_samples_and_live_sound_too() -> None:
    data = (pair(SOUND, -SOUND) * 32767).astype("<i2").tobytes()
    source = StdinSource(sample_rate=RATE, channels=2, format="s16le", stream=io.BytesIO(data))
    assert "cancel" in [chunk.detail for chunk in source][-1]
    assert "cancel" in source.report().hints[0]
    ring = Ring(10 * RATE)
    receiver = Receiver(ring, Supervisor(RATE, Patience()), RATE, "mix", lambda: 0.0)
    receiver.opening()
    receiver.opened()
    for at in range(0, len(SOUND), 512):
        receiver.receive(pair(SOUND, -SOUND)[at : at + 512])
    assert "cancel" in receiver.hints[0]
    assert ArraySource(SOUND, RATE).report().hints == ()


def test_the_command_says_it_once_on_standard_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile(pair(SOUND, -SOUND), (3, 1)), RATE, subtype="FLOAT")
    done = subprocess.run(
        [sys.executable, "-m", "stream", "--input", str(tmp_path / "a.wav"), "--fast"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert done.stderr.count("cancel each other") == 1
    assert "a.wav: its channels" in done.stderr


def test_a_quiet_night_is_said_until_it_is_over() -> None:
    check = SoundCheck(RATE, "mix")
    check.mono(speechlike(40, 1e-4)[:, None])
    assert "loudest second" in check.hints[0]
    check.mono(speechlike(40, 1e-4)[:, None])
    assert len(check.hints) == 1
    check.mono(SOUND[:, None])
    assert check.hints == ()
