"""What a soak pushes: a seeded schedule of recordings, silence, noise, clipping and damage, and a ledger of every
sample that it made invalid or left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.messages import Chunk

ROUNDS = 4  # each has every kind of input, so that a later round can be compared with the earlier ones
SHARES = {"recordings": 0.5, "silence": 0.125, "noise": 0.125, "clipped": 0.125, "damaged": 0.125}
_INVALID_VALUES = np.array([np.nan, np.inf, -np.inf, 1e30, -3e38], np.float32)

Samples = NDArray[np.float32]


@dataclass
class Ledger:
    """What was done to the stream, counted to the sample.

    Attributes:
        end: absolute index one past the last sample pushed.
        lost: samples left out (the start of a chunk jumps).
        invalid: invalid samples in runs too long to repair.
        repaired: invalid samples in runs short enough to repair.
        runs: absolute [start, end) of every stretch without a gap, in order; the last one still grows.
    """

    end: int
    lost: int = 0
    invalid: int = 0
    repaired: int = 0
    runs: list[list[int]] = field(default_factory=list)


class Schedule:
    """Chunks for the stream, and the ledger of what was done to them.

    Args:
        recordings: (n,) float32 each, at ``sample_rate``, finite.
        sample_rate: Hz.
        max_repair: longest run of invalid samples that the stream repairs, samples.
        max_gap: longest gap over which the stream carries its state, samples.
        seed: of everything random.
        start: absolute index of the first sample.
    """

    def __init__(
        self,
        recordings: Sequence[Samples],
        sample_rate: int,
        max_repair: int,
        max_gap: int,
        seed: int = 0,
        start: int = 0,
    ) -> None:
        self.sample_rate = sample_rate
        self.ledger = Ledger(start, runs=[[start, start]])
        self._recordings = recordings
        self._max_repair = max_repair
        self._max_gap = max_gap
        self._rng: Any = np.random.default_rng(seed)

    def chunks(self, kind: str, length: int) -> Iterator[Chunk]:
        """At least ``length`` samples of one kind of input, in chunks of all sizes."""
        stop = self.ledger.end + length
        while self.ledger.end < stop:
            if kind in ("recordings", "damaged") and self._rng.random() < 0.3:
                self.skip(int(self._rng.integers(1, self._max_gap + 1)))  # a longer one would reset the state
            samples = self._segment(kind, round(self._rng.uniform(2, 20) * self.sample_rate))
            yield from self.in_chunks(samples)

    def skip(self, length: int) -> None:
        """Lose samples: the next chunk starts later."""
        self.ledger.lost += length
        self.ledger.end += length
        self.ledger.runs.append([self.ledger.end, self.ledger.end])

    def in_chunks(self, samples: Samples) -> Iterator[Chunk]:
        """These samples in chunks: mostly long ones, sometimes single hops and odd sizes."""
        small = self._rng.random() < 0.05
        at = 0
        while at < len(samples):
            size = int(self._rng.integers(1, 700) if small else self._rng.integers(8000, 160_000))
            small = small and at < 20_000
            part = samples[at : at + size]
            chunk = Chunk(part, self.ledger.end, self.sample_rate)
            self.ledger.end += len(part)
            self.ledger.runs[-1][1] = max(self.ledger.runs[-1][1], self.ledger.end)
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
        """Put runs of invalid samples in, each with at least one valid sample on both sides."""
        at = 1
        while True:
            at += int(self._rng.integers(1, self.sample_rate))
            longest = self._max_repair if self._rng.random() < 0.8 else 10 * self._max_repair
            length = int(self._rng.integers(1, longest + 1))
            if at + length + 1 >= len(sound):
                return sound
            sound[at : at + length] = self._rng.choice(_INVALID_VALUES, length)
            self._count_invalid(self.ledger.end + at, length)
            at += length + 1

    def _count_invalid(self, start: int, length: int) -> None:
        if length <= self._max_repair:
            self.ledger.repaired += length
        else:
            self.ledger.invalid += length
            self.ledger.runs[-1][1] = start
            self.ledger.runs.append([start + length, start + length])
