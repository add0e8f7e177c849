"""Streams of sound that is no class: speech, music, noise and silence, to count false alarms on and to train with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.augmentation.waveform import add_room
from export.data.recording import Split
from export.scenes.bank import bank_sounds
from export.scenes.loops import loops_of
from export.scenes.names import same_sound
from export.scenes.synthetic import NOISES, Generator, melody, self_noise

Kind = Literal["speech", "music", "noise", "silence"]
KINDS: tuple[Kind, ...] = ("speech", "music", "noise", "silence")
_PARTS: tuple[Split, ...] = ("train", "validation", "test")
_SYNTHETIC = {"music": 1.0, "noise": 0.45}  # share of synthetic pieces
_FLOOR_DBFS = (-90.0, -50.0)  # of what a microphone gives in silence
_LEVEL_DBFS = (-45.0, -6.0)  # of what sounds, RMS
_PAUSE_SECONDS = {"speech": (0.1, 2.0), "music": (0.0, 0.3), "noise": (0.0, 2.5)}
_STEP_SECONDS = (2.0, 20.0)  # of silence at one level
_LONGEST_PIECE_SECONDS = 8.0
_ROOM_SHARE = 0.6
_LOOP_SECONDS = 12.0


@dataclass(frozen=True, eq=False, slots=True)
class NegativeStream:
    """Sound without any event.

    Attributes:
        kind: what it is.
        samples: (n,) float32, full scale is 1.
    """

    kind: Kind
    samples: NDArray[np.float32]


class Negatives:
    """Draws sound that is no class, from the sources of one part.

    Args:
        part: which sources; the three parts share none.
        sample_rate: Hz.
        without: names of classes; what may be one of them is left out.
        loops: keep so many loops of each kind of synthetic sound and draw from them, for training, where hours are
            needed in seconds; 0 = every sound is made anew.

    Attributes:
        noises: makers of noise that are left.
    """

    def __init__(self, part: Split, sample_rate: int, without: Sequence[str] = (), *, loops: int = 0) -> None:
        self.part, self.sample_rate = part, sample_rate
        self._recorded: dict[str, list[NDArray[np.float32]]] = {kind: [] for kind in KINDS}
        for sound in bank_sounds(part, sample_rate, without=without):
            self._recorded[sound.kind].append(sound.samples)
        self.noises = [make for make, names in NOISES.items() if not same_sound(names, without)]
        self._loops = {
            make: loops_of(make, loops, _LOOP_SECONDS, sample_rate, (_PARTS.index(part) << 8) + number)
            for number, make in enumerate((self_noise, melody, *NOISES))
            if loops
        }

    def _made(self, make: Generator, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """(n,) float32 of a maker, or of its loops."""
        kept = self._loops.get(make)
        return make(rng, n, self.sample_rate) if kept is None else kept.draw(rng, n)

    def draw(self, kind: Kind, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """(n,) float32 of ``kind``: pieces one after the other, at any level; silence at that of a microphone."""
        if kind == "silence":
            return self._silence(rng, n)
        out = np.zeros(n, np.float32)
        at = 0
        while at < n:
            piece = self._piece(kind, rng)[: n - at]
            out[at : at + len(piece)] = piece
            at += len(piece) + round(rng.uniform(0.0, 0.25) * self.sample_rate)
        return out

    def stream(self, kind: Kind, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """(n,) float32 of ``kind`` as a microphone at home would hear it.

        At levels of -45 to -6 dBFS (less where that would clip), near and far, with pauses, on the
        microphone's own noise.
        """
        if kind == "silence":
            return self._steps(rng, n)
        out = self._silence(rng, n)
        at = round(rng.uniform(0, 1) * self.sample_rate)
        level = rng.uniform(*_LEVEL_DBFS)
        while at < n:
            if rng.random() < 0.2:  # somebody else, or further away
                level = rng.uniform(*_LEVEL_DBFS)
            piece = self._piece(kind, rng)[: n - at]
            if rng.random() < _ROOM_SHARE:
                piece = add_room(piece, self.sample_rate, rng.uniform(0.1, 0.8), rng)
            rms, peak = float(np.sqrt(np.mean(piece**2))), float(np.abs(piece).max(initial=0.0))
            gain = min(10 ** (level / 20) / max(rms, 1e-6), 0.99 / max(peak, 1e-6))
            out[at : at + len(piece)] += piece * np.float32(gain)
            at += len(piece) + round(rng.uniform(*_PAUSE_SECONDS[kind]) * self.sample_rate)
        return np.clip(out, -1, 1)

    def _piece(self, kind: Kind, rng: np.random.Generator) -> NDArray[np.float32]:
        """One recording, or a synthetic sound of one to eight seconds."""
        recorded = self._recorded[kind]
        if recorded and rng.random() >= _SYNTHETIC.get(kind, 0.0):
            return recorded[int(rng.integers(len(recorded)))]
        n = round(rng.uniform(1, _LONGEST_PIECE_SECONDS) * self.sample_rate)
        if kind == "music":
            return self._made(melody, rng, n)
        return self._made(self.noises[int(rng.integers(len(self.noises)))], rng, n)

    def _steps(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """Silence of one kind and level after the other."""
        out = np.empty(n, np.float32)
        at = 0
        while at < n:
            size = min(n - at, round(rng.uniform(*_STEP_SECONDS) * self.sample_rate))
            out[at : at + size] = self._silence(rng, size)
            at += size
        return out

    def _silence(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """Digital zeros, or what a microphone gives when nothing sounds; sometimes one after the other."""
        if n > 4 * self.sample_rate and rng.random() < 0.3:
            half = int(rng.uniform(0.2, 0.8) * n)
            return np.concatenate([self._silence(rng, half), self._silence(rng, n - half)])
        if rng.random() < 0.2:
            return np.full(n, rng.choice([0.0, 0.0, rng.uniform(-0.003, 0.003)]), np.float32)
        level = 10 ** (rng.uniform(*_FLOOR_DBFS) / 20)
        noise = self._made(self_noise, rng, n)
        return noise * np.float32(level / max(float(np.sqrt(np.mean(noise**2))), 1e-9))


def negative_streams(
    part: Split,
    sample_rate: int,
    seconds: float,
    *,
    kinds: Sequence[Kind] = KINDS,
    seed: int = 0,
    without: Sequence[str] = (),
) -> list[NegativeStream]:
    """One stream of ``seconds`` of each kind, the same for the same arguments.

    Args:
        part: which sources it is made of; the three parts share none.
        sample_rate: Hz.
        seconds: length of each stream.
        kinds: which.
        seed: of every draw.
        without: names of classes; what may be one of them is left out.
    """
    negatives = Negatives(part, sample_rate, without)
    n, minute = round(seconds * sample_rate), 60 * sample_rate
    made = []
    for kind in kinds:
        rng = np.random.default_rng((seed, KINDS.index(kind), _PARTS.index(part)))
        cuts = [negatives.stream(kind, rng, min(minute, n - at)) for at in range(0, n, minute)]
        made.append(NegativeStream(kind, np.concatenate(cuts)))
    return made
