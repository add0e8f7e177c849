"""Small labelled data sets made of tones and noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
PITCHES = {"low": 300.0, "mid": 900.0, "high": 2200.0}


def tone(label: str, seconds: float, rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """A tone of the class's pitch, off by up to 8 %, in a little noise."""
    t = np.arange(int(seconds * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * PITCHES[label] * rng.uniform(0.92, 1.08) * t)
    return (sound + rng.normal(0, 0.01, len(t))).astype(np.float32)


def class_folder(
    root: Path, *, speakers: int = 8, takes: int = 2, labels: tuple[str, ...] = ("low", "high")
) -> Path:
    """The Speech Commands layout: ``root/low/s3_nohash_0.wav``, lengths 0.3 to 0.8 s."""
    rng = np.random.default_rng(1)
    for label in labels:
        (root / label).mkdir(parents=True, exist_ok=True)
        for speaker in range(speakers):
            for take in range(takes):
                sound = tone(label, rng.uniform(0.3, 0.8), rng)
                soundfile.write(root / label / f"s{speaker}_nohash_{take}.wav", sound, RATE)
    return root


def hash_split_lists(root: Path, validation: tuple[str, ...], test: tuple[str, ...]) -> None:
    """Write validation_list.txt and testing_list.txt for these speakers."""
    for name, speakers in (("validation_list.txt", validation), ("testing_list.txt", test)):
        files = sorted(p for p in root.glob("*/*.wav") if p.name.split("_nohash_")[0] in speakers)
        (root / name).write_text("".join(f"{p.relative_to(root).as_posix()}\n" for p in files))
