"""Spoken digits, with synthetic voices beside the recorded speakers, who are few.

    python -m export.recipes.digits DIGITS OUT
    stream-classify train --config OUT/train.json --test-group theo -o digits.pt

DIGITS is the Free Spoken Digit Dataset with a manifest (filename,label,speaker); OUT receives 1 500 digits in
the voices of espeak-ng, a manifest.csv with both, and the settings of a training run: few cepstra, for they
leave out the pitch of a voice; any level, with or without low frequencies, for microphones differ in these by
20 dB; other vocal tracts and speeds; a pause of 0.1 to 0.6 s after each word.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import msgspec
import numpy as np
import soundfile

from export.augment import Augment
from export.data.dataset import read_dataset
from export.recipes.espeak import spoken
from export.training import FitConfig, TrainConfig
from export.training.streams import StreamPlan
from stream.errors import UsageError
from stream.features.spec import FeatureSpec

RATE = 8_000
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COUNT = 1500


def build(digits: Path, out: Path, seed: int = 0) -> int:
    """Write the synthetic digits and the manifest; how many were made.

    Raises:
        DataError: ``digits`` is not a data set.
    """
    rng = np.random.default_rng(seed)
    rows = [(str(r.path.resolve()), r.labels[0], r.group) for r in read_dataset(digits).recordings]
    (out / "synthetic").mkdir(parents=True, exist_ok=True)
    made = 0
    for made, (samples, word, voice) in zip(range(1, COUNT + 1), spoken(NAMES, RATE, rng), strict=False):
        name = f"synthetic/{made:04d}.flac"
        quieter = samples * np.float32(rng.uniform(0.1, 0.9) / max(float(np.abs(samples).max()), 1e-3))
        soundfile.write(out / name, quieter, RATE, subtype="PCM_16")
        rows.append((name, str(NAMES.index(word)), f"voice-{voice}"))
    with open(out / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("filename", "label", "speaker"))
        writer.writerows(rows)
    return made


def settings(out: Path) -> TrainConfig:
    """How to train on what ``build`` wrote: all of it, so that the speaker left out is the only judge."""
    return TrainConfig(
        data=str(out),
        model_changes={"hidden": 96, "layers": 1, "dropout": 0.3, "stride": 2, "front": 5},
        features=FeatureSpec(
            sample_rate=RATE, n_fft=256, win_length=200, hop_length=80, n_mfcc=14, log_floor=1e-8
        ),
        fit=FitConfig(epochs=4, learning_rate=3e-3, average=0.99, smoothing=0.05),
        augment=Augment(
            gain=12, tilt=3, warp=0.12, stretch=0.25, thin=0.5, hiss=0.4, snr=(0, 30),
            time_mask=0.2, band_mask=0.3,
        ),
        streams=StreamPlan(rows=32, frames=100, gap=(0.1, 0.6), silence=1),
        steps=600,
        validation=0,
    )  # fmt: skip


def main() -> None:
    if len(sys.argv) != 3:
        raise UsageError("usage: python -m export.recipes.digits DIGITS OUT")
    digits, out = Path(sys.argv[1]), Path(sys.argv[2])
    print(f"synthetic digits: {build(digits, out)}")
    (out / "train.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(settings(out)), indent=2) + b"\n"
    )


if __name__ == "__main__":
    main()
