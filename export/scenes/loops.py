"""Synthetic sound kept as loops: to make it anew for every stream would take longer than to learn from it."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from export.scenes.synthetic import Generator

_CROSSFADE_SECONDS = 0.02
_FULL_SCALE = 32767


class Loops:
    """Some seamless loops of one maker's sound, each made when it is first drawn.

    Args:
        make: makes the sound.
        count: of loops.
        seconds: length of each.
        sample_rate: Hz.
        seed: decides every loop; which was drawn before does not matter.
    """

    def __init__(self, make: Generator, count: int, seconds: float, sample_rate: int, seed: int) -> None:
        self._make, self._rate, self._seed = make, sample_rate, seed
        self._length = round(seconds * sample_rate)
        self._kept: list[NDArray[np.int16] | None] = [None] * count
        self._lock = Lock()  # training draws from a thread of its own

    def draw(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """(n,) float32 with a peak of at most 1, from anywhere in any of the loops, forwards."""
        loop = self._loop(int(rng.integers(len(self._kept))))
        begin = int(rng.integers(len(loop)))
        taken = np.take(loop, np.arange(begin, begin + n), mode="wrap")
        return taken.astype(np.float32) / np.float32(_FULL_SCALE)

    def _loop(self, k: int) -> NDArray[np.int16]:
        with self._lock:
            kept = self._kept[k]
            if kept is None:
                kept = self._kept[k] = self._made(np.random.default_rng((self._seed, k)))
            return kept

    def _made(self, rng: np.random.Generator) -> NDArray[np.int16]:
        """The sound, its end faded into its beginning."""
        fade = round(_CROSSFADE_SECONDS * self._rate)
        sound = self._make(rng, self._length + fade, self._rate)
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        sound[:fade] = sound[:fade] * ramp + sound[self._length :] * (1 - ramp)
        return np.rint(sound[: self._length] * _FULL_SCALE).astype(np.int16)


@lru_cache(maxsize=64)
def loops_of(make: Generator, count: int, seconds: float, sample_rate: int, seed: int) -> Loops:
    """The same ``Loops`` for the same arguments: several trainings in a process share them."""
    return Loops(make, count, seconds, sample_rate, seed)
