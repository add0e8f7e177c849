"""Trials: a beep over talk, music and noise, and what could be taken for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Cadence
from export.scenes.negatives import Kind, Negatives
from export.scenes.sound_store import active_rms
from export.scenes.synthetic import self_noise
from export.teaching.beeps.pattern import Beep, as_cadence
from export.teaching.beeps.sounding_beep import sounded_beep
from export.teaching.heard import in_place

Array = NDArray[np.float32]
KINDS: tuple[Kind, ...] = ("speech", "music", "noise")
RATIOS_DB = (10.0, 0.0, -10.0)
CYCLES, LEAST_SECONDS = 2.0, 6.0  # within which a beep is to be found, the later of the two
LEAD_SECONDS = (2.0, 4.0)
_LEVEL_DBFS = (-40.0, -18.0)
_FLOOR_DBFS = (-80.0, -60.0)
_NOISE_SECONDS = 3.0  # of a microphone's own noise, again and again: it costs more than all the rest
_PITCH, _TEMPO = 0.008, 0.02  # by which another device of the kind may differ


@dataclass(frozen=True, eq=False, slots=True)
class Trial:
    """A stretch of sound.

    Attributes:
        samples: (n,) float32.
        begin: seconds at which the beep, or what is none, begins.
        within: seconds from then on in which it is to be found.
        kind: of what is behind it.
        ratio: dB, RMS of a pulse over that of what is behind it while both sound.
    """

    samples: Array
    begin: float
    within: float
    kind: Kind
    ratio: float


def time_to_find(beep: Beep) -> float:
    """Seconds within which it is to be found."""
    return max(CYCLES * beep.cycle, LEAST_SECONDS)


def trials(
    beep: Beep, behind: Negatives, count: int, rng: np.random.Generator, *, sounds: Beep | None = None,
    ratios: Sequence[float] = RATIOS_DB, spread: float = 1.0,
) -> Iterator[Trial]:  # fmt: skip
    """``count`` trials of each ratio and background.

    Args:
        beep: that is looked for, for as long as it may take.
        behind: draws what is behind it.
        count: of each.
        rng: decides everything.
        sounds: what sounds instead; None = the beep.
        ratios: dB, of what sounds over what is behind it.
        spread: times the usual differences of pitch and tempo.
    """
    rate = behind.sample_rate
    for ratio in ratios:
        for kind in KINDS:
            for _ in range(count):
                yield _trial(beep, sounds or beep, behind, kind, ratio, rate, rng, spread)


def _trial(
    beep: Beep, sounds: Beep, behind: Negatives, kind: Kind, ratio: float, rate: int, rng: np.random.Generator,
    spread: float,
) -> Trial:  # fmt: skip
    seconds = 1.05 * time_to_find(beep) + 0.5
    pitch, tempo = (1 + rng.uniform(-share, share) * spread for share in (_PITCH, _TEMPO))
    sound, _ = sounded_beep(sounds, seconds, rate, rng, pitch=pitch, tempo=tempo)
    begin = rng.uniform(*LEAD_SECONDS)
    level = 10 ** (rng.uniform(*_LEVEL_DBFS) / 20)
    n = round((begin + seconds) * rate)
    under = behind.draw(kind, rng, n)
    out = under * np.float32(level / max(active_rms(under, rate), 1e-6))
    wet = in_place(sound, rate, rng)
    wet = wet * np.float32(level * 10 ** (ratio / 20) / max(active_rms(wet, rate), 1e-6))
    first = round(begin * rate)
    out[first : first + len(wet)] += wet[: n - first]
    noise = np.resize(self_noise(rng, min(n, round(_NOISE_SECONDS * rate)), rate), n)
    out += noise * np.float32(10 ** (rng.uniform(*_FLOOR_DBFS) / 20) / max(active_rms(noise, rate), 1e-6))
    peak = float(np.abs(out).max())
    return Trial(out / np.float32(max(1.0, peak)), begin, time_to_find(beep), kind, ratio)


def other_cadences(beep: Beep) -> list[Beep]:
    """The same sound in cadences that are not its own."""
    first, gap, pause = beep.pulses[0].length, min(beep.gaps), beep.gaps[-1]
    made = [
        SMOKE, CARBON_MONOXIDE, Cadence(1, 0.5, 0.5, 0.5), Cadence(1, first, first, first), Cadence(2, 0.3, 0.3, 1.2),
        Cadence(4, 0.15, 0.15, 0.8), Cadence(1, 1.5, 1.0, 1.0), Cadence(1, 0.12, 0.5, 0.5),
        Cadence(1, first, pause, 2 * pause),
    ]  # fmt: skip
    if len(beep.pulses) > 1:
        made += [
            Cadence(len(beep.pulses) + 1, first, gap, pause),
            Cadence(len(beep.pulses) - 1, first, gap, pause),
        ]
    return [as_cadence(beep, cadence) for cadence in made if not _near(beep, cadence)]


def _near(beep: Beep, cadence: Cadence) -> bool:
    """Whether a cadence is the beep's own, by a third or so: pulses, and the times of each."""
    if len(beep.pulses) != cadence.pulses:
        return False
    gaps = [cadence.off] * (cadence.pulses - 1) + [cadence.pause]
    pairs = [*((p.length, cadence.on) for p in beep.pulses), *zip(beep.gaps, gaps, strict=True)]
    return all(abs(np.log(mine / its)) < np.log(1.5) for mine, its in pairs)
