"""Make the sound that is no class: excerpts of free recordings, packed for the wheel.

    python -m export.recipes.negatives --things THINGS --out assets/negatives

Reads Debian's packages (``apt-get download``; nothing is installed), the voices of espeak-ng, and THINGS, a folder of
short sounds with a manifest (filename,label,group,author,licence), of which CC0 and CC BY files are taken. Writes an
OGG for each part and kind, ``index.json`` and ``SOURCES.md`` with authors and licences. The parts share no source.
"""

from __future__ import annotations

import csv
import hashlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import numpy as np
import soundfile
from numpy.typing import NDArray

from export.data.cache import default_cache
from export.data.recording import Split
from export.recipes.speech_music_noise.sources.gather import decode, fetch
from export.scenes.bank import RATE, Excerpt, Index
from export.scenes.sound_store import active_part
from stream.capture.files import read_audio

PEAK = 0.7
LONGEST_SECONDS = 6.0
COMPRESSION = 0.7  # of Vorbis, 0 to 1
# package -> (part, kind, pattern of files, seconds in all, author, licence)
PACKAGES: dict[str, tuple[Split, str, str, float, str, str]] = {
    "asterisk-core-sounds-en-g722": ("train", "speech", r"/en[^/]*/.*\.g722$", 70, "Digium", "CC BY-SA 3.0"),
    "asterisk-core-sounds-es-g722": ("train", "speech", r"\.g722$", 45, "Digium", "CC BY-SA 3.0"),
    "asterisk-prompt-fr-armelle": ("train", "speech", r"\.(gsm|wav)$", 30, "Armelle Desjardins", "BSD-2-Clause"),
    "asterisk-core-sounds-fr-g722": ("validation", "speech", r"\.g722$", 60, "Digium", "CC BY-SA 3.0"),
    "asterisk-core-sounds-it-g722": ("test", "speech", r"\.g722$", 60, "Digium", "CC BY-SA 3.0"),
}  # fmt: skip
LEAVE_OUT = re.compile(r"beep|tone|silence|tt-|moh|ascending|descending")
# Sentences written for this project, one a language, for synthetic voices.
SENTENCES = {
    "train": {
        "en-us": "The train was late again, so we walked along the river and talked about the garden.",
        "de": "Gestern haben wir lange am Fenster gesessen und den Regen gezählt.",
        "fr-fr": "Ce matin le marché sentait le pain chaud et les pommes.",
        "pt-br": "Depois do almoço, o menino contou a história do barco azul.",
        "ru": "Вечером мы пили чай и слушали, как шумит дождь.",
        "hi": "आज सुबह बाज़ार में बहुत भीड़ थी और हवा ठंडी थी।",
        "sv": "I går gick vi genom skogen och hittade en gammal bro.",
    },
    "validation": {
        "en-gb": "Nobody remembers who painted the gate, but everyone likes its colour.",
        "es": "La bicicleta roja se quedó toda la noche delante de la casa.",
        "pl": "Na strychu stoi stara skrzynia pełna listów i map.",
        "tr": "Dün akşam balkonda oturup uzun uzun konuştuk.",
    },
    "test": {
        "en-gb-scotland": "We packed the books in seven boxes and carried them up the stairs.",
        "it": "La finestra era aperta e si sentiva il mare da lontano.",
        "nl": "De oude molen draait alleen nog als het hard waait.",
        "cs": "Na nádraží hrál starý muž na housle a nikdo nespěchal.",
    },
}  # fmt: skip
VARIANTS = {"train": ("m1", "f2", "m5", "f4"), "validation": ("m3", "f1"), "test": ("m7", "f3")}


@dataclass(frozen=True, eq=False)
class Piece:
    """A sound on its way into the bank."""

    part: Split
    excerpt: Excerpt
    samples: NDArray[np.float32]


def prompts(cache: Path) -> Iterator[Piece]:
    """Voices of telephone systems, and their music."""
    for package, (part, kind, pattern, seconds, author, licence) in PACKAGES.items():
        root = fetch(package, cache)
        files = [
            p
            for p in sorted(root.rglob("*"))
            if re.search(pattern, p.as_posix()) and not LEAVE_OUT.search(p.name)
        ]
        order = np.random.default_rng(0).permutation(len(files))
        left = seconds
        for i in order:
            samples = decode(files[i])
            first, last = active_part(samples, RATE)
            samples = samples[first:last][: round(LONGEST_SECONDS * RATE)]
            if len(samples) < 0.6 * RATE:
                continue
            language = package.removeprefix("asterisk-").split("-")[2]
            yield Piece(part, Excerpt(kind, f"{kind}-{language}", package, author, licence), samples)
            left -= len(samples) / RATE
            if left <= 0:
                break


