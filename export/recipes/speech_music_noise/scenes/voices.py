"""Voices made by rule: a source of a given pitch, through formants that move; of animals, toys and singers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes.singing import HOP_SAMPLES, WINDOW_SAMPLES, cords, shape_voice
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]
Track = NDArray[np.float64]  # a value for every 10 ms
BINS = np.fft.rfftfreq(WINDOW_SAMPLES, 1 / SAMPLE_RATE)
# First three formants of spoken and sung vowels, Hz (rounded from what textbooks of phonetics give for a man).
VOWELS: tuple[tuple[float, float, float], ...] = (
    (730, 1090, 2440), (570, 840, 2410), (440, 1020, 2240), (300, 870, 2240),
    (270, 2290, 3010), (390, 1990, 2550), (530, 1840, 2480), (660, 1720, 2410),
)  # fmt: skip


def formant_tract(formants: Sequence[Track], width: float, slope: float) -> NDArray[np.float64]:
    """(frames, 257) magnitudes: a resonance at each formant, and ``slope`` dB an octave over all."""
    out = np.full((len(formants[0]), len(BINS)), 1e-3)
    for number, track in enumerate(formants):
        wide = width * (1 + 0.4 * number)
        out += 0.7**number / (1 + ((BINS - track[:, None]) / wide) ** 2)
    tilt: NDArray[np.float64] = (np.maximum(BINS, 100.0) / 100.0) ** (slope / 6.02)
    return out * tilt


def voice(
    pitch: Track,
    formants: Sequence[Track],
    rng: np.random.Generator,
    *,
    breath: float | Track = 0.05,
    loud: Track | None = None,
    width: float = 90.0,
    slope: float = -3.0,
) -> Samples:
    """(frames * 160,) float32 of peak 1: a pulse train at ``pitch`` Hz through the formants.

    Args:
        breath: share of hiss in the source, 0 to 1.
        loud: gain; None = 1 throughout.
        width: of the first formant, Hz.
    """
    frames = len(pitch)
    tract = formant_tract(formants, width, slope)
    shares = np.broadcast_to(np.asarray(breath, np.float64), (frames,))
    out = shape_voice(cords(pitch, rng), tract, shares, rng)[: frames * HOP_SAMPLES]
    if loud is not None:
        out = out * np.interp(np.arange(len(out)), (np.arange(frames) + 0.5) * HOP_SAMPLES, loud)
    peak = max(float(np.abs(out).max(initial=0)), 1e-9)
    return (out / peak).astype(np.float32)


def steady(value: float, frames: int) -> Track:
    return np.full(frames, float(value))


def bell_curve(frames: int, attack: float = 0.2) -> Track:
    """Rises over the first ``attack`` of the frames, falls over the rest."""
    at = (np.arange(frames) + 0.5) / frames
    curve: Track = np.minimum(at / attack, (1 - at) / (1 - attack)) ** 0.7
    return curve
