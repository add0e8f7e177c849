"""An unknown class for a keyword data set: words, in other voices, that are none of the keywords.

    python -m export.recipes.keywords WORDS OUT

WORDS is a data set of one-second words with splits (Speech Commands, or a part of it); OUT receives clips of
the class ``_unknown_`` and a manifest.csv with both, ready for ``stream-classify train OUT``.

Unknown speech comes from three places, each divided between training and validation by its speaker:

    backwards  the keywords themselves reversed: same rooms, same microphones, no known word
    spoken     names and letters read by volunteers, from the Debian packages tuxpaint-stamps-default,
               ktuberling-data and klettres-data; grouped by language
    synthetic  common English words by the voices of espeak-ng, where it is installed; grouped by voice

Without the first the network would learn "another microphone" in place of "another word".
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from export.data.cache import default_cache
from export.data.dataset import UNKNOWN, read_dataset
from export.data.recording import Recording, Split
from export.data.splits import hash_percent, split_dataset
from export.recipes.espeak import spoken
from export.recipes.speech_music_noise.sources.gather import fetch
from stream.capture.files import read_audio
from stream.errors import UnreadableAudio, UsageError

SAMPLE_RATE = 16_000
SPOKEN = {
    "tuxpaint-stamps-default": re.compile(
        r"/(?P<word>[^/]+)_desc_?(?P<language>[a-z]{2}(?:_[A-Z]{2})?)?\.(?:ogg|wav)$"
    ),
    "ktuberling-data": re.compile(r"/sounds/(?P<language>[^/]+)/(?P<word>[^/]+)\.(?:ogg|wav)$"),
    "klettres-data": re.compile(r"/(?P<language>[^/]+)/(?:alpha|syllab)/(?P<word>[^/]+)\.ogg$"),
}
VALIDATION_LANGUAGES = {"el", "da", "lt", "uk", "he"}
WORDS = """
    yes no up down left right on off stop go zero one two three four five six seven eight nine bird
    dog house tree wow sheila marvin read bad bat cap cut coat kid bit bet head red dead bread sad
    hat map nappy puppy hobby habit hippy heavy apple table water people window open close light
    music hello computer
"""
COUNTS = {"backwards": 1400, "spoken": 2200, "synthetic": 900}

Clip = tuple[NDArray[np.float32], str, Split]
"""Samples at 16 kHz, group, split."""


def build(words: Path, out: Path, cache: Path, seed: int = 0) -> dict[str, int]:
    """Write the clips and the manifest; how many clips of each kind.

    Raises:
        DataError: ``words`` is not a data set, or a package cannot be fetched.
    """
    rng = np.random.default_rng(seed)
    data = split_dataset(read_dataset(words))
    kept = [r for r in data.recordings if r.split != "test"]
    kinds: dict[str, Iterator[Clip]] = {
        "backwards": _backwards(kept, rng),
        "spoken": _spoken(cache, set(data.labels), rng),
        "synthetic": _synthetic(set(data.labels), rng),
    }
    rows = [(str(r.path.resolve()), r.labels[0], r.group, str(r.split)) for r in kept]
    done: dict[str, int] = {}
    for kind, clips in kinds.items():
        folder = out / kind
        folder.mkdir(parents=True, exist_ok=True)
        for number, (samples, group, split) in zip(range(COUNTS[kind]), clips, strict=False):
            name = f"{kind}/{number:04d}.flac"
            soundfile.write(out / name, one_second(samples, rng), SAMPLE_RATE, subtype="PCM_16")
            rows.append((name, UNKNOWN, group, split))
            done[kind] = number + 1
    with open(out / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("filename", "label", "speaker", "split"))
        writer.writerows(rows)
    return done


def one_second(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """(16000,) float32: the loudest second of a longer sound, a shorter one at a random place over faint noise."""
    if len(samples) > SAMPLE_RATE:
        total = np.cumsum(np.concatenate(([0.0], samples.astype(np.float64) ** 2)))
        at = int((total[SAMPLE_RATE:] - total[:-SAMPLE_RATE]).argmax())
        samples = samples[at : at + SAMPLE_RATE]
    out = rng.normal(0, 10 ** rng.uniform(-4.5, -3), SAMPLE_RATE).astype(np.float32)
    at = int(rng.integers(0, SAMPLE_RATE - len(samples) + 1))
    out[at : at + len(samples)] += samples * np.float32(
        rng.uniform(0.3, 1.0) / max(float(np.abs(samples).max()), 1e-3)
    )
    return np.clip(out, -1, 1)


def _backwards(recordings: list[Recording], rng: np.random.Generator) -> Iterator[Clip]:
    for i in rng.permutation(len(recordings)):
        recording = recordings[i]
        yield (
            read_audio(recording.path, SAMPLE_RATE)[::-1].copy(),
            recording.group,
            recording.split or "train",
        )


def _spoken(cache: Path, keywords: set[str], rng: np.random.Generator) -> Iterator[Clip]:
    found: list[tuple[Path, str]] = []
    for package, pattern in SPOKEN.items():
        for path in sorted(fetch(package, cache).rglob("*")):
            match = pattern.search(path.as_posix())
            if match and not any(word in match["word"].lower() for word in keywords):
                found.append((path, match["language"] or "en"))
    for i in rng.permutation(len(found)):
        path, language = found[i]
        try:
            samples = read_audio(path, SAMPLE_RATE)
        except UnreadableAudio:
            print(f"skipped {path.name}", file=sys.stderr)
            continue
        split: Split = "validation" if language in VALIDATION_LANGUAGES else "train"
        yield samples, f"language-{language}", split


def _synthetic(keywords: set[str], rng: np.random.Generator) -> Iterator[Clip]:
    words = [word for word in WORDS.split() if word not in keywords]
    for samples, _, voice in spoken(words, SAMPLE_RATE, rng):
        yield samples, f"voice-{voice}", "validation" if hash_percent(voice) < 15 else "train"


def main() -> None:
    if len(sys.argv) != 3:
        raise UsageError("usage: python -m export.recipes.keywords WORDS OUT")
    counts = build(Path(sys.argv[1]), Path(sys.argv[2]), default_cache().parent / "packages")
    print("  ".join(f"{kind} {count}" for kind, count in counts.items()))


if __name__ == "__main__":
    main()
