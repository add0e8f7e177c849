"""Labelled streams out of clean clips: a scene is a sequence of segments, each with its sources at known levels.

A segment names what sounds in it (nothing, one kind, or several), one level for its leading source, and for
each other source a ratio to the leading one. Labels are taken from every clean source before anything is added
to anything; rooms, filters and codecs come after, and leave the labels alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.recipes.speech_music_noise.scenes import effects, synthetic
from export.recipes.speech_music_noise.scenes.labels import GRID, active_rms, activity
from export.recipes.speech_music_noise.scenes.material import RATE, Active, Samples, material, to_grid
from export.recipes.speech_music_noise.scenes.mix import Mix
from export.recipes.speech_music_noise.sources.bank import Source
from export.recipes.speech_music_noise.sources.rules import KINDS, Kind


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
        active: (n // 160, 3) bool, whether speech, music, noise sound in each 10 ms.
        segments: what was put where.
        tracks: (3, n) float32, the clean sources as they were added up, before effects.
    """

    samples: Samples
    active: Active
    segments: tuple[Segment, ...]
    tracks: Samples


def compose(source: Source, seconds: float, mix: Mix, rng: np.random.Generator) -> Scene:
    """One scene. The same generator state gives the same scene, to the bit."""
    length = round(seconds * RATE) // GRID * GRID
    tracks = np.zeros((len(KINDS), length), np.float32)
    active = np.zeros((length // GRID, len(KINDS)), bool)
    floor_db = float(rng.uniform(*mix.floor))
    names, share = list(mix.weights), np.array(list(mix.weights.values()))
    segments, at = [], 0
    while at < length:
        kinds = names[int(rng.choice(len(names), p=share / share.sum()))]
        end = min(length, at + to_grid(rng.uniform(*mix.seconds)))
        segments.append(_place(source, at, end, kinds, floor_db, mix, tracks, active, rng))
        at = end if rng.random() < 0.5 else min(length, end + to_grid(rng.uniform(0.1, 1.5)))
    samples = _damage(tracks, floor_db, active, mix, rng)
    return Scene(samples, active, tuple(segments), tracks)


def _place(
    source: Source,
    start: int,
    end: int,
    kinds: tuple[Kind, ...],
    floor_db: float,
    mix: Mix,
    tracks: Samples,
    active: Active,
    rng: np.random.Generator,
) -> Segment:
    """Put the sources of one segment into the tracks and their activity into the labels."""
    level = float(rng.uniform(*mix.level))
    ratios = {}
    for place, kind in enumerate(kinds):
        begin, stop = start, end
        if place == 0 and len(kinds) > 1:  # the leading source comes and goes over the others
            begin += to_grid(min(rng.uniform(0.2, 2.5), (end - start) / RATE / 4))
            stop -= to_grid(min(rng.uniform(0.0, 2.0), (end - start) / RATE / 4))
        clean, own = material(source, kind, stop - begin, mix, rng)
        target = level
        if place:
            ratios[kind] = float(rng.uniform(*mix.ratio[(kinds[0], kind)]))
            target = level - ratios[kind]
        clean = at_level(clean, own, target)
        # What the microphone's hiss drowns is not heard, so it is not labelled.
        own = own & activity(clean, kind, floor=10 ** (floor_db / 10))
        column = KINDS.index(kind)
        tracks[column, begin:stop] += clean
        active[begin // GRID : stop // GRID, column] |= own
    return Segment(start, end, kinds, level, min(ratios.values(), default=None))


def at_level(samples: Samples, active: Active, dbfs: float) -> Samples:
    """Scaled so that the active frames have an RMS of ``dbfs``; silence stays silence."""
    rms = active_rms(samples, active)
    return samples * np.float32(10 ** (dbfs / 20) / rms) if rms else samples


def _damage(tracks: Samples, floor_db: float, active: Active, mix: Mix, rng: np.random.Generator) -> Samples:
    """The microphone's side: rooms a source, then the sum, hiss, filter, codec, clipping, dead stretches."""

    def happens(name: str) -> bool:
        return bool(rng.random() < mix.damage.get(name, 0.0))

    heard = list(tracks)
    if happens("room"):
        heard[0] = effects.reverberate(tracks[0], effects.room_response(rng))
        beside = effects.room_response(rng)
        heard[1:] = [effects.reverberate(track, beside) for track in tracks[1:]]
    out = np.sum(heard, axis=0, dtype=np.float32)
    out += synthetic.self_noise(len(out), floor_db, rng)
    if happens("filter"):
        out = effects.equalise(out, rng, spread=4.0)
    if happens("clip"):
        out = out * np.float32(rng.uniform(1.5, 5) / max(float(np.abs(out).max()), 1e-3))
    out = np.clip(out, -1, 1)
    if happens("codec"):
        out = effects.through_codec(out, effects.usual_codec(rng), rng)
    if happens("dead"):
        idle = np.repeat(~active.any(axis=1), GRID)
        out = np.where(idle, np.float32(0), out)
    return np.clip(out, -1, 1).astype(np.float32)
