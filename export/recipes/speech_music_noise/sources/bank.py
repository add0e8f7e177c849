"""Clips of one side of the split, read from the decoded banks a piece at a time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.sources.rules import KINDS, SAMPLE_RATE, STOCK, Split, Stock
from stream.errors import DataError

# Dialogue and sentences are nearest to how people talk; single letters and words are many but say less. Real rooms
# and streets are what noise is; the lasers and beeps of games are few, and near to electronic music.
CORPUS_WEIGHTS = {
    "fillets-ng-data-cs": 2.5, "digits": 0.2, "commands": 0.35, "klettres-data": 0.25, "ktuberling-data": 0.5,
    "tuxpaint-stamps-default": 0.7, "sonic-pi-samples": 0.5, "hedgewars-data": 0.8, "megaglest-data": 0.7,
    "ambience": 2.0, "wordwarvi-sound": 0.3, "bzflag-data": 0.4, "lugaru-data": 0.6, "lmms-common": 0.6,
    "qabcs-data": 0.5, "kajongg": 0.7, "bucklespring-data": 0.5, "minetest-data": 0.7, "hydrogen-drumkits-effects": 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """Where one recording lies: samples ``start`` to ``start + length`` of ``corpus``'s bank."""

    corpus: str
    path: str
    group: str
    start: int
    length: int


class Source(Protocol):
    """What the composer needs: recordings of a kind, more of the same speaker, and one instrument's hits or notes."""

    def draw(self, kind: Stock, rng: np.random.Generator) -> Clip: ...

    def more(self, clip: Clip, kind: Stock, rng: np.random.Generator) -> Clip: ...

    def clips(self, kind: Stock, group: str | None = None) -> list[Clip]: ...

    def read(self, clip: Clip, start: int, length: int) -> NDArray[np.float32]: ...


class Bank:
    """The clips of one side of the split.

    Drawn corpus first, then group, then clip, each corpus and group by the square root of its duration: the
    long ones do not drown the many.

    Attributes:
        licences: corpus -> its licence in words.
        digest: sixteen hex digits that change when the clips do.

    Raises:
        DataError: no bank in ``folder``, or a kind without clips.
    """

    def __init__(self, folder: Path, split: Split, without: frozenset[str] = frozenset()) -> None:
        """``without``: corpora to leave out."""
        self._samples: dict[str, NDArray[np.int16]] = {}
        self._groups: dict[Stock, dict[str, list[Clip]]] = {kind: {} for kind in STOCK}
        self.licences: dict[str, str] = {}
        for index in sorted(folder.glob("*.json")):
            if index.stem not in without:
                self._add(index, split)
        for kind in KINDS:
            if not self._groups[kind]:
                raise DataError(f"{folder}: no {kind} recordings in its banks; gather the corpora first")
        clips = [clip for kind in STOCK for clip in self.clips(kind)]
        self.digest = hashlib.sha256(repr(clips).encode()).hexdigest()[:16]
        self._chances = {kind: self._weigh(kind) for kind in STOCK}

    def _add(self, index: Path, split: Split) -> None:
        loaded = json.loads(index.read_text())
        rows = [row for row in loaded["clips"] if row["split"] == split]
        if not rows:
            return
        self.licences[index.stem] = loaded["licence"]
        self._samples[index.stem] = np.memmap(index.with_suffix(".i16"), dtype="<i2", mode="r")
        for row in rows:
            clip = Clip(index.stem, row["path"], row["group"], row["start"], row["length"])
            self._groups[row["kind"]].setdefault(clip.group, []).append(clip)

    def _weigh(self, kind: Stock) -> tuple[list[str], NDArray[np.float64]]:
        groups = self._groups[kind]
        seconds = {name: sum(clip.length for clip in clips) / SAMPLE_RATE for name, clips in groups.items()}
        corpus = {name: clips[0].corpus for name, clips in groups.items()}
        whole: dict[str, float] = {}
        roots: dict[str, float] = {}
        for name, length in seconds.items():
            whole[corpus[name]] = whole.get(corpus[name], 0.0) + length
            roots[corpus[name]] = roots.get(corpus[name], 0.0) + length**0.5
        names = list(groups)
        chance = np.array(
            [
                CORPUS_WEIGHTS.get(corpus[n], 1.0)
                * whole[corpus[n]] ** 0.5
                * seconds[n] ** 0.5
                / roots[corpus[n]]
                for n in names
            ]
        )
        return names, np.cumsum(chance / chance.sum())

    def clips(self, kind: Stock, group: str | None = None) -> list[Clip]:
        """All clips of a kind, or of one group of it; empty where there is none."""
        if group is not None:
            return self._groups[kind].get(group, [])
        return [clip for clips in self._groups[kind].values() for clip in clips]

    def draw(self, kind: Stock, rng: np.random.Generator) -> Clip:
        names, steps = self._chances[kind]
        at = min(int(np.searchsorted(steps, rng.random())), len(names) - 1)
        return self._pick(self._groups[kind][names[at]], rng)

    def more(self, clip: Clip, kind: Stock, rng: np.random.Generator) -> Clip:
        """Another clip (or the same) of the same group."""
        return self._pick(self._groups[kind][clip.group], rng)

    @staticmethod
    def _pick(clips: list[Clip], rng: np.random.Generator) -> Clip:
        return clips[int(rng.integers(len(clips)))]

    def read(self, clip: Clip, start: int, length: int) -> NDArray[np.float32]:
        """(length or fewer at the end of the clip,) float32 from ``start`` within the clip."""
        begin = clip.start + start
        end = min(begin + length, clip.start + clip.length)
        return self._samples[clip.corpus][begin:end].astype(np.float32) / 32768.0
