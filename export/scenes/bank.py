"""Free recordings that come with the package: voices and things, to tell a model what is none of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
import soxr
from numpy.typing import NDArray

from export.data.recording import Split
from export.scenes.names import same_sound, says
from stream.capture.files import read_audio
from stream.installation import asset

RATE = 16_000
_FOLDER = "negatives"


class Excerpt(msgspec.Struct, frozen=True):
    """A piece of the bank: what it is, where it comes from, what is said, and where it lies in its file."""

    kind: str
    name: str
    source: str
    author: str
    licence: str
    text: str = ""
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
        kind: speech or noise; music is made of notes (``export.scenes.synthetic``).
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
        without: names of classes. A recording that may be one of them is left out: one whose name shares a word with
            it, or a word for the same thing, and speech in which it is said.
    """
    kept = [sound for excerpt, sound in _part(part) if not _may_be(excerpt, without)]
    if sample_rate == RATE:
        return kept
    return [
        BankSound(e.kind, e.name, soxr.resample(e.samples, RATE, sample_rate).astype(np.float32))
        for e in kept
    ]


def _may_be(excerpt: Excerpt, classes: Sequence[str]) -> bool:
    """Speech is told by what is said: a class of words, or of one voice, has other speech for its negatives."""
    return says(excerpt.text, classes) if excerpt.kind == "speech" else same_sound(excerpt.name, classes)


@lru_cache(maxsize=3)
def _part(part: Split) -> list[tuple[Excerpt, BankSound]]:
    index = msgspec.json.decode(asset(f"{_FOLDER}/index.json").read_bytes(), type=Index)
    found = []
    for name, excerpts in index.files.items():
        if not name.startswith(f"{part}-"):
            continue
        samples = read_audio(asset(f"{_FOLDER}/{name}"), index.sample_rate)
        samples.flags.writeable = False  # shared by all who ask
        found += [(e, BankSound(e.kind, e.name, samples[e.start : e.start + e.length])) for e in excerpts]
    return found
