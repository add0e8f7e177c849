"""Cadences: how a sounder beeps. Smoke and carbon monoxide alarms each have one that a standard fixes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

_STEADY_JITTER_SECONDS = 0.004  # of a pulse's edges: what a microcontroller's clock and a codec leave


@dataclass(frozen=True, slots=True)
class Cadence:
    """A group of equal pulses, a pause, and the same again.

    Attributes:
        pulses: in a group.
        on: seconds that a pulse sounds.
        off: seconds between two pulses of a group.
        pause: seconds between the last pulse of a group and the first of the next.
    """

    pulses: int
    on: float
    off: float
    pause: float

    @property
    def cycle(self) -> float:
        """Seconds from the beginning of a group to that of the next."""
        return self.pulses * self.on + (self.pulses - 1) * self.off + self.pause


SMOKE = Cadence(3, 0.5, 0.5, 1.5)
"""Temporal three: the evacuation signal of ISO 8201, which smoke alarms sound (NFPA 72)."""
CARBON_MONOXIDE = Cadence(4, 0.1, 0.1, 5.0)
"""Temporal four: what carbon monoxide alarms sound (NFPA 720, UL 2034)."""


@dataclass(frozen=True, eq=False, slots=True)
class Pulses:
    """When a sounder sounds.

    Attributes:
        onset, offset: (n,) float64 seconds, in order.
        group: (n,) int64, which group each pulse is in; the first group may have lost its beginning.
        whole: group number of the first group that is whole.
        cadence: as it is on average.
    """

    onset: NDArray[np.float64]
    offset: NDArray[np.float64]
    group: NDArray[np.int64]
    whole: int
    cadence: Cadence

    def __len__(self) -> int:
        return len(self.onset)


def pulse_times(
    cadence: Cadence,
    seconds: float,
    rng: np.random.Generator | None = None,
    *,
    into: float = 0.0,
    drift: float = 0.0,
) -> Pulses:
    """The pulses of ``seconds`` of a cadence; those cut off at the end are left out.

    Args:
        cadence: which.
        seconds: how long it sounds.
        rng: jitters every edge by some milliseconds; None = exact.
        into: share of a cycle that is already over at the beginning, 0 to below 1: the first pulses are missing.
        drift: by which share each cycle is longer than the one before, as where a battery or a clock warms.
    """
    onsets, offsets, groups = [], [], []
    at, cycle, number = -into * cadence.cycle, 1.0, 0
    while at < seconds:
        for k in range(cadence.pulses):
            begin = at + k * (cadence.on + cadence.off) * cycle
            end = begin + cadence.on * cycle
            if rng is not None:
                begin, end = (edge + rng.normal(0, _STEADY_JITTER_SECONDS) for edge in (begin, end))
            if begin > -cadence.on / 2 and end <= seconds and end > max(begin, 0.0):
                onsets.append(max(begin, 0.0))
                offsets.append(end)
                groups.append(number)
        at += cadence.cycle * cycle
        cycle *= 1 + drift
        number += 1
    first = int(groups.count(groups[0]) < cadence.pulses) + groups[0] if groups else 0
    return Pulses(np.array(onsets), np.array(offsets), np.array(groups, np.int64), first, cadence)


def varied(cadence: Cadence, rng: np.random.Generator, spread: float) -> Cadence:
    """The cadence as another device has it: each of its times longer or shorter by up to ``spread``."""
    on, off, pause = (
        each * float(np.exp(rng.uniform(-1, 1) * np.log1p(spread)))
        for each in (cadence.on, cadence.off, cadence.pause)
    )
    return replace(cadence, on=on, off=off, pause=pause)


def other_cadence(rng: np.random.Generator) -> Cadence:
    """A repeating beep that is neither standard's: timers, appliances, vehicles that reverse."""
    while True:
        pulses = int(rng.choice([1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6]))
        on = float(np.exp(rng.uniform(np.log(0.05), np.log(0.9))))
        off = on * float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
        if pulses == 1:
            pause = float(np.exp(rng.uniform(np.log(max(0.08, 0.5 * on)), np.log(2.5))))
        else:
            pause = max(2.0 * off, float(np.exp(rng.uniform(np.log(0.4), np.log(3.5)))))
        made = Cadence(pulses, on, off if pulses > 1 else pause, pause)
        if made.cycle <= 6 and not near_standard(made):
            return made


def near_standard(cadence: Cadence) -> bool:
    """True for what could be taken for a smoke or carbon monoxide alarm whose times are off."""
    return (
        cadence.pulses == SMOKE.pulses
        and 0.3 < cadence.on < 0.8
        and 0.3 < cadence.off < 0.8
        and 0.8 < cadence.pause < 3
    ) or (
        cadence.pulses == CARBON_MONOXIDE.pulses
        and 0.05 < cadence.on < 0.2
        and 0.05 < cadence.off < 0.2
        and cadence.pause > 2.5
    )
