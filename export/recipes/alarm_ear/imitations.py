"""Voices that say beep, in the cadence of an alarm and in none: people quote alarms, and that is no alarm."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Split
from export.recipes.espeak import trimmed
from export.recipes.negatives import VARIANTS
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE
from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, other_cadence, pulse_times, varied
from stream.capture.files import read_audio
from stream.errors import DataError

Samples = NDArray[np.float32]
WORDS = ("beep", "beeeep", "bip", "peep", "pip", "piep", "bleep", "meep", "tut", "dee", "biiip")
_LANGUAGES = ("en-us", "de", "en-gb", "fr-fr")
_CLIPS = 48


class Imitations:
    """Words in the synthetic voices of one part.

    Raises:
        DataError: espeak-ng is not installed.
    """

    def __init__(self, part: Split, seed: int = 0) -> None:
        program = shutil.which("espeak-ng")
        if program is None:
            raise DataError("espeak-ng: not installed, and it says beep; apt-get install espeak-ng")
        rng = np.random.default_rng(seed)
        self.clips: list[Samples] = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "word.wav"
            for number in range(_CLIPS):
                voice = f"{rng.choice(_LANGUAGES)}+{VARIANTS[part][number % len(VARIANTS[part])]}"
                manner = [
                    "-v",
                    voice,
                    "-s",
                    str(int(rng.integers(90, 220))),
                    "-p",
                    str(int(rng.integers(20, 99))),
                ]
                words = [program, *manner, "-w", str(path), WORDS[number % len(WORDS)]]
                subprocess.run(words, check=True, capture_output=True)
                self.clips.append(trimmed(read_audio(path, SAMPLE_RATE)))

    def draw(self, rng: np.random.Generator, seconds: float) -> Samples:
        """One voice saying one word again and again for some seconds, (n,) float32."""
        said = self.clips[int(rng.integers(len(self.clips)))]
        base = (SMOKE, CARBON_MONOXIDE, other_cadence(rng))[int(rng.integers(3))]
        times = pulse_times(varied(base, rng, 0.15), seconds, rng)
        out = np.zeros(round(seconds * SAMPLE_RATE) + len(said), np.float32)
        for onset, offset in zip(times.onset, times.offset, strict=True):
            length = min(len(said), round(max(offset - onset, 0.12) * 1.5 * SAMPLE_RATE))
            at = round((onset + rng.normal(0, 0.02)) * SAMPLE_RATE)
            if at >= 0:
                out[at : at + length] += said[:length] * np.float32(rng.uniform(0.7, 1.0))
        return out
