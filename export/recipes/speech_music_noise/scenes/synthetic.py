"""Noise made by rule, because recorded noise is scarce: hiss and rumble, machines, clatter, alarms, chirps.

Each maker returns (n,) float32 at 16 kHz of arbitrary level; ``noise`` picks one. None of it is speech or music.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes.effects import band_limit, envelope, equalise
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]


def coloured(length: int, rng: np.random.Generator) -> Samples:
    """White noise through a random slope and response, sometimes only a band of it, sometimes breathing."""
    from scipy.signal import lfilter

    out = equalise(rng.standard_normal(length).astype(np.float32), rng, spread=8.0)
    if rng.random() < 0.5:
        slope = rng.uniform(-0.98, 0.6)
        out = lfilter([1.0], [1.0, slope], out).astype(np.float32)
    if rng.random() < 0.3:
        low = float(np.exp(rng.uniform(np.log(60), np.log(3000))))
        out = band_limit(out, low, min(7800.0, low * rng.uniform(1.5, 8)))
    if rng.random() < 0.6:
        out = out * envelope(length, rng, depth=rng.uniform(2, 12), every=rng.uniform(0.05, 3.0))
    return out


def machine(length: int, rng: np.random.Generator) -> Samples:
    """A motor: harmonics of a low, slowly wandering turn, beaten by the turn itself, over hiss."""
    turn = rng.uniform(12, 160) * np.exp(
        np.cumsum(rng.standard_normal(length // 160 + 2)) * rng.uniform(0, 0.004)
    )
    phase = np.cumsum(np.interp(np.arange(length), np.arange(len(turn)) * 160, turn)) / SAMPLE_RATE
    out = np.zeros(length)
    for harmonic in range(1, int(rng.integers(4, 28))):
        strength = rng.exponential(1 / harmonic ** rng.uniform(0.3, 1.3))
        out += strength * np.sin(2 * np.pi * (harmonic * phase + rng.random()))
    hiss = coloured(length, rng) * (
        1 + rng.uniform(0, 1) * np.sin(2 * np.pi * phase * rng.choice([0.5, 1, 2]))
    )
    return equalise((_unit(out) + _unit(hiss) * rng.uniform(0.1, 1.5)).astype(np.float32), rng)


def clatter(length: int, rng: np.random.Generator) -> Samples:
    """Knocks, clicks, dishes, keys: random hits of a decaying resonance or burst."""
    from scipy.signal import oaconvolve

    out = np.zeros(length)
    rate = float(np.exp(rng.uniform(np.log(0.7), np.log(12))))
    for _ in range(max(1, rng.poisson(rate * length / SAMPLE_RATE))):
        out[int(rng.integers(length))] += rng.exponential() * rng.choice([-1, 1])
    ring = int(rng.uniform(0.01, 0.5) * SAMPLE_RATE)
    time = np.arange(ring) / SAMPLE_RATE
    hit = rng.standard_normal(ring) * np.exp(-time / rng.uniform(0.002, 0.06)) * rng.uniform(0, 1.5)
    for _ in range(int(rng.integers(0, 5))):
        pitch = np.exp(rng.uniform(np.log(150), np.log(6000)))
        hit += rng.random() * np.sin(2 * np.pi * pitch * time) * np.exp(-time / rng.uniform(0.005, 0.15))
    return equalise(oaconvolve(out, hit)[:length].astype(np.float32), rng)


def alarm(length: int, rng: np.random.Generator) -> Samples:
    """Beeps, rings and sirens: one pitch, keyed or swept, with a few harmonics."""
    time = np.arange(length) / SAMPLE_RATE
    pitch = np.exp(rng.uniform(np.log(300), np.log(3500)))
    period = rng.uniform(0.08, 4.0)
    sweep = (
        pitch * (1 + rng.uniform(0, 0.4) * np.sin(2 * np.pi * time / period)) if rng.random() < 0.5 else pitch
    )
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(sweep, (length,))) / SAMPLE_RATE
    out = sum(rng.exponential(1 / k) * np.sin(k * phase) for k in range(1, int(rng.integers(2, 7))))
    if rng.random() < 0.7:
        keyed = (time % period) < period * rng.uniform(0.2, 0.8)
        out = out * np.convolve(keyed, np.ones(80) / 80, "same")
    return np.asarray(out, dtype=np.float32)


def chirps(length: int, rng: np.random.Generator) -> Samples:
    """Birds and insects: short sweeps in bursts."""
    out = np.zeros(length)
    base = np.exp(rng.uniform(np.log(1500), np.log(6000)))
    at = 0
    while at < length:
        size = int(rng.uniform(0.02, 0.25) * SAMPLE_RATE)
        time = np.arange(size) / SAMPLE_RATE
        trill = rng.uniform(0, 0.2) * np.sin(2 * np.pi * rng.uniform(10, 60) * time)
        pitch = base * rng.uniform(0.7, 1.3) * np.exp(rng.uniform(-6, 6) * time + trill)
        turn = np.cumsum(np.minimum(pitch, 7800)) / SAMPLE_RATE
        note = np.sin(2 * np.pi * turn) * np.hanning(size) * rng.uniform(0.2, 1)
        end = min(length, at + size)
        out[at:end] += note[: end - at]
        at += size + int(rng.exponential(0.15 if rng.random() < 0.8 else 1.0) * SAMPLE_RATE)
    return (out + 0.01 * rng.standard_normal(length)).astype(np.float32)


MAKERS = (coloured, coloured, machine, clatter, alarm, chirps)


def noise(length: int, rng: np.random.Generator) -> Samples:
    """One of the makers, unit RMS."""
    return _unit(MAKERS[int(rng.integers(len(MAKERS)))](length, rng)).astype(np.float32)


def self_noise(length: int, dbfs: float, rng: np.random.Generator) -> Samples:
    """A microphone's own hiss of RMS ``dbfs``, white or gently sloped."""
    hiss = rng.standard_normal(length, dtype=np.float32)
    if rng.random() < 0.5:
        hiss = equalise(hiss, rng, spread=3.0)
    return (_unit(hiss) * 10 ** (dbfs / 20)).astype(np.float32)


def _unit(samples: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    out: NDArray[np.floating[Any]] = samples / max(float(np.sqrt(np.mean(np.square(samples)))), 1e-9)
    return out
