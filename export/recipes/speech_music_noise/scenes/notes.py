"""Tunes out of single notes: music at its barest, a note or a chord that is struck and dies away.

Networks that hear music as songs alone take a lone note for a voice. One instrument plays lines, chords or broken
chords of a scale, or single notes with pauses; choirs that hold a vowel are among the instruments.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
import soxr
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes.singing import SCALES
from export.recipes.speech_music_noise.sources.bank import Clip, Source
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]
LARGEST_SHIFT_SEMITONES = 7  # further, and a note sounds like another instrument


def tune(source: Source, length: int, rng: np.random.Generator, group: str | None = None) -> Samples:
    """(length,) float32: one instrument (that of ``group``), 40 to 160 beats a minute, in one of four manners."""
    notes = _instrument(source, rng, group)
    scale = SCALES[int(rng.integers(len(SCALES)))]
    root = int(rng.choice(list(notes))) - int(rng.integers(0, 13))
    beat = 60 / rng.uniform(40, 160) * SAMPLE_RATE
    manner = ("line", "chords", "broken", "alone")[int(rng.integers(4))]
    fading = 0.0 if rng.random() < 0.3 else 1 / (rng.uniform(0.1, 2.0) * SAMPLE_RATE)
    out = np.zeros(length + 4 * SAMPLE_RATE, np.float32)
    at, degree = float(rng.uniform(0, beat)), int(rng.integers(0, 12))
    while at < length:
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, 16))
        chord = (0,) if manner in ("line", "alone") else ((0, 2, 4), (0, 2, 4, 7))[int(rng.integers(2))]
        loud, lasting = rng.uniform(0.3, 1), float(rng.choice([0.5, 1, 1, 2, 4])) * beat
        for turn, step in enumerate(chord):
            note = degree + step
            pitch = root + 12 * (note // len(scale)) + scale[note % len(scale)]
            late = turn * (lasting / 2 if manner == "broken" else rng.uniform(0, 0.03) * SAMPLE_RATE)
            _strike(out, int(at + late), _note(notes, pitch, source, rng), lasting, fading, loud)
        at += lasting * (len(chord) / 2 if manner == "broken" else 1)
        at += rng.exponential(1.5) * SAMPLE_RATE if manner == "alone" else 0
    return out[:length]


def _instrument(source: Source, rng: np.random.Generator, group: str | None = None) -> dict[int, Clip]:
    """The clips of one group by pitch; a clip's file is named by its MIDI number."""
    if group is None:
        first = source.draw("notes", rng)
        clips: list[Clip] = source.clips("notes", first.group) or [first]
    else:
        clips = source.clips("notes", group)
    return {_pitch(clip): clip for clip in clips}


def _pitch(clip: Clip) -> int:
    stem = PurePosixPath(clip.path).stem
    return int(stem) if stem.isdigit() else 60


def _note(notes: dict[int, Clip], pitch: int, source: Source, rng: np.random.Generator) -> Samples:
    """The nearest note the instrument has, moved to the pitch, or as near to it as it goes."""
    nearest = min(notes, key=lambda have: abs(have - pitch))
    ratio = 2 ** (
        np.clip(pitch - nearest, -LARGEST_SHIFT_SEMITONES, LARGEST_SHIFT_SEMITONES) / 12
        + rng.normal(0, 0.03) / 12
    )
    note = source.read(notes[nearest], 0, 4 * SAMPLE_RATE)
    moved: Samples = soxr.resample(note, SAMPLE_RATE * ratio, SAMPLE_RATE, quality="LQ").astype(np.float32)
    return moved


def _strike(out: Samples, at: int, note: Samples, lasting: float, fading: float, loud: float) -> None:
    """Add a note that is let go after ``lasting`` samples; ``fading`` is its decay, per sample."""
    note = note[: max(len(out) - at, 0)]
    time = np.arange(len(note), dtype=np.float32)
    gain = np.exp(-fading * time - np.maximum(time - lasting, 0) / (0.06 * SAMPLE_RATE))
    gain *= np.minimum((len(note) - time) / (0.02 * SAMPLE_RATE), 1)  # recordings end where they were cut
    out[at : at + len(note)] += (note * gain * np.float32(loud)).astype(np.float32)
