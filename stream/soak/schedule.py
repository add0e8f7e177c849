"""What a soak pushes: a seeded schedule of recordings, silence, noise, clipping and damage, with exact books of
every sample that it spoils or leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.messages import Chunk

ROUNDS = 4  # each holds every kind of input, so that a later round can be held against the earlier ones
SHARES = {"recordings": 0.5, "silence": 0.125, "noise": 0.125, "clipped": 0.125, "damaged": 0.125}
_BAD = np.array([np.nan, np.inf, -np.inf, 1e30, -3e38], np.float32)

Samples = NDArray[np.float32]


@dataclass
class Books:
    """What was done to the stream, to the sample.

    Attributes:
        end: absolute index one past the last sample pushed.
        lost: samples left out (the start of a chunk jumps).
        missing: spoiled samples in runs too long to mend.
        repaired: spoiled samples in runs short enough to mend.
        runs: absolute [start, end) of every stretch that has no gap in it, in order; the last one still grows.
    """

    end: int
    lost: int = 0
    missing: int = 0
    repaired: int = 0
    runs: list[list[int]] = field(default_factory=list)


class Schedule:
    """Chunks for the stream, and the books about them.

    Args:
        recordings: (n,) float32 each, at ``sample_rate``, finite.
        sample_rate: Hz.
        max_hole: longest run of bad samples that the stream mends, samples.
        max_gap: longest gap over which the stream carries its state, samples.
        seed: of everything random.
        start: absolute index of the first sample.
    """

    def __init__(
        self,
        recordings: Sequence[Samples],
        sample_rate: int,
        max_hole: int,
        max_gap: int,
        seed: int = 0,
        start: int = 0,
    ) -> None:
        self.sample_rate = sample_rate
        self.books = Books(start, runs=[[start, start]])
        self._recordings = recordings
        self._max_hole = max_hole
        self._max_gap = max_gap
        self._rng: Any = np.random.default_rng(seed)

    def play(self, kind: str, length: int) -> Iterator[Chunk]:
        """At least ``length`` samples of one kind of input, in chunks of all sizes."""
        stop = self.books.end + length
        while self.books.end < stop:
            if kind in ("recordings", "damaged") and self._rng.random() < 0.3:
                self.skip(int(self._rng.integers(1, self._max_gap + 1)))  # a longer one would reset the state
            samples = self._segment(kind, round(self._rng.uniform(2, 20) * self.sample_rate))
            yield from self.cut(samples)

    def skip(self, length: int) -> None:
        """Lose samples: the next chunk starts later."""
        self.books.lost += length
        self.books.end += length
        self.books.runs.append([self.books.end, self.books.end])

    def cut(self, samples: Samples) -> Iterator[Chunk]:
        """These samples in chunks: mostly long ones, sometimes single hops and odd sizes."""
        small = self._rng.random() < 0.05
        at = 0
        while at < len(samples):
            size = int(self._rng.integers(1, 700) if small else self._rng.integers(8000, 160_000))
            small = small and at < 20_000
            part = samples[at : at + size]
            chunk = Chunk(part, self.books.end, self.sample_rate)
            self.books.end += len(part)
            self.books.runs[-1][1] = max(self.books.runs[-1][1], self.books.end)
            at += len(part)
            yield chunk

    def excerpt(self, length: int) -> Samples:
        """A piece of a recording, repeated where that is shorter."""
        source = self._recordings[int(self._rng.integers(len(self._recordings)))]
        at = int(self._rng.integers(len(source)))
        return np.resize(np.roll(source, -at), length)

    def _segment(self, kind: str, length: int) -> Samples:
        if kind == "silence":
            return np.zeros(length, np.float32)
        if kind == "noise":
            level = 10.0 ** self._rng.uniform(-5, 0)
            return np.asarray(level * self._rng.standard_normal(length), np.float32)
        gain = np.float32(10.0 ** self._rng.uniform(-2, 0.3))
        sound: Samples = gain * self.excerpt(length)
        if kind == "clipped":
            return np.asarray(np.clip(50 * sound, -1, 1), np.float32)
        if self._rng.random() < 0.5:
            sound = sound + self.excerpt(length)
        return self._damage(sound) if kind == "damaged" else sound

    def _damage(self, sound: Samples) -> Samples:
        """Put holes of bad samples in, with at least one good sample on both sides of each."""
        at = 1
        while True:
            at += int(self._rng.integers(1, self.sample_rate))
            longest = self._max_hole if self._rng.random() < 0.8 else 10 * self._max_hole
            length = int(self._rng.integers(1, longest + 1))
            if at + length + 1 >= len(sound):
                return sound
            sound[at : at + length] = self._rng.choice(_BAD, length)
            self._enter_hole(self.books.end + at, length)
            at += length + 1

    def _enter_hole(self, start: int, length: int) -> None:
        if length <= self._max_hole:
            self.books.repaired += length
        else:
            self.books.missing += length
            self.books.runs[-1][1] = start
            self.books.runs.append([start + length, start + length])
