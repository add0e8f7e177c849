"""Recordings whose text is known, and words in synthetic voices."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.recipes.espeak import spoken
from export.recipes.sound_embedding.chunks import MEASURED
from export.recipes.speech_music_noise.sources.gather import decode, fetch
from export.recipes.voices import flite

RATE = 16_000
STAMPS, PROMPTS, TEXTS, NAMES, WORDS = (
    "tuxpaint-stamps-default", "asterisk-core-sounds-en-g722", "asterisk-core-sounds-en", "ktuberling-data",
    "wamerican-small",
)  # fmt: skip
LICENCES = (
    f"{STAMPS}: GPL-2+", f"{NAMES}: GPL-2+", f"{PROMPTS}: CC BY-SA 3.0", f"{WORDS}: public domain",
    "espeak-ng and flite voices",
)  # fmt: skip
SYNTHETIC = 7000
LONGEST_WORD = 10
SECONDS = (0.15, 9.0)
_LANGUAGES = {"": "en-us", "pt_BR": "pt-br"}


@dataclass(frozen=True, eq=False, slots=True)
class Utterance:
    """Speech and its text.

    Attributes:
        samples: (n,) float32 at 16 kHz.
        text: what is said.
        language: as espeak-ng names it.
        source: who says it, as well as that is known.
    """

    samples: NDArray[np.float32]
    text: str
    language: str
    source: str


def utterances(cache: Path, rng: np.random.Generator, synthetic: int = SYNTHETIC) -> Iterator[Utterance]:
    """All of them, of 0.15 to 9 s; nobody says a word in English that the figures of training are measured on."""
    for each in _all(cache, rng, synthetic):
        english = each.language.startswith("en")
        if english and MEASURED & set(re.findall(r"[a-z]+", each.text.lower())):
            continue
        if SECONDS[0] <= len(each.samples) / RATE <= SECONDS[1]:
            yield each


def _all(cache: Path, rng: np.random.Generator, synthetic: int) -> Iterator[Utterance]:
    yield from _stamps(fetch(STAMPS, cache))
    prompts = _texts(fetch(TEXTS, cache))
    yield from _prompts(fetch(PROMPTS, cache), prompts)
    yield from _names(fetch(NAMES, cache))
    (listed,) = fetch(WORDS, cache).rglob("american-english-small")
    words = [
        word
        for word in listed.read_text().split()
        if word.isascii() and word.isalpha() and word.islower() and len(word) <= LONGEST_WORD
    ]
    often = re.findall(r"[a-z]+", " ".join(prompts.values()).lower())
    phrases = [_phrase(words, often, rng) for _ in range(synthetic)]
    for made in (spoken(phrases, RATE, rng), flite(phrases, RATE, rng)):
        for samples, text, voice in islice(made, synthetic // 2):
            yield Utterance(samples, text, "en-us", voice)


def _phrase(words: list[str], often: list[str], rng: np.random.Generator) -> str:
    count = int(rng.choice((1, 1, 2, 3, 4, 6)))
    return " ".join(str(rng.choice(words if rng.random() < 0.5 else often)) for _ in range(count))


def _stamps(root: Path) -> Iterator[Utterance]:
    """Names of things, read by volunteers; the text of each language is beside the picture."""
    for path in sorted(root.rglob("*_desc*")):
        found = re.fullmatch(r"(.*)_desc(?:_(\w+))?\.(?:ogg|wav)", path.name)
        if found is None:
            continue
        name, language = found[1], found[2] or ""
        about = path.with_name(f"{name}.txt")
        if not about.is_file():
            continue
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
        said = dict(line.split(".utf8=", 1) for line in lines[1:] if ".utf8=" in line)
        text = said.get(language, "") if language else lines[0]
        if text:
            yield Utterance(
                decode(path), text, _LANGUAGES.get(language, language), f"stamps-{language or 'en'}"
            )


def _texts(root: Path) -> dict[str, str]:
    """Name of a prompt -> what it says."""
    (listed,) = root.rglob("core-sounds-en.txt.gz")
    lines = gzip.decompress(listed.read_bytes()).decode("latin-1").splitlines()
    rows = (line.split(":", 1) for line in lines if ":" in line and not line.startswith(";"))
    return {name: text.strip() for name, text in rows}


def _prompts(root: Path, texts: dict[str, str]) -> Iterator[Utterance]:
    for path in sorted(root.rglob("*.g722")):
        name = str(path).partition("/sounds/")[2].partition("/")[2].removesuffix(path.suffix)
        if name in texts:
            yield Utterance(decode(path), texts[name], "en-us", PROMPTS)


def _names(root: Path) -> Iterator[Utterance]:
    """Names of things in English; those of other languages come without their text."""
    (theme,) = root.rglob("en.soundtheme")
    for name, file in re.findall(r'name="([^"]+)" file="([^"]+)"', theme.read_text()):
        path = theme.parent / file
        if path.is_file():
            yield Utterance(decode(path), re.sub(r"[-_\d]", " ", name), "en-us", "ktuberling-en")
