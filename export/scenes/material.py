"""What sounds in a composed stream beside the recordings: other sound, babble made of the recordings, noise floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from export.scenes.negatives import Kind
from export.scenes.sound_store import SoundStore

PieceKind = Literal["speech", "music", "noise", "babble", "background"]
# How often each kind is drawn where it is allowed at all.
SHARES: Mapping[PieceKind, float] = {
    "speech": 0.35, "music": 0.2, "noise": 0.3, "babble": 0.25, "background": 0.5,
}  # fmt: skip
BABBLE_VOICES = 6


class DrawsNegatives(Protocol):
    """What ``export.scenes.negatives.Negatives`` does."""

    def draw(self, kind: Kind, rng: np.random.Generator, n: int) -> NDArray[np.float32]: ...


@dataclass(frozen=True, eq=False)
class Material:
    """Draws sound that is no class.

    Attributes:
        negatives: speech, music, noise and silence.
        sounds: the recordings of the classes, for babble.
        kinds: of ``negatives`` that do not contradict the classes: to a class "music" other music is no negative.
        babble: the classes are words or the like, so their recordings played backwards are none of them.
        backgrounds: the user's own recordings of no class, (n,) float32 each.
    """

    negatives: DrawsNegatives
    sounds: SoundStore
    kinds: tuple[Kind, ...]
    babble: bool
    backgrounds: Sequence[NDArray[np.float32]] = ()
    _usable: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._usable.extend(self.sounds.usable())

    @property
    def pieces(self) -> tuple[PieceKind, ...]:
        """What ``piece`` can be."""
        own: list[PieceKind] = [kind for kind in self.kinds if kind != "silence"]
        if self.babble:
            own.append("babble")
        if self.backgrounds:
            own.append("background")
        return tuple(own)

    def piece(self, rng: np.random.Generator, n: int, kind: PieceKind | None = None) -> NDArray[np.float32]:
        """(n,) float32 of sound that is no class; silence where nothing is allowed."""
        allowed = self.pieces
        if kind is None:
            if not allowed:
                return self.floor(rng, n)
            share = np.array([SHARES[each] for each in allowed])
            kind = allowed[int(rng.choice(len(allowed), p=share / share.sum()))]
        if kind == "babble":
            return self._babble(rng, n)
        if kind == "background":
            sound = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
            at = int(rng.integers(0, max(1, len(sound) - n)))
            return np.resize(sound[at : at + n], n)
        return self.negatives.draw(kind, rng, n)

    def floor(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """(n,) float32 of what a microphone gives when nothing sounds: zeros, self-noise, hum, an empty room."""
        return self.negatives.draw("silence", rng, n)

    def _babble(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """One to six of the recordings' voices at a time, all played backwards."""
        out = np.zeros(n, np.float32)
        for _ in range(int(rng.integers(1, BABBLE_VOICES + 1))):
            at = -int(rng.integers(0, self.sounds.sample_rate // 2))
            gain = np.float32(10 ** (rng.uniform(-10, 0) / 20))
            while at < n:
                i = self._usable[int(rng.integers(len(self._usable)))]
                first, last = (int(each) for each in self.sounds.active[i])
                part = self.sounds[i][first:last][::-1]
                peak = max(float(np.abs(part).max(initial=0.0)), 1e-6)
                begin, end = max(0, at), min(n, at + len(part))
                if end > begin:
                    out[begin:end] += part[begin - at : end - at] * (gain / np.float32(peak))
                at += len(part) + int(rng.uniform(0, 0.4) * self.sounds.sample_rate)
        return out