def music(cache: Path) -> Iterator[Piece]:
    """Loops and instruments of Sonic Pi (CC0), and songs of the Opsound collection, divided by name and by song."""
    root = fetch("sonic-pi-samples", cache)
    parts: tuple[Split, ...] = ("train", "train", "validation", "test")
    for path in sorted(
        p for p in root.rglob("*.flac") if p.name.startswith(("loop_", "guit_", "ambi_", "bass_"))
    ):
        part = parts[hashlib.sha256(path.stem.split("_")[1].encode()).digest()[0] % 4]
        samples = read_audio(path, RATE)[: round(LONGEST_SECONDS * RATE)]
        if len(samples) > RATE:
            yield Piece(
                part, Excerpt("music", f"music-{path.stem}", "sonic-pi-samples", "Sonic Pi", "CC0"), samples
            )
    songs = sorted(fetch("asterisk-moh-opsound-wav", cache).rglob("*.wav"))
    for number, path in enumerate(songs):
        samples = read_audio(path, RATE)
        for at in np.linspace(0.1, 0.85, 5):
            begin = round(at * len(samples))
            cut = samples[begin : begin + round(LONGEST_SECONDS * RATE)]
            yield Piece(
                parts[(number + 1) % 4],
                Excerpt(
                    "music",
                    f"music-{path.stem}",
                    "asterisk-moh-opsound-wav",
                    "Opsound artists",
                    "CC BY-SA 3.0",
                ),
                cut,
            )


def voices() -> Iterator[Piece]:
    """Sentences in the voices of espeak-ng."""
    for part, sentences in SENTENCES.items():
        for language, sentence in sentences.items():
            for number, variant in enumerate(VARIANTS[part]):
                with tempfile.NamedTemporaryFile(suffix=".wav") as file:
                    speed = str(140 + 25 * number)
                    words = [
                        "espeak-ng",
                        "-v",
                        f"{language}+{variant}",
                        "-s",
                        speed,
                        "-w",
                        file.name,
                        sentence,
                    ]
                    subprocess.run(words, check=True, capture_output=True)
                    samples = read_audio(file.name, RATE)
                first, last = active_part(samples, RATE)
                samples = samples[first:last][: round(LONGEST_SECONDS * RATE)]
                note = Excerpt("speech", f"speech-{language}", "espeak-ng", "this project", "CC0")
                yield Piece(part, note, samples)  # type: ignore[arg-type]


def things(folder: Path) -> Iterator[Piece]:
    """Short sounds, divided by group."""
    parts: tuple[Split, ...] = ("train", "train", "validation", "test")
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["licence"].startswith(("CC0", "CC BY "))]
    for row in rows:
        samples = read_audio(folder / row["filename"], RATE)
        first, last = active_part(samples, RATE)
        samples = samples[first:last][: round(2.5 * RATE)]
        if len(samples) < 0.08 * RATE:
            continue
        group = re.sub(r"_?\d+$", "", row["label"])
        part = parts[hashlib.sha256(group.encode()).digest()[0] % 4]
        yield Piece(
            part, Excerpt("noise", row["label"], row["filename"], row["author"], row["licence"]), samples
        )


def write(pieces: list[Piece], out: Path) -> None:
    """Pack the pieces and write what is known about them."""
    out.mkdir(parents=True, exist_ok=True)
    index: Index = Index(sample_rate=RATE, files={})
    for part in ("train", "validation", "test"):
        for kind in ("speech", "music", "noise"):
            chosen = [p for p in pieces if (p.part, p.excerpt.kind) == (part, kind)]
            name, at = f"{part}-{kind}.ogg", 0
            notes, sounds = [], []
            for piece in chosen:
                peak = max(float(np.abs(piece.samples).max()), 1e-6)
                sounds.append(piece.samples * np.float32(PEAK / peak))
                notes.append(msgspec.structs.replace(piece.excerpt, start=at, length=len(piece.samples)))
                at += len(piece.samples)
            with soundfile.SoundFile(
                out / name, "w", RATE, 1, "VORBIS", format="OGG", compression_level=COMPRESSION
            ) as file:
                joined = np.concatenate(sounds)
                for begin in range(0, len(joined), RATE):
                    file.write(joined[begin : begin + RATE])
            index.files[name] = notes
    (out / "index.json").write_bytes(msgspec.json.format(msgspec.json.encode(index), indent=0))
    lines = {(p.excerpt.source, p.excerpt.author, p.excerpt.licence) for p in pieces}
    table = "".join(f"| {source} | {author} | {licence} |\n" for source, author, licence in sorted(lines))
    (out / "SOURCES.md").write_text(
        "# Where the sound in this folder comes from\n\n"
        "Excerpts made by `python -m export.recipes.negatives` (from a clone): shortened, mixed to mono, resampled to\n"
        "16 kHz and scaled.\n\n| package or file | author | licence |\n| --- | --- | --- |\n" + table
    )


@click.command()
@click.option("--things", "folder", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(folder: Path, out: Path) -> None:
    """Make the bank of negatives."""
    cache = default_cache().parent / "packages"
    cache.mkdir(parents=True, exist_ok=True)
    pieces = [*prompts(cache), *voices(), *music(cache), *things(folder)]
    write(pieces, out)
    for part in ("train", "validation", "test"):
        shown = ", ".join(
            f"{kind} {sum(len(p.samples) for p in pieces if (p.part, p.excerpt.kind) == (part, kind)) / RATE:.0f} s"
            for kind in ("speech", "music", "noise")
        )
        click.echo(f"{part}: {shown}")


if __name__ == "__main__":
    main()
