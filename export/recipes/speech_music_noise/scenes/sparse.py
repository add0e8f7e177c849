"""What is quiet or rare: music with few notes, an opening that swells, bass music, bangs with nothing in between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes import notes, synthetic
from export.recipes.speech_music_noise.scenes.singing import SCALES, cords, shape_voice
from export.recipes.speech_music_noise.scenes.voices import BINS
from export.recipes.speech_music_noise.sources.bank import Source
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]
LONGEST_BANG_SECONDS = 3


def solo(source: Source, length: int, rng: np.random.Generator) -> Samples:
    """(length,) float32: one instrument alone: recordings one after the other with rests, or a tune of single notes."""
    if not source.clips("solos") or rng.random() < 0.3:
        return notes.tune(source, length, rng)
    out, at = np.zeros(length, np.float32), 0
    first = source.draw("solos", rng)
    while at < length:
        clip = source.more(first, "solos", rng)
        piece = source.read(clip, 0, length - at)
        piece = piece / np.float32(max(float(np.abs(piece).max(initial=0)), 1e-3))
        out[at : at + len(piece)] = piece
        at += len(piece) + int(rng.exponential(0.8) * SAMPLE_RATE)
    return out


def opening(length: int, rng: np.random.Generator) -> Samples:
    """(length,) float32 gain: from 15 to 35 dB down to nothing down, over 2 to 10 s."""
    rise = min(int(rng.uniform(2, 10) * SAMPLE_RATE), length)
    gains = np.zeros(length)
    gains[:rise] = np.linspace(-rng.uniform(15, 35), 0, rise)
    return (10 ** (gains / 20)).astype(np.float32)


def bass_music(length: int, rng: np.random.Generator) -> Samples:
    """(length,) float32: a bass that wobbles over slow drums, as in dubstep: mostly noise by its spectrum.

    A saw of 35 to 110 Hz through a low-pass whose edge moves two to twelve times a bar; a kick and a snare, made here.
    """
    beat = 60 / rng.uniform(130, 150)
    frames = length // 160 + 1
    time = np.arange(frames) / 100
    scale, root = SCALES[int(rng.integers(len(SCALES)))], rng.uniform(35, 65)
    bars = (time / (4 * beat)).astype(int)
    pitch = root * 2 ** (
        np.array([scale[int(rng.integers(len(scale)))] for _ in range(bars[-1] + 1)])[bars] / 12
    )
    turns = rng.choice([2, 3, 4, 6, 8, 12], bars[-1] + 1)[bars] * (time / (4 * beat))
    edge = 120 * 2 ** (rng.uniform(2.5, 5) * (0.5 - 0.5 * np.cos(2 * np.pi * turns)))
    steep = rng.uniform(2, 5)
    tract = 1 / (1 + (np.maximum(BINS, 1) / edge[:, None]) ** steep)
    tract += rng.uniform(0, 1.5) / (1 + ((BINS - edge[:, None]) / (0.2 * edge[:, None])) ** 2)  # resonance
    bass = shape_voice(cords(pitch, rng), tract, np.full(frames, rng.uniform(0, 0.15)), rng)[:length]
    bass = np.tanh(bass / max(float(bass.std()), 1e-9) * rng.uniform(0.5, 3))
    bass += rng.uniform(0, 1) * np.sin(2 * np.pi * np.cumsum(np.repeat(pitch, 160)[:length]) / SAMPLE_RATE)
    drums = np.zeros(length + SAMPLE_RATE)
    kick, snare = _kick(rng), _snare(rng)
    for step in range(int(length / SAMPLE_RATE / (beat / 2)) + 1):
        at = int(step * beat / 2 * SAMPLE_RATE)
        if step % 8 == 0 or rng.random() < 0.08:
            drums[at : at + len(kick)] += kick
        if step % 8 == 4:
            drums[at : at + len(snare)] += snare
    mixed: Samples = (bass + rng.uniform(0.5, 2.5) * drums[:length]).astype(np.float32)
    return mixed


def _kick(rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(int(0.3 * SAMPLE_RATE)) / SAMPLE_RATE
    sweep = rng.uniform(40, 60) + rng.uniform(80, 200) * np.exp(-time / 0.03)
    kick: NDArray[np.float64] = np.sin(2 * np.pi * np.cumsum(sweep) / SAMPLE_RATE) * np.exp(-time / 0.1)
    return kick


def _snare(rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(int(0.3 * SAMPLE_RATE)) / SAMPLE_RATE
    snare: NDArray[np.float64] = (
        rng.standard_normal(len(time)) * np.exp(-time / rng.uniform(0.04, 0.12)) * 0.5
    )
    return snare + 0.6 * np.sin(2 * np.pi * rng.uniform(160, 240) * time) * np.exp(-time / 0.08)


def bangs(source: Source, length: int, rng: np.random.Generator) -> Samples:
    """(length,) float32: the same bang or knock again and again, with 0.8 to 6 s of nothing between."""
    out, at = np.zeros(length, np.float32), int(rng.uniform(0, 1.5) * SAMPLE_RATE)
    recorded = bool(source.clips("bangs")) and rng.random() < 0.7
    first = source.draw("bangs", rng) if recorded else None
    hit = None if recorded else _hit(rng)
    while at < length:
        if first is not None:
            clip = source.more(first, "bangs", rng)
            hit = source.read(clip, 0, LONGEST_BANG_SECONDS * SAMPLE_RATE)
            hit = hit / np.float32(max(float(np.abs(hit).max(initial=0)), 1e-3))
        assert hit is not None
        piece = hit[: length - at] * np.float32(rng.uniform(0.5, 1))
        out[at : at + len(piece)] += piece
        at += len(piece) + int(rng.uniform(0.8, 6) * SAMPLE_RATE)
    return out


def _hit(rng: np.random.Generator) -> Samples:
    """Something falls, slams or breaks: a burst that dies within half a second."""
    size = int(rng.uniform(0.1, 0.7) * SAMPLE_RATE)
    time = np.arange(size) / SAMPLE_RATE
    hit = synthetic.coloured(size, rng) * np.exp(-time / rng.uniform(0.01, 0.12))
    for _ in range(int(rng.integers(0, 4))):
        pitch = np.exp(rng.uniform(np.log(80), np.log(3000)))
        hit = hit + rng.random() * np.sin(2 * np.pi * pitch * time) * np.exp(-time / rng.uniform(0.01, 0.1))
    return (hit / max(float(np.abs(hit).max()), 1e-9)).astype(np.float32)
