"""Look-alikes: sounds that are near to an alarm's and are none, made by rule.

Each maker takes a length in seconds of its own choosing and returns (n,) float32 with a peak of about 1. None of them
repeats a beep as a sounder does: single beeps and signals that end, ringing telephones, sirens, whistles, bells,
birds, steady tones, beeps at random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Cadence, Pulses, varied
from export.scenes.sounder import Sounder, beeper, piezo, sounded, square

Samples = NDArray[np.float32]
LookAlike = Callable[[np.random.Generator, int], Samples]
_DTMF = ((697, 770, 852, 941), (1209, 1336, 1477, 1633))


def any_sounder(rng: np.random.Generator) -> Sounder:
    """A piezo disc, 520 Hz, or any beeper."""
    return (piezo, square, beeper)[int(rng.choice(3, p=(0.4, 0.2, 0.4)))](rng)


def single_beep(rng: np.random.Generator, sample_rate: int) -> Samples:
    """One beep and no more, as of a button or a low battery."""
    on = float(np.exp(rng.uniform(np.log(0.03), np.log(1.5))))
    return _beeps(rng, [0.0], [on], on + 0.3, sample_rate)


def ended_signal(rng: np.random.Generator, sample_rate: int) -> Samples:
    """A few beeps, once: a microwave oven that is done, a car that is locked; also one group of an alarm's."""
    if rng.random() < 0.5:
        base = SMOKE if rng.random() < 0.5 else CARBON_MONOXIDE
        cadence = varied(base, rng, 0.3)
        count = base.pulses
    else:
        on = float(np.exp(rng.uniform(np.log(0.06), np.log(1.0))))
        cadence = Cadence(1, on, on, on * float(rng.uniform(0.5, 2)))
        count = int(rng.integers(2, 4))
    gap = cadence.off if cadence.pulses > 1 else cadence.pause
    onsets = [k * (cadence.on + gap) for k in range(count)]
    return _beeps(rng, onsets, [cadence.on] * count, onsets[-1] + cadence.on + 0.3, sample_rate)


def beeps_at_random(rng: np.random.Generator, sample_rate: int) -> Samples:
    """Beeps of any length at any time: keys of a till, a game."""
    onsets, lengths, at = [], [], 0.0
    for _ in range(int(rng.integers(3, 16))):
        length = float(np.exp(rng.uniform(np.log(0.04), np.log(0.8))))
        onsets.append(at)
        lengths.append(length)
        at += length + float(np.exp(rng.uniform(np.log(0.05), np.log(4.0))))
    return _beeps(rng, onsets, lengths, at, sample_rate)


def steady_tone(rng: np.random.Generator, sample_rate: int) -> Samples:
    """A tone for seconds: a kettle, a test signal, feedback."""
    seconds = float(rng.uniform(1.5, 12))
    return _beeps(rng, [0.0], [seconds], seconds + 0.2, sample_rate)


def telephone(rng: np.random.Generator, sample_rate: int) -> Samples:
    """A ring of two pitches that warbles, a dialled number, or a line that rings: cadences of seconds."""
    kind = int(rng.integers(3))
    if kind == 0:  # keys
        parts = []
        for _ in range(int(rng.integers(4, 12))):
            low, high = (float(rng.choice(row)) for row in _DTMF)
            tone = _tones([low, high], rng.uniform(0.07, 0.2), sample_rate)
            parts += [tone, np.zeros(round(rng.uniform(0.05, 0.5) * sample_rate), np.float32)]
        return np.concatenate(parts)
    seconds, rings = float(rng.uniform(0.8, 2.2)), int(rng.integers(1, 4))
    n = round(seconds * sample_rate)
    if kind == 1:  # warbles
        time = np.arange(n) / sample_rate
        low, ratio, rate = rng.uniform(500, 2200), rng.choice([1.125, 1.2, 1.25, 1.33]), rng.uniform(8, 25)
        hertz = low * np.where((time * rate) % 1 < 0.5, 1.0, ratio)
        ring = np.sin(2 * np.pi * np.cumsum(hertz) / sample_rate).astype(np.float32)
    else:
        ring = _tones([rng.uniform(400, 450), rng.uniform(440, 490)], seconds, sample_rate)
    pause = np.zeros(round(rng.uniform(1.5, 4.5) * sample_rate), np.float32)
    return np.concatenate([part for _ in range(rings) for part in (_faded(ring, sample_rate), pause)])


def siren(rng: np.random.Generator, sample_rate: int) -> Samples:
    """A pitch that sweeps, or two in turn without a pause, as of a vehicle or a town."""
    n = round(rng.uniform(3, 14) * sample_rate)
    time = np.arange(n) / sample_rate
    low, ratio, rate = (
        rng.uniform(350, 1200),
        rng.uniform(1.2, 2.2),
        float(np.exp(rng.uniform(np.log(0.15), np.log(5)))),
    )
    turn = (time * rate) % 1
    shape = [np.where(turn < 0.5, 0.0, 1.0), 1 - np.abs(2 * turn - 1), turn][int(rng.integers(3))]
    phase = 2 * np.pi * np.cumsum(low * ratio**shape) / sample_rate
    tilt = rng.uniform(0.8, 2.5)
    return _faded(np.asarray(sum(k**-tilt * np.sin(k * phase) for k in range(1, 6)), np.float32), sample_rate)


