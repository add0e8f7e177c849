"""When a clean recording is active: its energy, with hangover. Labels are made from this before any mixing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.sources.rules import Kind

GRID = 160  # samples per label: 10 ms at 16 kHz


@dataclass(frozen=True)
class ActivityRule:
    """Active = less than ``below`` dB under the loud frames of the clip, and ``hangover`` seconds after.

    ``share``: but at most this share of the way (in dB) from the loud frames down to the quietest, so that the
    room behind a volunteer's voice is not taken for the voice.
    """

    below: float
    hangover: float
    share: float = 1.0


# Speech pauses longer than the hangover are pauses; music and beds of noise breathe more slowly.
ACTIVITY: dict[Kind, ActivityRule] = {
    "speech": ActivityRule(below=35.0, hangover=0.15, share=0.6),
    "music": ActivityRule(below=50.0, hangover=0.5),
    "noise": ActivityRule(below=45.0, hangover=0.3),
}


def frame_power(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n // 160,) float64 mean square of each 10 ms; a last partial frame is not counted."""
    whole = len(samples) // GRID * GRID
    return np.mean(np.square(samples[:whole].reshape(-1, GRID), dtype=np.float64), axis=1)


def activity(samples: NDArray[np.float32], kind: Kind, floor: float = 0.0) -> NDArray[np.bool_]:
    """(n // 160,) bool: whether the clean recording sounds in each 10 ms.

    Args:
        samples: (n,) float32, one clean recording at 16 kHz.
        floor: power under which nothing counts, whatever the clip's own level (the room's self-noise).
    """
    power = frame_power(samples)
    sounding = power[power > 0]
    if not len(sounding):
        return np.zeros(len(power), dtype=bool)
    rule = ACTIVITY[kind]
    quiet, loud = (10 * np.log10(level) for level in np.percentile(sounding, (5, 95)))
    below = rule.below if rule.share == 1.0 else min(rule.below, rule.share * (loud - quiet))
    # Steady sound has no quiet frames to be told from: it is active throughout.
    on = power >= max(10 ** ((loud - max(below, 6.0)) / 10), floor)
    return held(on, round(rule.hangover * 16000 / GRID))


def held(on: NDArray[np.bool_], frames: int) -> NDArray[np.bool_]:
    """``on``, and up to ``frames`` more after each time it ends."""
    index = np.arange(len(on))
    last = np.maximum.accumulate(np.where(on, index, -frames - 1))
    return index - last <= frames


def active_rms(samples: NDArray[np.float32], active: NDArray[np.bool_]) -> float:
    """Root mean square over the active 10 ms frames; 0 where none is."""
    power = frame_power(samples)[: len(active)][active]
    return float(np.sqrt(power.mean())) if len(power) else 0.0


def runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, end) frames of every stretch of True, end exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
