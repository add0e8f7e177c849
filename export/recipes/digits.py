"""Spoken digits with synthetic voices beside the recorded speakers, who are few.

    python -m export.recipes.digits DIGITS OUT

DIGITS is the Free Spoken Digit Dataset with a manifest (filename,label,speaker); OUT receives 1 500 digits in
the voices of espeak-ng and a manifest.csv with both, ready for ``stream-classify train OUT --test-group NAME``.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import soundfile

from export.data.dataset import read_dataset
from export.recipes.espeak import spoken
from stream.errors import UsageError

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


def main() -> None:
    if len(sys.argv) != 3:
        raise UsageError("usage: python -m export.recipes.digits DIGITS OUT")
    print(f"synthetic digits: {build(Path(sys.argv[1]), Path(sys.argv[2]))}")


if __name__ == "__main__":
    main()
