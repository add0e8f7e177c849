"""When a clean recording is active: its energy, with hangover. Labels are made from this before any mixing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE, Kind

CELL_SAMPLES = 160  # of a label: 10 ms at 16 kHz


@dataclass(frozen=True)
class ActivityRule:
    """Active = less than ``below_db`` under the loud cells of the clip, and ``hangover_seconds`` after.

    ``share``: but at most this share of the way (in dB) from the loud cells down to the quietest, so that the
    room behind a volunteer's voice is not taken for the voice.
    """

    below_db: float
    hangover_seconds: float
    share: float = 1.0


# Speech pauses longer than the hangover are pauses; music and beds of noise breathe more slowly.
ACTIVITY: dict[Kind, ActivityRule] = {
    "speech": ActivityRule(below_db=35.0, hangover_seconds=0.15, share=0.6),
    "music": ActivityRule(below_db=50.0, hangover_seconds=0.5),
    "noise": ActivityRule(below_db=45.0, hangover_seconds=0.3),
}


def cell_power(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n // 160,) float64 mean square of each 10 ms; a last partial cell is not counted."""
    whole = len(samples) // CELL_SAMPLES * CELL_SAMPLES
    power: NDArray[np.float64] = np.mean(
        np.square(samples[:whole].reshape(-1, CELL_SAMPLES), dtype=np.float64), axis=1
    )
    return power


def activity(samples: NDArray[np.float32], kind: Kind, floor: float = 0.0) -> NDArray[np.bool_]:
    """(n // 160,) bool: whether the clean recording sounds in each 10 ms.

    Args:
        samples: (n,) float32, one clean recording at 16 kHz.
        floor: power under which nothing counts, whatever the clip's own level (the room's self-noise).
    """
    power = cell_power(samples)
    sounding = power[power > 0]
    if not len(sounding):
        return np.zeros(len(power), dtype=bool)
    rule = ACTIVITY[kind]
    quiet, loud = (10 * np.log10(level) for level in np.percentile(sounding, (5, 95)))
    below = rule.below_db if rule.share == 1.0 else min(rule.below_db, rule.share * (loud - quiet))
    # Steady sound has no quiet cells to be told from: it is active throughout.
    on = power >= max(10 ** ((loud - max(below, 6.0)) / 10), floor)
    return with_hangover(on, round(rule.hangover_seconds * SAMPLE_RATE / CELL_SAMPLES))


def audible(samples: NDArray[np.float32], kind: Kind, floor: float) -> NDArray[np.bool_]:
    """(n // 160,) bool: where there is more power than ``floor``, with the hangover of the kind.

    For sound whose own activity is known: talkers of very different levels have no common range.
    """
    return with_hangover(
        cell_power(samples) >= floor, round(ACTIVITY[kind].hangover_seconds * SAMPLE_RATE / CELL_SAMPLES)
    )


def with_hangover(on: NDArray[np.bool_], cells: int) -> NDArray[np.bool_]:
    """``on``, and up to ``cells`` more after each time it ends."""
    index = np.arange(len(on))
    last = np.maximum.accumulate(np.where(on, index, -cells - 1))
    held: NDArray[np.bool_] = index - last <= cells
    return held


def active_rms(samples: NDArray[np.float32], active: NDArray[np.bool_]) -> float:
    """Root mean square over the active cells; 0 where none is."""
    power = cell_power(samples)[: len(active)][active]
    return float(np.sqrt(power.mean())) if len(power) else 0.0


def active_spans(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, end) cells of every stretch of True, end exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
