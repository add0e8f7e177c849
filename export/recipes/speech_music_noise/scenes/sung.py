"""Singing by several methods: a network that has heard one learns the sound of that method, not held pitch.

``METHODS`` are "vocoder" (singing.py), "excitations" (the same, from other sources than a pulse train), "overlap-add"
(the speaker's own grains at a held pitch), "formants" (vowels and hisses by rule) and "choir" (sampled voices).
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes import notes, singing
from export.recipes.speech_music_noise.scenes.voices import VOWELS, Track, voice
from export.recipes.speech_music_noise.sources.bank import Source
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]
Method = Literal["vocoder", "excitations", "overlap-add", "formants", "choir"]
METHODS: tuple[Method, ...] = ("vocoder", "excitations", "overlap-add", "formants", "choir")
CHOIR = re.compile(r"choir|voice|vox|aah|ooh|chorus", re.I)
LONGEST_SPOKEN = 6 * SAMPLE_RATE
LOWEST_PITCH, HIGHEST_PITCH = 70.0, 400.0  # of a speaker, Hz
VOICED = 0.4  # normalised autocorrelation from which a frame has a pitch


def sung(source: Source, length: int, methods: tuple[Method, ...], rng: np.random.Generator) -> Samples:
    """(length,) float32: someone singing, by one of the methods."""
    method = methods[int(rng.integers(len(methods)))] if len(methods) > 1 else methods[0]
    if method == "formants":
        return by_formants(length, rng)
    if method == "choir":
        groups = sorted({clip.group for clip in source.clips("notes") if CHOIR.search(clip.group)})
        if groups:
            return notes.tune(source, length, rng, group=groups[int(rng.integers(len(groups)))])
        return by_formants(length, rng)  # no choir on this side of the split
    clip = source.draw("speech", rng)
    spoken = source.read(clip, 0, LONGEST_SPOKEN)
    if method == "overlap-add":
        return by_overlap_add(spoken, length, rng)
    if method == "excitations":
        return singing.sing(spoken, length, rng, excite=_excitation)
    return singing.sing(spoken, length, rng)


def by_overlap_add(spoken: Samples, length: int, rng: np.random.Generator) -> Samples:
    """The words of ``spoken``, slower, at the pitch of a melody: grains of two periods, laid a new period apart.

    Pitch-synchronous overlap-add (Moulines and Charpentier 1990); where the speaker has no pitch, grains keep their
    distance, so that consonants stay as they are.
    """
    if len(spoken) < 2000:
        spoken = np.resize(spoken, 2000)
    periods, voiced = _periods(spoken)
    marks = _marks(spoken, periods)
    slow = rng.uniform(1.3, 3.0)
    melody = singing.melody(length // 160 + 1, rng)
    own = np.median(SAMPLE_RATE / periods[voiced]) if voiced.any() else 150.0
    octave = np.round(np.log2(np.median(melody) / own))  # not further from the speaker than half an octave
    melody = melody / 2**octave
    out = np.zeros(length + 4000)
    at = 0.0
    while at < length:
        place = (at / slow) % max(len(spoken) - 1, 1)
        mark = marks[min(int(np.searchsorted(marks, place)), len(marks) - 1)]
        frame = min(int(mark) // 160, len(periods) - 1)
        period = int(periods[frame])
        begin, end = max(mark - period, 0), min(mark + period, len(spoken))
        grain = spoken[begin:end] * np.hanning(end - begin)
        start = int(at)
        out[start : start + len(grain)] += grain
        at += SAMPLE_RATE / melody[min(int(at) // 160, len(melody) - 1)] if voiced[frame] else period
    return out[:length].astype(np.float32)


def _periods(spoken: Samples) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pitch period in samples of every 10 ms (that of 100 Hz where there is none), and whether there is one."""
    window, lags = 640, np.arange(round(SAMPLE_RATE / HIGHEST_PITCH), round(SAMPLE_RATE / LOWEST_PITCH))
    padded = np.pad(spoken.astype(np.float64), (window // 2, window // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::160]
    frames = frames - frames.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(frames, 2 * window)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:, : lags[-1] + 1]
    scaled = correlation[:, lags] / (1 - lags / window) / np.maximum(correlation[:, :1], 1e-12)
    best = np.argmax(scaled, axis=1)
    voiced = scaled[np.arange(len(scaled)), best] > VOICED
    loud = correlation[:, 0] > np.percentile(correlation[:, 0], 95) * 1e-3
    voiced &= loud
    return np.where(voiced, lags[best], SAMPLE_RATE / 100).astype(np.float64), voiced


def _marks(spoken: Samples, periods: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where grains are centred: a period apart, each at the highest sample near by."""
    marks: list[int] = []
    at = 0.0
    while at < len(spoken):
        period = periods[min(int(at) // 160, len(periods) - 1)]
        begin, end = int(max(at - period / 4, 0)), int(min(at + period / 4 + 1, len(spoken)))
        peak = begin + int(np.argmax(spoken[begin:end])) if end > begin else int(at)
        if not marks or peak > marks[-1]:
            marks.append(peak)
        at = max(marks[-1] + period, at + 1)
    return np.array(marks or [0])


def by_formants(length: int, rng: np.random.Generator) -> Samples:
    """Syllables without words: on each note of a melody a hiss or nothing, then a vowel that glides to the next."""
    frames = length // 160 + 1
    pitch = singing.melody(frames, rng)
    size = rng.uniform(0.9, 1.25)
    tracks = np.zeros((frames, 3))
    breath, loud = np.full(frames, rng.uniform(0.01, 0.12)), np.ones(frames)
    at = 0
    while at < frames:
        hold = int(rng.choice([20, 30, 40, 60, 90, 140]) * rng.uniform(0.8, 1.2))
        tracks[at : at + hold] = np.array(VOWELS[int(rng.integers(len(VOWELS)))]) * size
        begins = slice(at, at + int(rng.integers(3, 12)))
        how = rng.random()
        if how < 0.35:
            breath[begins] = rng.uniform(0.5, 1.0)  # s, f, h
        elif how < 0.6:
            loud[begins] = 0.05  # p, t, k
        at += hold
        if at < frames and rng.random() < 0.12:  # a breath
            rest = int(rng.uniform(15, 60))
            loud[at : at + rest] = 0.0
            tracks[at : at + rest] = tracks[at - 1]
            at += rest
    glide = np.ones(9) / 9
    formants: list[Track] = [
        np.convolve(np.pad(tracks[:, part], 4, mode="edge"), glide, "valid") for part in range(3)
    ]
    loud = np.convolve(np.pad(loud, 2, mode="edge"), np.ones(5) / 5, "valid")
    if rng.random() < 0.4:  # the singer's formant
        formants.append(np.full(frames, rng.uniform(2700, 3200)))
    out = voice(
        pitch, formants, rng, breath=breath, loud=loud, width=rng.uniform(60, 120), slope=rng.uniform(-6, -1)
    )
    return out[:length]


def _excitation(pitch: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Something else than a pulse train: a saw, a pulse that is wide, two that beat, or pulses with much hiss."""
    source = singing.cords(pitch, rng)
    kind = int(rng.integers(4))
    if kind == 0:  # falls 6 dB an octave, as a saw does
        return _leaky_sum(source, 0.97)
    if kind == 1:  # open for a part of each period, rounded at both ends
        width = int(SAMPLE_RATE / float(np.median(pitch)) * rng.uniform(0.2, 0.6)) + 2
        return np.convolve(source, np.hanning(width), "same")
    if kind == 2:
        return source + singing.cords(pitch * 2 ** (rng.uniform(0.05, 0.3) / 12), rng)
    return source + rng.standard_normal(len(source)) * rng.uniform(0.1, 0.4)


def _leaky_sum(samples: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    from scipy.signal import lfilter

    summed: NDArray[np.float64] = lfilter([1.0], [1.0, -keep], samples)
    return summed
