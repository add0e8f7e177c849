"""Make the sound that is no class: excerpts of free recordings and synthetic voices, packed for the wheel.

    python -m export.recipes.negatives --things THINGS --ambience AMBIENCE --out assets/negatives

Everything in it may be passed on: sentences of this project in the voices of espeak-ng (which must be installed) and
flite (fetched with ``apt-get download``, not installed); files of THINGS, short sounds with a manifest
(filename,label,group,author,licence), that are CC0 or CC BY; and files of AMBIENCE (filename,label,source,licence)
that are CC0. Music is not in it: it is made from notes when it is wanted. Writes an OGG for each part and kind,
``index.json``, and ``SOURCES.md`` with authors and licences. The parts share no voice, sentence, author or recording.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from export.data.cache import default_cache
from export.data.recording import SPLITS, Split
from export.recipes.sentences import SENTENCES
from export.recipes.speech_music_noise.sources.gather import fetch
from export.scenes.bank import RATE, Excerpt, Index
from export.scenes.sound_store import active_part
from stream.capture.files import read_audio
from stream.errors import DataError

PEAK = 0.7
COMPRESSION = 0.7  # of Vorbis, 0 to 1: about 5 kB a second
SHARES: dict[Split, float] = {"train": 0.5, "validation": 0.25, "test": 0.25}
LONGEST_SECONDS = {"speech": 7.0, "things": 2.5, "ambience": 12.0}
# Variants of espeak-ng, each a voice of its own in any language: men, women, another synthesiser, whispering, age.
VARIANTS: dict[Split, tuple[str, ...]] = {
    "train": ("m1", "f2", "m5", "f4", "klatt", "whisper", "m7", "f1", "croak"),
    "validation": ("m3", "f5", "klatt2", "m2"),
    "test": ("m4", "f3", "klatt4", "whisperf"),
}
VOICES_OF_A_SENTENCE = 2
# flite's voices of recorded speakers, learnt as statistics, and what their vocal tract is stretched by (1.25: a child).
# 1 is left out: the plain voices speak in the demo recording.
FLITE: dict[Split, tuple[str, tuple[float, ...]]] = {
    "train": ("slt", (0.86, 1.12, 1.25)),
    "validation": ("awb", (0.92, 1.14)),
    "test": ("rms", (0.9, 1.12)),
}
HUMAN = re.compile(r"laugh|mermaid|undead|zombie|vomit|robot")  # not noise: somebody's voice
COLLECTIONS = {"clock": "in modern-alarm-clock"}  # of beds whose files are CC0
IN_THE_DEMO = re.compile(r"clock-sfx-rain")


@dataclass(frozen=True, eq=False)
class Piece:
    """A sound on its way into the bank: of groups that stay in one part, or, if it is speech, of a chosen part."""

    excerpt: Excerpt
    samples: NDArray[np.float32]
    groups: tuple[str, ...] = ()
    part: Split | None = None


def espeak_voices() -> Iterator[Piece]:
    """Each sentence in two voices of its part."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise DataError(
            "espeak-ng: not installed, and its voices are part of the bank; apt-get install espeak-ng"
        )
    for part, languages in SENTENCES.items():
        said = 0
        for language, sentences in languages.items():
            for sentence in sentences:
                for _ in range(VOICES_OF_A_SENTENCE):
                    variant = VARIANTS[part][said % len(VARIANTS[part])]
                    speed, pitch, said = 130 + 7 * (said % 9), 30 + 11 * (said % 5), said + 1
                    words = [program, "-v", f"{language}+{variant}", "-s", str(speed), "-p", str(pitch)]
                    spoken = _written([*words, "-w"], sentence)
                    yield _speech(part, f"espeak-ng +{variant}", language, sentence, spoken)


def flite_voices(cache: Path) -> Iterator[Piece]:
    """The English sentences in the voices of flite, with a longer or shorter vocal tract."""
    program = fetch("flite", cache) / "usr/bin/flite"
    libraries = next((fetch("libflite1", cache) / "usr/lib").glob("*/libflite.so.1")).parent
    for part, (voice, tracts) in FLITE.items():
        english = next(said for language, said in SENTENCES[part].items() if language.startswith("en"))
        for number, sentence in enumerate(english):
            for tract in (tracts[number % len(tracts)], tracts[(number + 1) % len(tracts)]):
                stretch = ["--setf", f"duration_stretch={tract:.2f}"]
                words = [str(program), "-voice", voice, *stretch, "-t", sentence, "-o"]
                spoken = _written(words, None, {**os.environ, "LD_LIBRARY_PATH": str(libraries)})
                warped = soxr.resample(spoken, RATE * tract, RATE).astype(np.float32)
                yield _speech(part, f"flite {voice}", "en", sentence, warped)


def things(folder: Path) -> Iterator[Piece]:
    """Short sounds; what is of one author, one recording or one label stays together."""
    for row in _rows(folder):
        free = row["licence"].startswith(("CC0", "CC BY ")) and row["author"] != "N/A"
        if not free or HUMAN.search(row["label"]):
            continue
        samples = _active(read_audio(folder / row["filename"], RATE), LONGEST_SECONDS["things"])
        if len(samples) > 0.08 * RATE:
            label = row["label"].strip("._")
            groups = (f"author {row['author']}", f"group {row['group']}", f"label {label}")
            yield Piece(
                Excerpt("noise", label, row["filename"], row["author"], row["licence"]), samples, groups
            )


