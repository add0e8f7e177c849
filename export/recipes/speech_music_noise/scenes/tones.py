"""Horns, sirens, bells, whistles and hums: noise with a steady pitch, which networks take for music."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes.synthetic import coloured
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]


def tones(length: int, rng: np.random.Generator) -> Samples:
    """(length,) float32 of one of the makers; a siren or a hum for the whole of it, the others again and again."""
    maker = MAKERS[int(rng.integers(len(MAKERS)))]
    return np.asarray(maker(length, rng), np.float32)


def _partials(
    pitch: NDArray[np.float64], strengths: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """A sum of harmonics, none above 7.5 kHz; ``pitch`` in Hz for every sample."""
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    out = np.zeros(len(pitch))
    for number, strength in enumerate(strengths, start=1):
        out += np.where(number * pitch < 7500, strength, 0) * np.sin(number * phase + rng.uniform(0, 6.28))
    return out


def _horn(length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A vehicle's horn: one to three buzzing notes at once, short or long, with the same attack every time."""
    notes = np.exp(rng.uniform(np.log(180), np.log(600))) * np.array([1, rng.uniform(1.18, 1.34), 1.5])
    notes = notes[: int(rng.integers(1, 4))]
    strengths = [rng.exponential(1, 18) / np.arange(1, 19) ** rng.uniform(0.1, 0.9) for _ in notes]
    out, at = np.zeros(length), int(rng.uniform(0, 1) * SAMPLE_RATE)
    while at < length:
        size = min(int(np.exp(rng.uniform(np.log(0.12), np.log(3))) * SAMPLE_RATE), length - at)
        bend = 1 + 0.01 * np.exp(-np.arange(size) / (0.03 * SAMPLE_RATE))
        blown = sum(_partials(note * bend, parts, rng) for note, parts in zip(notes, strengths, strict=True))
        out[at : at + size] += blown * _edges(size, 0.012, 0.03)
        at += size + int(np.exp(rng.uniform(np.log(0.1), np.log(4))) * SAMPLE_RATE)
    return out


def _siren(length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Two notes in turn, a slow wail or a fast yelp."""
    low = rng.uniform(350, 800)
    high, period = low * rng.uniform(1.25, 2.4), float(np.exp(rng.uniform(np.log(0.25), np.log(6))))
    turn = np.arange(length) / SAMPLE_RATE % period / period
    shape = (turn < 0.5).astype(float) if rng.random() < 0.4 else 0.5 - 0.5 * np.cos(2 * np.pi * turn)
    shape = np.convolve(shape, np.ones(160) / 160, "same")
    return _partials(low * (high / low) ** shape, rng.exponential(1, 6) / np.arange(1, 7), rng)


def _bell(length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Struck metal: partials that are no harmonics, each dying away by itself; a doorbell, a church, a crossing."""
    base = np.exp(rng.uniform(np.log(150), np.log(2500)))
    ratios = np.array([0.5, 1, 1.2, 1.5, 2, 2.6, 3.0, 4.1]) * rng.uniform(0.98, 1.02, 8)
    strengths, ring = rng.exponential(1, 8), np.exp(rng.uniform(np.log(0.1), np.log(3)))
    decays = ring / (1 + 0.4 * ratios)
    time = np.arange(int(min(5 * ring, 6) * SAMPLE_RATE)) / SAMPLE_RATE
    hit = sum(
        strength * np.sin(2 * np.pi * min(base * ratio, 7500) * time) * np.exp(-time / decay)
        for ratio, strength, decay in zip(ratios, strengths, decays, strict=True)
    )
    every = float(np.exp(rng.uniform(np.log(0.12), np.log(3))))
    out, at = np.zeros(length), int(rng.uniform(0, 1) * SAMPLE_RATE)
    while at < length:
        size = min(len(time), length - at)
        out[at : at + size] += np.asarray(hit)[:size] * rng.uniform(0.7, 1)
        at += int(every * rng.uniform(0.97, 1.03) * SAMPLE_RATE)
    return out


def _hum(length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Mains, fans, pumps, saws: steady harmonics, a little hiss; it may start, stop or change its speed."""
    base = (
        float(rng.choice([50.0, 60.0, 100.0, 120.0])) if rng.random() < 0.4 else np.exp(rng.uniform(4.0, 6.2))
    )
    speed = np.ones(length)
    if rng.random() < 0.4:  # runs up, or down at the end
        ramp = min(int(rng.uniform(0.3, 3) * SAMPLE_RATE), length)
        speed[:ramp] = np.linspace(rng.uniform(0.2, 0.9), 1, ramp)
        speed = speed if rng.random() < 0.6 else speed[::-1]
    strengths = rng.exponential(1, 24) / np.arange(1, 25) ** rng.uniform(0.2, 1.3)
    out = _partials(base * speed, strengths, rng)
    hiss = coloured(length, rng).astype(np.float64)
    share = rng.uniform(0.02, 0.5)
    return out / max(float(out.std()), 1e-9) + share * hiss / max(float(hiss.std()), 1e-9)


def _whistle(length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Steam: a chord of pipes, with hiss, that swells and sinks."""
    out, at = np.zeros(length), int(rng.uniform(0, 1.5) * SAMPLE_RATE)
    base, count = rng.uniform(350, 1100), int(rng.integers(1, 5))
    chord = base * np.array([1, 1.26, 1.5, 1.78])[:count] * rng.uniform(0.99, 1.01, count)
    while at < length:
        size = min(int(rng.uniform(0.3, 3.5) * SAMPLE_RATE), length - at)
        bend = np.interp(np.linspace(0, 1, size), [0, 0.1, 0.85, 1], [0.93, 1, 1, 0.85])
        piece = sum(
            _partials(pipe * bend, rng.exponential(1, 4) / np.arange(1, 5) ** 1.5, rng) for pipe in chord
        )
        piece = piece + rng.uniform(0.02, 0.4) * rng.standard_normal(size)
        out[at : at + size] += piece * _edges(size, 0.08, 0.15)
        at += size + int(rng.uniform(0.3, 4) * SAMPLE_RATE)
    return out


def _edges(length: int, seconds_in: float, seconds_out: float) -> NDArray[np.float64]:
    at = np.arange(length) / SAMPLE_RATE
    edges: NDArray[np.float64] = np.clip(
        np.minimum(at / seconds_in, (length / SAMPLE_RATE - at) / seconds_out), 0, 1
    )
    return edges


MAKERS = (_horn, _horn, _siren, _bell, _hum, _hum, _whistle)
