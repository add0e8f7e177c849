"""Sounders: what a pulse of an alarm or an appliance sounds like. No recording is needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.scenes.cadence import Pulses

Samples = NDArray[np.float32]
PIEZO_HERTZ = (2800.0, 3500.0)
SQUARE_HERTZ = (505.0, 535.0)
_TOP = 0.48  # of the sample rate: partials above would fold back


@dataclass(frozen=True, slots=True)
class Sounder:
    """A tone that is switched on and off.

    Attributes:
        hertz: pitch.
        other_hertz: pitch of every second pulse; None = the same.
        partials: (harmonic, amplitude) of each.
        attack, decay: seconds in which a pulse rises and dies away.
        sweep: share by which the pitch swings, and ``sweep_rate`` how often a second.
    """

    hertz: float
    partials: tuple[tuple[int, float], ...]
    attack: float = 0.004
    decay: float = 0.006
    other_hertz: float | None = None
    sweep: float = 0.0
    sweep_rate: float = 0.0


def piezo(rng: np.random.Generator) -> Sounder:
    """A piezo disc at about 3.1 kHz, with weak harmonics; some swing in pitch."""
    sweep = rng.uniform(0.01, 0.06) if rng.random() < 0.12 else 0.0
    return Sounder(
        rng.uniform(*PIEZO_HERTZ),
        ((1, 1.0), (2, float(10 ** (rng.uniform(-40, -4) / 20))), (3, float(10 ** (rng.uniform(-40, -8) / 20)))),
        rng.uniform(0.001, 0.02), rng.uniform(0.002, 0.03), None, sweep, rng.uniform(3, 15),
    )  # fmt: skip


def square(rng: np.random.Generator) -> Sounder:
    """520 Hz with odd harmonics: the low tone that wakes sleepers better."""
    tilt = rng.uniform(0.8, 1.3)
    partials = tuple((k, float(k**-tilt * np.exp(rng.normal(0, 0.3)))) for k in range(1, 16, 2))
    return Sounder(rng.uniform(*SQUARE_HERTZ), partials, rng.uniform(0.001, 0.02), rng.uniform(0.002, 0.03))


def beeper(rng: np.random.Generator) -> Sounder:
    """Any beeper: 300 Hz to 4.5 kHz, from a pure tone to a square wave, sometimes of two pitches in turn."""
    hertz = float(np.exp(rng.uniform(np.log(300), np.log(4500))))
    count, tilt = int(rng.integers(1, 9)), rng.uniform(0.7, 2.5)
    step = int(rng.choice([1, 2]))
    partials = tuple(
        (k, float(k**-tilt * np.exp(rng.normal(0, 0.4)))) for k in range(1, count * step + 1, step)
    )
    other = hertz * float(rng.choice([0.75, 0.8, 1.2, 1.25, 1.5])) if rng.random() < 0.12 else None
    return Sounder(hertz, partials, rng.uniform(0.001, 0.03), rng.uniform(0.002, 0.08), other)


def sounded(sounder: Sounder, pulses: Pulses, n: int, sample_rate: int) -> Samples:
    """(n,) float32: the pulses as they sound, with an RMS of 1 while one does; silence where there are none."""
    time = np.arange(n, dtype=np.float64) / sample_rate
    hertz = np.full(n, sounder.hertz)
    if sounder.other_hertz is not None:
        for begin, end in list(zip(pulses.onset, pulses.offset, strict=True))[1::2]:
            hertz[round(begin * sample_rate) : round((end + sounder.decay * 3) * sample_rate)] = (
                sounder.other_hertz
            )
    if sounder.sweep:
        hertz *= 1 + sounder.sweep * np.sin(2 * np.pi * sounder.sweep_rate * time)
    phase = 2 * np.pi * np.cumsum(hertz) / sample_rate
    tone = np.zeros(n)
    for harmonic, amplitude in sounder.partials:
        if harmonic * float(hertz.max(initial=0.0)) < _TOP * sample_rate:
            tone += amplitude * np.sin(harmonic * phase)
    gate = envelope(sounder, pulses, n, sample_rate)
    loud = np.sqrt(np.mean(np.square(tone))) if n else 0.0
    return np.asarray(tone * gate / max(float(loud), 1e-9), np.float32)


def envelope(sounder: Sounder, pulses: Pulses, n: int, sample_rate: int) -> NDArray[np.float64]:
    """(n,) float64, 0 to 1: rising linearly at each onset, dying away from each offset."""
    gate = np.zeros(n)
    for onset, offset in zip(pulses.onset, pulses.offset, strict=True):
        begin, end = round(onset * sample_rate), round(offset * sample_rate)
        tail = min(n, end + round(5 * sounder.decay * sample_rate))
        if begin >= n:
            break
        rise = np.minimum(1.0, (np.arange(max(0, min(end, n) - begin)) + 1) / (sounder.attack * sample_rate))
        gate[begin : begin + len(rise)] = np.maximum(gate[begin : begin + len(rise)], rise)
        if tail > end:
            fall = np.exp(-np.arange(tail - end) / (sounder.decay * sample_rate))
            gate[end:tail] = np.maximum(gate[end:tail], fall * (rise[-1] if len(rise) else 0.0))
    return gate
