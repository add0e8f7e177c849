"""What sounds in a house behind an alarm: people, music, things, or nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Split
from export.recipes.speech_music_noise.scenes import beats, effects, notes, singing
from export.recipes.speech_music_noise.sources.bank import Bank
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE, Kind
from export.scenes.negatives import Negatives
from export.scenes.sound_store import active_rms

Samples = NDArray[np.float32]
_BESIDE_BANK = 0.25  # share of speech and noise from the voices and things that come with the project
_WITHOUT = ("beep", "alarm")  # what is synthesised as noise and would be a beep
_LONGEST = {"speech": 20.0, "music": 60.0, "noise": 60.0}  # seconds of one use of a clip


class Backgrounds:
    """Draws sound of a kind from one part.

    Args:
        bank: recordings.
        part: of the voices and things that come with the project.
        made: share of music made of notes, hits and sung voices; 0 where the bank has none.
    """

    def __init__(self, bank: Bank, part: Split, made: float) -> None:
        self.bank, self.made = bank, made
        self.negatives = Negatives(part, SAMPLE_RATE, _WITHOUT, loops=4)

    def draw(self, kind: Kind, n: int, rng: np.random.Generator) -> Samples:
        """(n,) float32 of a kind, with an RMS of about 1 while it sounds, in a colour of its own."""
        if kind != "music" and rng.random() < _BESIDE_BANK:
            out = self.negatives.stream(kind, rng, n)
        elif kind == "music" and rng.random() < self.made:
            out = self._made(n, rng)
        else:
            out = self._recorded(kind, n, rng)
        if rng.random() < 0.5:
            out = effects.equalise(out, rng, 3.0 if kind != "noise" else 6.0)
        if rng.random() < 0.3:
            out = out * effects.envelope(n, rng, depth=rng.uniform(2, 10), every=rng.uniform(0.5, 6))
        return out / np.float32(max(active_rms(out, SAMPLE_RATE), 1e-6))

    def _recorded(self, kind: Kind, n: int, rng: np.random.Generator) -> Samples:
        out, at = np.zeros(n, np.float32), 0
        first = clip = self.bank.draw(kind, rng)
        while at < n:
            length = min(n - at, clip.length, round(_LONGEST[kind] * SAMPLE_RATE))
            piece = self.bank.read(clip, int(rng.integers(clip.length - length + 1)), length)
            piece = piece / np.float32(max(active_rms(piece, SAMPLE_RATE), 1e-4))
            piece = effects.fade(piece, 0.005, 0.02)
            out[at : at + len(piece)] = piece
            at += len(piece)
            if kind == "speech":  # the same person goes on
                at += round(
                    (rng.uniform(0.03, 0.5) if rng.random() < 0.65 else rng.uniform(0.5, 1.8)) * SAMPLE_RATE
                )
                clip = self.bank.more(first, kind, rng)
            else:
                at += round(rng.exponential(0.4) * SAMPLE_RATE) if kind == "noise" else 0
                clip = self.bank.draw(kind, rng)
        return out

    def _made(self, n: int, rng: np.random.Generator) -> Samples:
        makers: tuple[Callable[[], Samples], ...] = (
            lambda: notes.tune(self.bank, n, rng),
            lambda: beats.beat(self.bank, n, rng),
            lambda: singing.sing(self.bank.read(self.bank.draw("speech", rng), 0, 6 * SAMPLE_RATE), n, rng),
            lambda: self.negatives.draw("music", rng, n),
        )
        out = makers[int(rng.choice(4, p=(0.5, 0.15, 0.2, 0.15)))]()
        if rng.random() < 0.3:
            share = np.float32(10 ** (rng.uniform(-10, 10) / 20))
            out = out / np.float32(max(active_rms(out, SAMPLE_RATE), 1e-6)) + share * self._recorded(
                "music", n, rng
            )
        return out