def whistled(rng: np.random.Generator, sample_rate: int) -> Samples:
    """Somebody whistles: a few notes that glide, with breath in them."""
    parts = []
    hertz = rng.uniform(900, 2400)
    for _ in range(int(rng.integers(1, 9))):
        n = round(rng.uniform(0.12, 0.9) * sample_rate)
        goal = float(np.clip(hertz * 2 ** (rng.integers(-5, 6) / 12), 700, 3200))
        line = np.linspace(hertz, goal, n) * (
            1 + 0.01 * np.sin(2 * np.pi * rng.uniform(4, 7) * np.arange(n) / sample_rate)
        )
        note = np.sin(2 * np.pi * np.cumsum(line) / sample_rate) + 0.05 * rng.standard_normal(n)
        parts += [_faded(note.astype(np.float32), sample_rate, 0.03)]
        parts += [np.zeros(round(rng.uniform(0.02, 0.5) * sample_rate), np.float32)]
        hertz = goal
    return np.concatenate(parts)


def bells(rng: np.random.Generator, sample_rate: int) -> Samples:
    """Strokes that ring off: doorbells, bicycle bells, chimes, glasses."""
    strokes = int(rng.integers(1, 8))
    base = float(np.exp(rng.uniform(np.log(400), np.log(3600))))
    decay = rng.uniform(0.05, 1.2)
    ratios = np.concatenate(([1.0], np.sort(rng.uniform(1.5, 6, 4))))
    loud = np.concatenate(([1.0], rng.uniform(0.05, 0.6, 4)))
    seconds = rng.uniform(0.08, 0.7, strokes)
    n = round((float(seconds.sum()) + 3 * decay) * sample_rate)
    out = np.zeros(n, np.float32)
    at = 0
    for gap in seconds:
        time = np.arange(n - at) / sample_rate
        hertz = base * float(rng.choice([1, 1, 1, 0.8, 1.25, 1.5]))
        partials = [
            a * np.sin(2 * np.pi * r * hertz * time) * np.exp(-time * r**0.5 / decay)
            for r, a in zip(ratios, loud, strict=True)
            if r * hertz < 0.48 * sample_rate
        ]
        out[at:] += np.sum(partials, axis=0).astype(np.float32) * np.float32(rng.uniform(0.6, 1))
        at += round(gap * sample_rate)
    return out / np.float32(max(float(np.abs(out).max()), 1e-9))


def birds(rng: np.random.Generator, sample_rate: int) -> Samples:
    """Short sweeps in phrases that are alike and not equal."""
    parts = []
    base = float(np.exp(rng.uniform(np.log(1800), np.log(5500))))
    for _ in range(int(rng.integers(2, 7))):
        for _ in range(int(rng.integers(1, 7))):
            n = round(rng.uniform(0.03, 0.25) * sample_rate)
            time = np.arange(n) / sample_rate
            trill = rng.uniform(0, 0.15) * np.sin(2 * np.pi * rng.uniform(15, 60) * time)
            line = np.minimum(base * rng.uniform(0.75, 1.3) * np.exp(rng.uniform(-5, 5) * time + trill), 7500)
            note = np.sin(2 * np.pi * np.cumsum(line) / sample_rate) * np.hanning(n) * rng.uniform(0.3, 1)
            parts += [
                note.astype(np.float32),
                np.zeros(round(rng.uniform(0.02, 0.15) * sample_rate), np.float32),
            ]
        parts.append(np.zeros(round(rng.uniform(0.3, 2.5) * sample_rate), np.float32))
    return np.concatenate(parts)


MAKERS: tuple[LookAlike, ...] = (
    single_beep, ended_signal, ended_signal, beeps_at_random, steady_tone, telephone, siren, whistled, bells, birds,
)  # fmt: skip


def look_alike(rng: np.random.Generator, sample_rate: int) -> Samples:
    """One of them."""
    return MAKERS[int(rng.integers(len(MAKERS)))](rng, sample_rate)


def _beeps(
    rng: np.random.Generator, onsets: list[float], lengths: list[float], seconds: float, sample_rate: int
) -> Samples:
    begin = np.array(onsets)
    end = begin + np.array(lengths)
    pulses = Pulses(begin, end, np.zeros(len(begin), np.int64), 0, SMOKE)
    sounder = any_sounder(rng)
    if len(begin) > 3:
        sounder = replace(sounder, other_hertz=None)
    return sounded(sounder, pulses, round(seconds * sample_rate), sample_rate)


def _tones(hertz: list[float], seconds: float, sample_rate: int) -> Samples:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return _faded(np.asarray(sum(np.sin(2 * np.pi * each * time) for each in hertz), np.float32), sample_rate)


def _faded(samples: Samples, sample_rate: int, seconds: float = 0.008) -> Samples:
    n = min(len(samples) // 2, round(seconds * sample_rate))
    if n:
        ramp = np.linspace(0, 1, n, dtype=np.float32)
        samples[:n] *= ramp
        samples[-n:] *= ramp[::-1]
    return samples
