"""Free recordings that come with the package: voices, music and things, to tell a model what is none of its classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
import soxr
from numpy.typing import NDArray

from export.data.recording import Split
from stream.capture.files import read_audio
from stream.installation import asset

RATE = 16_000
_FOLDER = "negatives"
# Words for the same thing: a class of one is not told that a recording of another is no class.
_SAME = (
    {"dog", "bark", "hound", "puppy", "howl"}, {"cat", "meow", "kitten", "purr"},
    {"bell", "doorbell", "ring", "chime", "ding"}, {"horn", "honk", "klaxon", "hooter"},
    {"car", "vehicle", "engine", "motor", "traffic", "idl"},
    {"gun", "shot", "gunshot", "pistol", "rifle", "fire", "burst"}, {"knock", "door", "tap"}, {"cough", "sneeze"},
    {"bird", "crow", "chirp", "rooster", "duck", "owl"}, {"cow", "moo"}, {"sheep", "goat", "lamb"},
    {"glass", "bottle", "break", "smash", "shatter"}, {"water", "rain", "drop", "splash", "drip"},
    {"drill", "jackhammer", "saw", "hammer"}, {"clap", "applause", "snap"}, {"siren", "alarm", "beep"},
    {"laugh", "laughter", "giggle"}, {"baby", "cry"}, {"phone", "telephone"}, {"clock", "tick"}, {"whistle", "whistl"},
    {"step", "footstep", "walk"}, {"guitar", "music"}, {"speech", "voice", "talk", "conversation"},
)  # fmt: skip


class Excerpt(msgspec.Struct, frozen=True):
    """A piece of the bank: what it is, where it comes from, and where it lies in its file, in samples."""

    kind: str
    name: str
    source: str
    author: str
    licence: str
    start: int = 0
    length: int = 0


class Index(msgspec.Struct, frozen=True):
    """All excerpts by file, ``PART-KIND.ogg``."""

    sample_rate: int
    files: dict[str, list[Excerpt]]


@dataclass(frozen=True, eq=False, slots=True)
class BankSound:
    """A recording of the bank.

    Attributes:
        kind: speech, music or noise.
        name: what it is, in a word or two.
        samples: (n,) float32.
    """

    kind: str
    name: str
    samples: NDArray[np.float32]


def bank_sounds(part: Split, sample_rate: int, *, without: Sequence[str] = ()) -> list[BankSound]:
    """The recordings of one part; the three parts share no source.

    Args:
        part: which.
        sample_rate: Hz, that they are resampled to.
        without: names of classes. A recording that may be one of them is left out: one that shares a word with it,
            or a word for the same thing.
    """
    named = set().union(*(_words(each) for each in without)) if without else set()
    kept = [
        each for each in _part(part) if not (_words(each.name) & named) or each.name.startswith("speech-")
    ]
    if sample_rate == RATE:
        return kept
    return [
        BankSound(e.kind, e.name, soxr.resample(e.samples, RATE, sample_rate).astype(np.float32))
        for e in kept
    ]


@lru_cache(maxsize=3)
def _part(part: Split) -> list[BankSound]:
    index = msgspec.json.decode(asset(f"{_FOLDER}/index.json").read_bytes(), type=Index)
    found = []
    for name, excerpts in index.files.items():
        if not name.startswith(f"{part}-"):
            continue
        samples = read_audio(asset(f"{_FOLDER}/{name}"), index.sample_rate)
        found += [BankSound(e.kind, e.name, samples[e.start : e.start + e.length]) for e in excerpts]
    return found


def _words(name: str) -> set[str]:
    """The words of a name, without plural and ending, and all words for the same things."""
    words = {word for word in re.split(r"[^a-z]+", name.lower()) if len(word) > 2}
    words |= {word.removesuffix("s") for word in words} | {word.removesuffix("ing") for word in words}
    for same in _SAME:
        if words & same:
            words |= same
    return words
