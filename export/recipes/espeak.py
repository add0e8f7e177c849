"""Words in the many voices of espeak-ng, where it is installed: many speakers at no cost."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.capture.files import read_audio

VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan")
VARIANTS = ("", "+m1", "+m3", "+m5", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5")

Word = tuple[NDArray[np.float32], str, str]
"""Samples, the word, the voice."""


def spoken(words: Sequence[str], sample_rate: int, rng: np.random.Generator) -> Iterator[Word]:
    """An endless stream of words, each of another voice, speed and pitch; empty where espeak-ng is missing."""
    program = shutil.which("espeak-ng")
    if program is None:
        print("espeak-ng is not installed: no synthetic words", file=sys.stderr)
        return
    voices = [voice + variant for voice in VOICES for variant in VARIANTS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        while True:
            voice, word = str(rng.choice(voices)), str(rng.choice(words))
            speed, pitch = int(rng.integers(110, 200)), int(rng.integers(20, 90))
            command = [program, "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path), word]
            subprocess.run(command, check=True, capture_output=True)
            yield trimmed(read_audio(path, sample_rate)), word, voice


def trimmed(samples: NDArray[np.float32], threshold: float = 0.02) -> NDArray[np.float32]:
    """Without what is quieter than ``threshold`` of the peak before and after the word."""
    loud = np.flatnonzero(np.abs(samples) > threshold * float(np.abs(samples).max(initial=0.0)))
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples
