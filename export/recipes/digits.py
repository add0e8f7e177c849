"""Spoken digits, with synthetic voices beside the few recorded speakers.

    python -m export.recipes.digits DIGITS OUT
    stream-classify train --config OUT/train.json --test-group theo -o digits.pt

DIGITS is the Free Spoken Digit Dataset with a manifest (filename,label,speaker); OUT receives 3 820 digits in
the voices of espeak-ng and of ``export.recipes.voices``, a manifest.csv with both, and the settings of a
training run: convolutions over time and frequency, because another voice moves the same picture up or down; any
level, with or without low frequencies, because microphones differ in these by 20 dB; other vocal tracts and
speeds; a pause of 0.1 to 0.6 s after each word. ``--recorded-only`` leaves the other voices out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import click
import msgspec
import numpy as np
import soundfile

from export.augmentation import AugmentConfig
from export.data.cache import default_cache
from export.data.dataset import read_dataset
from export.recipes.espeak import Word, spoken
from export.recipes.voices import flite, piper, prompts
from export.training import FitConfig, TrainConfig
from export.training.stream_config import StreamConfig
from stream.errors import StreamClassifyError
from stream.features.spec import MfccSpec

SAMPLE_RATE = 8_000
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COUNTS = {"piper": 1000, "flite": 1200, "prompts": 120, "espeak": 1500}


def build(digits: Path, out: Path, cache: Path, counts: Mapping[str, int] = COUNTS, seed: int = 0) -> int:
    """Write the digits in other voices and the manifest; how many were made.

    Args:
        digits: the recorded speakers.
        out: receives ``voices/`` and ``manifest.csv``.
        cache: of Debian packages.
        counts: words by source, see ``export.recipes.voices``.

    Raises:
        DataError: ``digits`` is not a data set, or the package of the prompts cannot be fetched.
    """
    rng = np.random.default_rng(seed)
    rows = [(str(r.path.resolve()), r.labels[0], r.group) for r in read_dataset(digits).recordings]
    words: dict[str, Iterator[Word]] = {
        "piper": piper(NAMES, SAMPLE_RATE, rng),
        "flite": flite(NAMES, SAMPLE_RATE, rng),
        "prompts": prompts(NAMES, SAMPLE_RATE, cache),
        "espeak": spoken(NAMES, SAMPLE_RATE, rng),
    }
    (out / "voices").mkdir(parents=True, exist_ok=True)
    made = 0
    for source, count in counts.items():
        for samples, word, voice in islice(words[source], count):
            name = f"voices/{made:04d}.flac"
            quieter = samples * np.float32(rng.uniform(0.1, 0.9) / max(float(np.abs(samples).max()), 1e-3))
            soundfile.write(out / name, quieter, SAMPLE_RATE, subtype="PCM_16")
            rows.append((name, str(NAMES.index(word)), f"voice-{voice}"))
            made += 1
    with open(out / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("filename", "label", "speaker"))
        writer.writerows(rows)
    return made


def settings(out: Path) -> TrainConfig:
    """How to train on what ``build`` wrote: all of it, so that the speaker left out is the only test."""
    return TrainConfig(
        data=str(out),
        model="crnn",
        model_changes={
            "hidden": 96, "layers": 1, "dropout": 0.3, "stride": 4, "kernel": 3,
            "axes": "time-frequency", "conv_layers": 3, "channels": 24,
        },
        features=MfccSpec(
            sample_rate=SAMPLE_RATE, n_fft=256, win_length=200, hop_length=80, n_mfcc=None, log_floor=1e-8
        ),
        fit=FitConfig(epochs=4, learning_rate=3e-3, average=0.99, smoothing=0.05),
        augment=AugmentConfig(
            gain=12, tilt=3, warp=0.12, stretch=0.25, high_pass=0.5, stationary_noise=0.4, snr=(0, 30),
            time_mask=0.2, band_mask=0.3,
        ),
        streams=StreamConfig(rows=32, frames=100, gap=(0.1, 0.6), silence=1),
        steps=1000,
        validation=0,
    )  # fmt: skip


@click.command()
@click.argument("digits", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--recorded-only", is_flag=True, help="No voices beside the recorded speakers.")
def main(digits: Path, out: Path, recorded_only: bool) -> None:
    """Write OUT: DIGITS with other voices beside them, and how to train on both."""
    try:
        made = build(digits, out, default_cache().parent / "packages", {} if recorded_only else COUNTS)
    except StreamClassifyError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"digits in other voices: {made}")
    plan = msgspec.json.format(msgspec.json.encode(settings(out)), indent=2)
    (out / "train.json").write_bytes(plan + b"\n")


if __name__ == "__main__":
    main()
