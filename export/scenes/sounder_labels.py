"""What is to be learnt about a sounder: when it can be known, and when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Pulses

_SETTLE_SECONDS = 0.3  # in which either answer is right, after it can be known
_HOLD_SECONDS = 0.4  # after the next pulse is due, before the sounder is taken to have stopped
_FADE_SECONDS = 1.2  # in which either answer is right, after that


@dataclass(frozen=True, slots=True)
class Placed:
    """A sounder in a scene.

    Attributes:
        label: class.
        onset, offset: seconds, its first pulse's beginning and its last one's end.
        decided: seconds from which its cadence can be known; infinite if it stops before.
        gone: seconds from which it can be known to have stopped.
        cycle: seconds of its cadence.
        snr: dB, of a pulse over what sounds behind it.
        pattern: what it is, such as "smoke piezo".
        background: what sounds behind it.
    """

    label: str
    onset: float
    offset: float
    decided: float
    gone: float
    cycle: float
    snr: float = 0.0
    pattern: str = ""
    background: str = ""


def placed(label: str, pulses: Pulses, at: float, **told: object) -> Placed:
    """A sounder whose pulses begin at ``at`` seconds of a scene."""
    cadence = pulses.cadence
    hold = max(cadence.pause, cadence.off) + _HOLD_SECONDS
    last = float(pulses.offset[-1])
    return Placed(
        label, at + float(pulses.onset[0]), at + last, at + decided_after(pulses), at + last + hold, cadence.cycle,
        **told,  # type: ignore[arg-type]
    )  # fmt: skip


def decided_after(pulses: Pulses) -> float:
    """Seconds after which a cadence is known: the second whole group has begun, and is no single signal that ended.

    A single group is not enough: three beeps of half a second, once, are a microwave oven that is done.
    """
    cadence = pulses.cadence
    if cadence.pulses == 1:  # told from a first group of three by the fourth
        wanted, within = pulses.whole + 3, 0
    else:
        wanted, within = pulses.whole + 1, {SMOKE.pulses: 0, CARBON_MONOXIDE.pulses: 1}.get(cadence.pulses, 1)
    inside = np.flatnonzero(pulses.group == wanted)
    return float(pulses.offset[inside[within]]) if len(inside) > within else float("inf")


def frame_targets(
    sounders: Sequence[Placed], seconds: NDArray[np.float64], labels: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What is to be learnt at each of some times.

    Args:
        sounders: of a scene.
        seconds: (T,), ends of the frames: what has been heard by then.
        labels: C classes.

    Returns:
        (T, C) uint8, 1 while a sounder is known to sound, through its pauses; and (T,) uint8, 0 where either answer
        is right: while its cadence is half known, and after its end.
    """
    targets = np.zeros((len(seconds), len(labels)), np.uint8)
    weights = np.ones(len(seconds), np.uint8)
    for each in sounders:
        known = min(each.decided, each.gone)
        half = each.onset + (known - each.onset) * 0.5 if np.isfinite(each.decided) else each.onset
        weights[(seconds >= half) & (seconds < known + _SETTLE_SECONDS)] = 0
        weights[(seconds >= each.gone) & (seconds < each.gone + _FADE_SECONDS)] = 0
        if np.isfinite(each.decided):
            sounding = (seconds >= known) & (seconds < each.gone)
            targets[sounding, labels.index(each.label)] = 1
            weights[sounding & (seconds >= known + _SETTLE_SECONDS)] = 1
    return targets, weights
