"""Sung voices made out of spoken ones, because songs count as music and freely licensed singing is hard to find.

A spoken clip is slowed down, its vocal tract (the smoothed spectrum, frame by frame) is kept, and the vocal
cords are replaced by a pulse train that holds the notes of a melody, with glides and vibrato. Cross-synthesis
in the short-time spectrum: crude, but it has what tells song from speech: held pitch and stretched vowels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]
HOP_SAMPLES, WINDOW_SAMPLES = 160, 512
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10))


def sing(
    spoken: Samples,
    length: int,
    rng: np.random.Generator,
    excite: Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]] | None = None,
) -> Samples:
    """(length,) float32: the words of ``spoken`` (at least 0.1 s, repeated as needed) on a random melody.

    ``excite`` makes the source out of the pitch of every 10 ms; None = ``cords``.
    """
    slow = rng.uniform(1.3, 3.0)
    tract, breathy = _tract(spoken)
    frames = length // HOP_SAMPLES + 1
    at = (np.arange(frames) / slow).astype(int) % len(tract)
    voices = 1 if rng.random() < 0.7 else int(rng.integers(2, 4))
    pitch = melody(frames, rng)
    out = np.zeros(length + WINDOW_SAMPLES)
    for voice in range(voices):
        interval = 1.0 if voice == 0 else 2 ** (rng.choice([3, 4, 5, 7, 12, 0.1]) / 12)
        source = (excite or cords)(pitch * interval, rng)
        source += rng.standard_normal(len(source)) * 0.02
        out += shape_voice(source, tract[at], breathy[at], rng)[: len(out)]
    return out[:length].astype(np.float32)


def melody(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(frames,) pitch in Hz every 10 ms: steps of a scale, 0.15 to 1.2 s each, glides between, vibrato on most."""
    scale = SCALES[int(rng.integers(len(SCALES)))]
    root = rng.uniform(90, 330)
    beat = rng.uniform(0.15, 0.4)
    semitones, degree = np.zeros(frames), int(rng.integers(0, 8))
    at = 0
    while at < frames:
        size = max(8, int(beat * rng.choice([1, 1, 2, 2, 3, 4]) * 100))
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, 2 * len(scale) - 1))
        semitones[at : at + size] = 12 * (degree // len(scale)) + scale[degree % len(scale)]
        at += size
    glide = int(rng.integers(2, 8))
    semitones = np.convolve(
        np.pad(semitones, glide, mode="edge"), np.ones(2 * glide + 1) / (2 * glide + 1), "valid"
    )
    depth = rng.uniform(0, 0.6) * (rng.random() < 0.8)
    semitones += depth * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * np.arange(frames) / 100)
    return root * 2 ** (semitones / 12)


def _tract(spoken: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smoothed magnitude spectrum (T, 257) of every 10 ms, and (T,) how unvoiced it is, 0 to 1."""
    if len(spoken) < 2 * WINDOW_SAMPLES:
        spoken = np.resize(spoken, 2 * WINDOW_SAMPLES)
    frames = np.lib.stride_tricks.sliding_window_view(spoken, WINDOW_SAMPLES)[::HOP_SAMPLES] * np.hanning(
        WINDOW_SAMPLES
    )
    spectrum = np.abs(np.fft.rfft(frames)) + 1e-6
    cepstrum = np.fft.irfft(np.log(spectrum))
    cepstrum[:, 28:-28] = 0  # keep what changes slowly along frequency: the tract, not the harmonics
    smooth = np.exp(np.fft.rfft(cepstrum).real)
    high = np.sum(smooth[:, 96:] ** 2, axis=1) / np.sum(smooth**2, axis=1)
    return smooth, np.clip((high - 0.3) / 0.4, 0, 1)


def cords(pitch: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """A pulse a period of ``pitch``, each shared between its two nearest samples."""
    each = np.interp(
        np.arange(len(pitch) * HOP_SAMPLES + WINDOW_SAMPLES), np.arange(len(pitch)) * HOP_SAMPLES, pitch
    )
    phase = np.cumsum(each) / SAMPLE_RATE
    turns = np.arange(1, int(phase[-1]))
    places = np.interp(turns, phase, np.arange(len(phase))) + rng.normal(0, 0.3, len(turns))
    places = np.clip(places, 0, len(phase) - 2)
    whole = places.astype(int)
    out = np.zeros(len(phase))
    np.add.at(out, whole, 1 - (places - whole))
    np.add.at(out, whole + 1, places - whole)
    return out * np.sqrt(SAMPLE_RATE / np.maximum(each, 1))


def shape_voice(
    source: NDArray[np.float64],
    tract: NDArray[np.float64],
    breathy: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Overlap-add of the source's spectrum times the tract; unvoiced frames from hiss."""
    frames = np.lib.stride_tricks.sliding_window_view(source, WINDOW_SAMPLES)[::HOP_SAMPLES][
        : len(tract)
    ] * np.hanning(WINDOW_SAMPLES)
    hiss = rng.standard_normal((len(frames), WINDOW_SAMPLES)) * np.hanning(WINDOW_SAMPLES)
    share = breathy[: len(frames), None]
    mixed = np.fft.rfft(frames) * (1 - share) + np.fft.rfft(hiss) * share
    pieces = np.fft.irfft(mixed * tract[: len(frames)])
    out = np.zeros(len(source) + WINDOW_SAMPLES)
    for index, piece in enumerate(pieces):
        out[index * HOP_SAMPLES : index * HOP_SAMPLES + WINDOW_SAMPLES] += piece
    return out
