"""Chunks of ten seconds of everything: recordings of Debian's packages, synthetic words, noises that are made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.recipes.espeak import spoken
from export.recipes.keywords import WORDS
from export.recipes.sentences import SENTENCES
from export.recipes.speech_music_noise.sources.bank import Bank
from export.recipes.speech_music_noise.sources.corpora import PACKAGES
from export.recipes.speech_music_noise.sources.gather import build_bank, fetch
from export.recipes.voices import flite
from export.scenes.negatives import Negatives
from export.teaching.heard import at_speed, in_place

Array = NDArray[np.float32]
RATE = 16_000
CHUNK_SECONDS = 10
CORPORA = (
    "klettres-data", "ktuberling-data", "asterisk-core-sounds-en-g722", "asterisk-core-sounds-it-g722",
    "asterisk-prompt-es-co", "asterisk-prompt-fr-armelle", "fillets-ng-data-cs", "tuxpaint-stamps-default",
    "ufoai-sound", "colobot-common-sounds", "sonic-pi-samples", "lomiri-sounds", "hedgewars-data", "boswars-data",
    "bucklespring-data", "hydrogen-drumkits-effects", "marsshooter-data", "wesnoth-1.16-data", "warzone2100-data",
    "minetest-data",
)  # fmt: skip
# What the table of few shots measures on; nobody says it in the synthetic words.
MEASURED = frozenset(
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "bed", "cat", "happy"]
)
SPOKEN_WORDS = 4000
_KINDS = ("speech", "word", "noise", "music", "mix")
_SHARES = (0.33, 0.2, 0.3, 0.05, 0.12)


def licences() -> list[str]:
    """A line for each corpus."""
    by_name = {corpus.name: corpus.licence for corpus in PACKAGES}
    return [f"{name}: {by_name[name]}" for name in CORPORA]


def synthetic_words(rng: np.random.Generator, count: int = SPOKEN_WORDS) -> list[Array]:
    """Common English words, three of four in the voices of espeak-ng, the others in those of flite."""
    english = " ".join(
        s for part in SENTENCES.values() for lang, said in part.items() if lang.startswith("en") for s in said
    )
    words = sorted({*WORDS.split(), *re.findall(r"[a-z]+", english.lower())} - MEASURED)
    made = [*islice(spoken(words, RATE, rng), count * 3 // 4), *islice(flite(words, RATE, rng), count // 4)]
    return [samples for samples, _, _ in made]


@dataclass(frozen=True, eq=False)
class Material:
    """Draws chunks.

    Attributes:
        bank: of recordings.
        words: synthetic ones.
        other: makers of noise.
    """

    bank: Bank
    words: Sequence[Array]
    other: Negatives

    @classmethod
    def gathered(cls, cache: Path, rng: np.random.Generator) -> Material:
        """Fetch and decode what is not there yet."""
        by_name = {corpus.name: corpus for corpus in PACKAGES}
        for name in CORPORA:
            if not (cache / "bank" / f"{name}.json").is_file():
                build_bank(by_name[name], fetch(name, cache), cache / "bank")
        return cls(Bank(cache / "bank", "train"), synthetic_words(rng), Negatives("train", RATE))

    def chunk(self, rng: np.random.Generator) -> Array:
        """(n,) float32: sounds of one kind or of several after each other, at times with another under them."""
        out = np.zeros(CHUNK_SECONDS * RATE, np.float32)
        main = str(rng.choice(_KINDS, p=_SHARES))
        level = rng.uniform(-30, -10)
        at = int(rng.uniform(0, 0.3) * RATE)
        while at < len(out):
            kind = str(rng.choice(("speech", "word", "noise"))) if main == "mix" else main
            sound = self._sound(kind, 2.5 if kind == "noise" else 4.0, rng)
            if rng.random() < 0.3 and len(sound) > RATE // 20:
                sound = at_speed(sound, RATE, float(np.exp(rng.uniform(-0.18, 0.18))))
            if rng.random() < 0.35:
                sound = in_place(sound, RATE, rng)
            sound = _at(sound, level + rng.normal(0, 3))[: len(out) - at]
            out[at : at + len(sound)] += sound
            at = max(0, at + len(sound) + (0 if kind == "music" else int(rng.uniform(-0.1, 0.5) * RATE)))
        if rng.random() < 0.2:
            under = self._sound(str(rng.choice(("noise", "music", "speech"))), CHUNK_SECONDS, rng)
            out += _at(np.resize(under, len(out)), level - rng.uniform(0, 20))
        out += rng.normal(0, 10 ** (rng.uniform(-85, -60) / 20), len(out)).astype(np.float32)
        return np.clip(out, -1, 1)

    def _sound(self, kind: str, longest: float, rng: np.random.Generator) -> Array:
        if kind == "word":
            return self.words[int(rng.integers(len(self.words)))]
        if kind == "noise" and rng.random() < 0.1:
            make = self.other.noises[int(rng.integers(len(self.other.noises)))]
            return make(rng, int(rng.uniform(0.3, 2) * RATE), RATE)
        clip = self.bank.draw(kind, rng)  # type: ignore[arg-type]  # one of its kinds
        n = min(clip.length, int(longest * RATE))
        return self.bank.read(clip, int(rng.integers(0, clip.length - n + 1)), n)


def _at(sound: Array, level: float) -> Array:
    rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) if len(sound) else 0.0
    return sound * np.float32(10 ** (level / 20) / max(rms, 1e-5))
