"""Labelled streams out of clean clips: a scene is a sequence of segments, each with its sources at known levels.

A segment names what sounds in it (nothing, one kind, or several), one level for its leading source, and for
each other source a ratio to the leading one. Labels are taken from every clean source before anything is added
to anything; rooms, filters and codecs come after, and leave the labels alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.recipes.speech_music_noise.scenes import effects, rooms, synthetic
from export.recipes.speech_music_noise.scenes.labels import CELL_SAMPLES, active_rms, activity, audible
from export.recipes.speech_music_noise.scenes.material import Active, Samples, material, to_cells
from export.recipes.speech_music_noise.scenes.mix import Mix
from export.recipes.speech_music_noise.sources.bank import Source
from export.recipes.speech_music_noise.sources.rules import KINDS, SAMPLE_RATE, Kind

QUIETER = 0.1  # 20 dB
ADDED_LATER = frozenset({"gain-control", "quiet"})


@dataclass(frozen=True)
class Segment:
    """Samples ``start`` to ``end`` hold ``kinds``; ``ratio`` dB of the first over the loudest of the others."""

    start: int
    end: int
    kinds: tuple[Kind, ...]
    level: float
    ratio: float | None


@dataclass(frozen=True, eq=False)
class Scene:
    """A labelled stream.

    Attributes:
        samples: (n,) float32 at 16 kHz, n a multiple of 160.
        active: (cells, 3) bool, whether speech, music, noise sound in each 10 ms.
        segments: what was put where.
        stems: (3, n) float32, the clean sources as they were added up, before effects.
    """

    samples: Samples
    active: Active
    segments: tuple[Segment, ...]
    stems: Samples


def compose(source: Source, seconds: float, mix: Mix, rng: np.random.Generator) -> Scene:
    """One scene. The same generator state gives the same scene, to the bit."""
    length = round(seconds * SAMPLE_RATE) // CELL_SAMPLES * CELL_SAMPLES
    stems = np.zeros((len(KINDS), length), np.float32)
    active = np.zeros((length // CELL_SAMPLES, len(KINDS)), bool)
    self_noise_dbfs = float(rng.uniform(*mix.self_noise_dbfs))
    names, share = list(mix.weights), np.array(list(mix.weights.values()))
    segments, at = [], 0
    while at < length:
        kinds = names[int(rng.choice(len(names), p=share / share.sum()))]
        end = min(length, at + to_cells(rng.uniform(*mix.segment_seconds)))
        segments.append(_add_segment(source, at, end, kinds, self_noise_dbfs, mix, stems, active, rng))
        at = end if rng.random() < 0.5 else min(length, end + to_cells(rng.uniform(0.1, 1.5)))
    samples = _degrade(stems, self_noise_dbfs, active, mix, rng)
    return Scene(samples, active, tuple(segments), stems)


def _add_segment(
    source: Source,
    start: int,
    end: int,
    kinds: tuple[Kind, ...],
    self_noise_dbfs: float,
    mix: Mix,
    stems: Samples,
    active: Active,
    rng: np.random.Generator,
) -> Segment:
    """Put the sources of one segment into the stems and their activity into the labels."""
    level = float(rng.uniform(*mix.level_dbfs))
    ratios: dict[Kind, float] = {}
    leading: Active | None = None
    for index, kind in enumerate(kinds):
        begin, stop = start, end
        if index == 0 and len(kinds) > 1:  # the leading source comes and goes over the others
            begin += to_cells(min(rng.uniform(0.2, 2.5), (end - start) / SAMPLE_RATE / 4))
            stop -= to_cells(min(rng.uniform(0.0, 2.0), (end - start) / SAMPLE_RATE / 4))
        clean, own = material(source, kind, stop - begin, mix, rng)
        target = level
        if index:
            ratios[kind] = float(rng.uniform(*mix.ratio_db[(kinds[0], kind)]))
            target = level - ratios[kind]
        clean = at_level(clean, own, target)
        # What the microphone's own noise drowns cannot be heard, so it is not labelled.
        floor = 10 ** (self_noise_dbfs / 10)
        own = own & (audible(clean, kind, floor) if mix.far else activity(clean, kind, floor=floor))
        if kind == "noise" and ratios.get(kind, 0.0) > mix.noise_heard_db and leading is not None:
            own = own & ~leading[begin // CELL_SAMPLES : stop // CELL_SAMPLES]
        column = KINDS.index(kind)
        stems[column, begin:stop] += clean
        active[begin // CELL_SAMPLES : stop // CELL_SAMPLES, column] |= own
        if not index:
            leading = active[:, column].copy()
    return Segment(start, end, kinds, level, min(ratios.values(), default=None))


def at_level(samples: Samples, active: Active, dbfs: float) -> Samples:
    """Scaled so that the active cells have an RMS of ``dbfs``; silence stays silence."""
    rms = active_rms(samples, active)
    return samples * np.float32(10 ** (dbfs / 20) / rms) if rms else samples


def _degrade(
    stems: Samples, self_noise_dbfs: float, active: Active, mix: Mix, rng: np.random.Generator
) -> Samples:
    """From sources to samples: a room for each, then their sum, self-noise, filter, codec, clipping, dropouts."""

    def happens(name: str) -> bool:
        if name in ADDED_LATER and name not in mix.degradations:
            return False  # without a draw: the scenes of older mixes stay what they are, to the sample
        return bool(rng.random() < mix.degradations.get(name, 0.0))

    received = list(stems)
    if happens("room"):
        received[0] = effects.reverberate(stems[0], effects.room_response(rng))
        beside = effects.room_response(rng)
        received[1:] = [effects.reverberate(stem, beside) for stem in stems[1:]]
    out: Samples = np.sum(received, axis=0, dtype=np.float32)
    out += synthetic.self_noise(len(out), self_noise_dbfs, rng)
    if happens("filter"):
        out = effects.equalise(out, rng, spread=4.0)
    if happens("clip"):
        out = out * np.float32(rng.uniform(1.5, 5) / max(float(np.abs(out).max()), 1e-3))
    if happens("gain-control"):
        out = rooms.gain_control(out, rng)
    if happens("quiet"):
        out = out * np.float32(QUIETER)
    out = np.clip(out, -1, 1)
    if happens("codec"):
        out = effects.through_codec(out, effects.draw_codec(rng), rng)
    if happens("dead"):
        idle = np.repeat(~active.any(axis=1), CELL_SAMPLES)
        out = np.where(idle, np.float32(0), out)
    return np.clip(out, -1, 1).astype(np.float32)
