"""Drum patterns out of single hits: percussion is the music that networks take for noise, and few songs hold it alone.

A kit is a handful of hits of one group. The darkest is played like a bass drum, the brightest like a hi-hat, the
others like a snare or fills, on a grid of sixteenths that repeats with small changes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.sources.bank import Clip, Source
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]
STEPS_PER_BAR = 16
LONGEST_HIT_SECONDS = 2
# Chance of a hit on each sixteenth of a bar, by part.
LOW = (0.95, 0.05, 0.1, 0.15, 0.3, 0.05, 0.25, 0.15, 0.8, 0.1, 0.35, 0.1, 0.3, 0.05, 0.2, 0.1)
MIDDLE = (0.02, 0.03, 0.05, 0.05, 0.9, 0.05, 0.05, 0.15, 0.05, 0.1, 0.05, 0.05, 0.9, 0.05, 0.15, 0.15)
HIGH = (0.9, 0.3, 0.8, 0.3) * 4


def beat(source: Source, length: int, rng: np.random.Generator) -> Samples:
    """(length,) float32: one kit, one tempo (60 to 180 beats a minute), a pattern of one or two bars."""
    drums = _kit(source, rng)
    bars = int(rng.integers(1, 3))
    pattern = np.stack(
        [
            rng.random(STEPS_PER_BAR * bars) < np.resize(part, STEPS_PER_BAR * bars)
            for part in _parts(len(drums), rng)
        ]
    )
    step = 60 / rng.uniform(60, 180) / 4 * SAMPLE_RATE
    swing = rng.uniform(0, 0.35) if rng.random() < 0.4 else 0.0
    loud = rng.uniform(0.3, 1.0, len(drums))
    out = np.zeros(length + 4 * SAMPLE_RATE, np.float32)
    for index in range(int(length / step) + 1):
        step_of_pattern = index % pattern.shape[1]
        played = pattern[:, step_of_pattern] ^ (
            rng.random(len(drums)) < 0.03
        )  # no two bars are quite the same
        for drum in np.flatnonzero(played):
            at = int((index + swing * (index % 2)) * step + abs(rng.normal(0, 0.004)) * SAMPLE_RATE)
            hit = drums[drum][: len(out) - at]
            out[at : at + len(hit)] += hit * np.float32(loud[drum] * rng.uniform(0.6, 1.0))
    return out[:length]


def _kit(source: Source, rng: np.random.Generator) -> list[Samples]:
    """Three to six hits of one group, dark to bright, each at most two seconds."""
    first = source.draw("drums", rng)
    clips: list[Clip] = source.clips("drums", first.group) or [first]
    chosen = [first, *(clips[int(rng.integers(len(clips)))] for _ in range(int(rng.integers(2, 6))))]
    hits = [source.read(clip, 0, LONGEST_HIT_SECONDS * SAMPLE_RATE) for clip in chosen]
    return sorted((hit / np.float32(max(float(np.abs(hit).max()), 1e-3)) for hit in hits), key=_brightness)


def _parts(drums: int, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Chances by drum, dark to bright; what is neither first nor last plays off the beat or fills."""
    between = [np.array(MIDDLE) if n == 0 else rng.uniform(0, 0.25, STEPS_PER_BAR) for n in range(drums - 2)]
    return [np.array(LOW), *between, np.array(HIGH) * rng.uniform(0.3, 1)]


def _brightness(hit: Samples) -> float:
    """The frequency, as a share of the highest, below which half of the energy lies."""
    energy = np.cumsum(np.square(np.abs(np.fft.rfft(hit[:8192]))))
    return float(np.searchsorted(energy, energy[-1] / 2) / len(energy))
