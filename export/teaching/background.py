"""Background: long stretches of what is none of the taught sounds, with the name of each piece in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Split
from export.scenes.bank import bank_sounds
from export.scenes.names import same_sound
from export.scenes.negatives import Negatives
from export.scenes.synthetic import NOISES, melody
from export.teaching.heard import at_speed, in_place
from stream.capture.files import read_audio

Array = NDArray[np.float32]
STRETCH_SECONDS = 60.0
_LEVEL_DBFS = (-45.0, -6.0)
_PAUSE_SECONDS = (0.05, 1.0)
_OTHER_VOICES = 0.2  # largest change of speed of a voice of the bank: there are few in it
_MUSIC_SECONDS, _NOISE_SECONDS, _SILENCE_SECONDS = 8.0, 4.0, 60.0
_FLOOR_SECONDS = 4.0


@dataclass(frozen=True, eq=False, slots=True)
class Stretch:
    """A stretch of background.

    Attributes:
        samples: (n,) float32.
        ends: one past the last sample of each piece, ascending.
        names: of the pieces.
    """

    samples: Array
    ends: tuple[int, ...]
    names: tuple[str, ...]

    def name_at(self, sample: int) -> str:
        """What sounds there, or did last."""
        return self.names[min(int(np.searchsorted(self.ends, sample, side="right")), len(self.names) - 1)]


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of each: times that all recordings of the bank are heard, and pieces that are made."""

    voices: int = 2
    things: int = 2
    music: int = 12
    noises: int = 40
    silences: int = 2


def bank_background(
    part: Split, sample_rate: int, amount: Amount, *, without: Sequence[str] = (), seed: int = 0
) -> list[Stretch]:
    """The bank of negatives as it will be heard: each recording several times, at other levels, in other rooms.

    Args:
        part: which sources.
        sample_rate: Hz.
        amount: of it.
        without: names of sounds; what may be one of them is left out.
        seed: of every draw.
    """
    rng = np.random.default_rng((seed, 17))
    silence = Negatives(part, sample_rate, without)
    pieces = list(_pieces(part, sample_rate, amount, without, rng))
    order = rng.permutation(len(pieces)).tolist()
    return [
        *_stretches([pieces[i] for i in order], sample_rate, silence, rng),
        *(
            Stretch(
                _silent(silence, rng, round(_SILENCE_SECONDS * sample_rate), sample_rate), (1,), ("silence",)
            )
            for _ in range(amount.silences)
        ),
    ]


def file_background(files: Iterable[Path], sample_rate: int) -> Iterator[Stretch]:
    """The user's own recordings of background, whole, one after the other: all together may be hours.

    Raises:
        UnreadableAudio: a file that cannot be read.
    """
    for file in files:
        samples = np.nan_to_num(read_audio(file, sample_rate))
        if len(samples):
            yield Stretch(samples, (len(samples),), (file.name,))


def _pieces(
    part: Split, sample_rate: int, amount: Amount, without: Sequence[str], rng: np.random.Generator
) -> Iterator[tuple[str, Array]]:
    for sound in bank_sounds(part, sample_rate, without=without):
        voice = sound.kind == "speech"
        for turn in range(amount.voices if voice else amount.things):
            spread = _OTHER_VOICES if voice else 0.5 * _OTHER_VOICES
            factor = float(np.exp(rng.uniform(-spread, spread))) if turn else 1.0
            samples = sound.samples if factor == 1 else at_speed(sound.samples, sample_rate, factor)
            yield "speech" if voice else sound.name, in_place(samples, sample_rate, rng)
    for _ in range(amount.music):
        yield "music", melody(rng, round(_MUSIC_SECONDS * sample_rate), sample_rate)
    makers = [make for make, names in NOISES.items() if not same_sound(names, without)]
    for i in range(amount.noises if makers else 0):
        make = makers[i % len(makers)]
        yield make.__name__.replace("_", " "), make(rng, round(_NOISE_SECONDS * sample_rate), sample_rate)


def _stretches(
    pieces: Sequence[tuple[str, Array]], sample_rate: int, silence: Negatives, rng: np.random.Generator
) -> Iterator[Stretch]:
    """The pieces one after the other, with pauses, on a microphone's noise."""
    waiting = list(pieces)
    while waiting:
        placed: list[Array] = []
        ends: list[int] = []
        names: list[str] = []
        at = 0
        while waiting and at < STRETCH_SECONDS * sample_rate:
            name, samples = waiting.pop()
            peak, rms = float(np.abs(samples).max(initial=0.0)), float(np.sqrt(np.mean(samples**2)))
            gain = min(10 ** (rng.uniform(*_LEVEL_DBFS) / 20) / max(rms, 1e-6), 0.99 / max(peak, 1e-6))
            pause = np.zeros(round(rng.uniform(*_PAUSE_SECONDS) * sample_rate), np.float32)
            placed += [samples * np.float32(gain), pause]
            at += len(samples) + len(pause)
            ends.append(at)
            names.append(name)
        whole = np.concatenate(placed)
        floor = np.resize(_floor(silence, rng, sample_rate), len(whole))
        yield Stretch(np.clip(whole + floor, -1, 1), tuple(ends), tuple(names))


def _silent(silence: Negatives, rng: np.random.Generator, n: int, sample_rate: int) -> Array:
    """Silence of one kind and level after the other."""
    parts = [_floor(silence, rng, sample_rate) for _ in range(0, n, round(_FLOOR_SECONDS * sample_rate))]
    return np.concatenate(parts)[:n]


def _floor(silence: Negatives, rng: np.random.Generator, sample_rate: int) -> Array:
    """Some seconds of what a microphone gives in silence; long ones cost more than all the rest."""
    return silence.draw("silence", rng, round(_FLOOR_SECONDS * sample_rate))
