"""Features and sounds of all utterances, computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_sounds.phones import phones
from export.recipes.speech_sounds.transcribed import Utterance
from export.training.start import FEATURES, SHAPE
from stream.features.frontend import extract
from stream.features.spec import MfccSpec

STRIDE = SHAPE["stride"]  # frames a row of the network
RARE = 150  # a sound that is heard less often is left out
ROWS_A_SOUND = 1.15  # at least: CTC writes at most one sound a row


@dataclass(frozen=True, eq=False)
class Utterances:
    """Features one after another.

    Attributes:
        features: (T, F) float16, dB.
        start, length: (n,) frames of each utterance.
        written: the sounds of each, as numbers from 1; 0 is for "nothing new".
        source: who says it.
        sounds: letters by number, from 1.
    """

    features: NDArray[np.float16]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    written: list[list[int]]
    source: list[str]
    sounds: str

    def save(self, path: Path) -> None:
        """As one file, completed or not there."""
        part = path.with_suffix(".part.npz")
        np.savez(
            part, features=self.features, start=self.start, length=self.length, source=self.source,
            sounds=self.sounds, written=[" ".join(map(str, row)) for row in self.written],
        )  # fmt: skip
        part.rename(path)

    @classmethod
    def load(cls, path: Path) -> Utterances:
        with np.load(path) as file:
            written = [[int(each) for each in row.split()] for row in file["written"].tolist()]
            return cls(
                file["features"],
                file["start"],
                file["length"],
                written,
                file["source"].tolist(),
                str(file["sounds"]),
            )


def gathered(
    heard: Iterable[Utterance], say: Callable[[str], None], spec: MfccSpec = FEATURES, rare: int = RARE
) -> Utterances:
    """Features and sounds; what is too fast for a row every 40 ms is left out."""
    parts, texts, sources = [], [], []
    for each in heard:
        text = phones(each.text, each.language)
        if not text:
            continue
        peak = float(np.abs(each.samples).max(initial=0))
        if peak < 1e-4:
            continue
        parts.append(extract(each.samples * np.float32(0.7 / peak), spec).astype(np.float16))
        texts.append(text)
        sources.append(each.source)
        if len(parts) % 1000 == 0:
            say(f"{len(parts)} utterances, {sum(map(len, parts)) / spec.frame_rate / 3600:.2f} h")
    count = Counter("".join(texts))
    sounds = "".join(letter for letter, times in count.most_common() if times >= rare)
    number = {letter: place for place, letter in enumerate(sounds, 1)}
    written = [[number[letter] for letter in text if letter in number] for text in texts]
    kept = [
        i
        for i, row in enumerate(written)
        if row and len(row) * STRIDE * ROWS_A_SOUND + 2 * STRIDE < len(parts[i])
    ]
    length = np.array([len(parts[i]) for i in kept])
    return Utterances(
        np.concatenate([parts[i] for i in kept]), np.cumsum(length) - length, length,
        [written[i] for i in kept], [sources[i] for i in kept], sounds,
    )  # fmt: skip