def ambience(folder: Path) -> Iterator[Piece]:
    """The middle of each bed."""
    for row in _rows(folder):
        name, source = row["filename"], row["source"]
        if row["licence"] != "CC0" or source not in COLLECTIONS or IN_THE_DEMO.search(name):
            continue
        samples = read_audio(folder / name, RATE)
        n = round(LONGEST_SECONDS["ambience"] * RATE)
        begin = max(0, (len(samples) - n) // 2)
        excerpt = Excerpt("noise", row["label"], name, COLLECTIONS[source], "CC0")
        yield Piece(excerpt, samples[begin : begin + n], (f"file {name}",))


def divided(pieces: list[Piece]) -> list[Piece]:
    """Put pieces into parts, so that no group is in two and the parts are as long as ``SHARES`` says."""
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent.setdefault(group, group) != group:
            group = parent[group]
        return group

    for piece in pieces:
        for group in piece.groups[1:]:
            parent[root(group)] = root(piece.groups[0])
    together: dict[str, list[Piece]] = {}
    for piece in pieces:
        together.setdefault(root(piece.groups[0]), []).append(piece)
    lengths = {name: sum(len(p.samples) for p in having) for name, having in together.items()}
    whole, filled = sum(lengths.values()), dict.fromkeys(SHARES, 0)
    found = []
    for name in sorted(together, key=lambda each: (-lengths[each], each)):
        part = max(SHARES, key=lambda each: SHARES[each] - filled[each] / whole)
        filled[part] += lengths[name]
        found += [Piece(p.excerpt, p.samples, p.groups, part) for p in together[name]]
    return sorted(found, key=lambda p: p.excerpt.source)


def write(pieces: list[Piece], out: Path) -> None:
    """Pack the pieces and write what is known about them."""
    out.mkdir(parents=True, exist_ok=True)
    index: Index = Index(sample_rate=RATE, files={})
    for part in SPLITS:
        for kind in ("speech", "noise"):
            name, at = f"{part}-{kind}.ogg", 0
            notes, sounds = [], []
            for piece in (p for p in pieces if (p.part, p.excerpt.kind) == (part, kind)):
                peak = max(float(np.abs(piece.samples).max()), 1e-6)
                sounds.append(piece.samples * np.float32(PEAK / peak))
                notes.append(msgspec.structs.replace(piece.excerpt, start=at, length=len(piece.samples)))
                at += len(piece.samples)
            with soundfile.SoundFile(
                out / name, "w", RATE, 1, "VORBIS", format="OGG", compression_level=COMPRESSION
            ) as file:
                joined = np.concatenate(sounds)
                for begin in range(
                    0, len(joined), RATE
                ):  # libsndfile's Vorbis encoder overflows on a long write
                    file.write(joined[begin : begin + RATE])
            index.files[name] = notes
    (out / "index.json").write_bytes(msgspec.json.format(msgspec.json.encode(index), indent=0) + b"\n")
    lines = {(p.excerpt.source, p.excerpt.author, p.excerpt.licence) for p in pieces}
    table = "".join(f"| {source} | {author} | {licence} |\n" for source, author, licence in sorted(lines))
    (out / "SOURCES.md").write_text(
        "# Where the sound in this folder comes from\n\n"
        "Excerpts made by `python -m export.recipes.negatives` (from a clone): shortened, mixed to mono, resampled to\n"
        "16 kHz and scaled. Speech is sentences written for this project, in synthetic voices. All of it may be\n"
        "passed on; what is CC BY, with its author's name.\n\n"
        "| voice or file | author | licence |\n| --- | --- | --- |\n" + table,
        encoding="utf-8",
    )


def _speech(part: Split, source: str, language: str, sentence: str, samples: NDArray[np.float32]) -> Piece:
    excerpt = Excerpt("speech", f"speech-{language}", source, "this project", "CC0", sentence)
    return Piece(excerpt, _active(samples, LONGEST_SECONDS["speech"]), (), part)


def _written(
    command: list[str], words: str | None, environment: dict[str, str] | None = None
) -> NDArray[np.float32]:
    """What a synthesiser writes into the file that its command line ends with (then the words, if any)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        whole = [*command, str(path), *([] if words is None else [words])]
        subprocess.run(whole, check=True, capture_output=True, env=environment)
        return read_audio(path, RATE)


def _active(samples: NDArray[np.float32], longest: float) -> NDArray[np.float32]:
    first, last = active_part(samples, RATE)
    return samples[first:last][: round(longest * RATE)]


def _rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@click.command()
@click.option("--things", "short", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--ambience", "long", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(short: Path, long: Path, out: Path) -> None:
    """Make the bank of negatives."""
    cache = default_cache().parent / "packages"
    cache.mkdir(parents=True, exist_ok=True)
    spoken = [*espeak_voices(), *flite_voices(cache)]
    pieces = [*spoken, *divided(list(things(short))), *divided(list(ambience(long)))]
    write(pieces, out)
    for part in SPLITS:
        for kind in ("speech", "noise"):
            chosen = [p for p in pieces if (p.part, p.excerpt.kind) == (part, kind)]
            click.echo(
                f"{part} {kind}: {len(chosen)} sounds, {sum(len(p.samples) for p in chosen) / RATE:.0f} s"
            )


if __name__ == "__main__":
    main()
