"""Labelled streams out of clean clips: a scene is a sequence of segments, each with its sources at known levels.

A segment names what sounds in it (nothing, one kind, or several), one level for its leading source, and for
each other source a ratio to the leading one. Labels are taken from every clean source before anything is added
to anything; rooms, filters and codecs come after, and leave the labels alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import soxr
from numpy.typing import NDArray

from export.recipes.rooms import effects, singing, synthetic
from export.recipes.rooms.bank import Clip, Source
from export.recipes.rooms.corpora import KINDS, Kind
from export.recipes.rooms.labels import GRID, active_rms, activity

Samples = NDArray[np.float32]
Active = NDArray[np.bool_]
RATE = 16000


@dataclass(frozen=True)
class Mix:
    """How scenes are made. Ratios are in dB, active RMS against active RMS; levels in dBFS of active RMS.

    Attributes:
        weights: what sounds together -> relative share of segments. The first kind leads.
        seconds: shortest and longest segment.
        level: of the leading source.
        ratio: (leading, other) -> range of the leading source over the other.
        floor: the microphone's own hiss, dBFS; counts as silence.
        made_noise: share of noise made by rule instead of recorded.
        sung: share of music that somebody sings to (or sings alone), made from spoken clips.
        damage: share of scenes each effect touches: "filter", "room", "codec", "clip", "dead" (digital silence).
        vary: whether clips are filtered, sped up and shaped one by one.
    """

    weights: dict[tuple[Kind, ...], float]
    seconds: tuple[float, float] = (3.0, 15.0)
    level: tuple[float, float] = (-40.0, -10.0)
    ratio: dict[tuple[Kind, Kind], tuple[float, float]] = field(default_factory=dict)
    floor: tuple[float, float] = (-84.0, -60.0)
    made_noise: float = 0.3
    sung: float = 0.2
    damage: dict[str, float] = field(default_factory=dict)
    vary: bool = True


RATIOS: dict[tuple[Kind, Kind], tuple[float, float]] = {
    ("speech", "music"): (-5.0, 20.0),
    ("speech", "noise"): (-5.0, 20.0),
    ("music", "noise"): (-8.0, 20.0),
}
TRAIN = Mix(
    weights={
        (): 0.11,
        ("speech",): 0.17,
        ("music",): 0.13,
        ("noise",): 0.17,
        ("speech", "music"): 0.14,
        ("speech", "noise"): 0.13,
        ("music", "noise"): 0.11,
        ("speech", "music", "noise"): 0.04,
    },
    ratio=RATIOS,
    damage={"filter": 0.5, "room": 0.45, "codec": 0.3, "clip": 0.06, "dead": 0.15},
)
VALIDATION = Mix(
    weights={
        (): 0.14,
        ("speech",): 0.17,
        ("music",): 0.15,
        ("noise",): 0.15,
        ("speech", "music"): 0.15,
        ("speech", "noise"): 0.15,
        ("music", "noise"): 0.09,
    },
    ratio={
        ("speech", "music"): (0.0, 20.0),
        ("speech", "noise"): (-5.0, 20.0),
        ("music", "noise"): (-5.0, 15.0),
    },
    made_noise=0.0,
    sung=0.0,
    damage={"room": 0.2, "codec": 0.2, "dead": 0.15},
    vary=False,
)
# Nothing that speaks: what is heard as speech here is a false alarm.
QUIET = Mix(
    weights={(): 0.1, ("music",): 0.45, ("noise",): 0.35, ("music", "noise"): 0.1},
    seconds=(10.0, 40.0),
    ratio=RATIOS,
    made_noise=0.0,
    sung=0.0,
    damage={"room": 0.2, "codec": 0.2},
    vary=False,
)


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
        end = min(length, at + _grid(rng.uniform(*mix.seconds)))
        segments.append(_place(source, at, end, kinds, floor_db, mix, tracks, active, rng))
        at = end if rng.random() < 0.5 else min(length, end + _grid(rng.uniform(0.1, 1.5)))
    samples = _damage(tracks, floor_db, active, mix, rng)
    return Scene(samples, active, tuple(segments), tracks)


def _grid(seconds: float) -> int:
    return round(seconds * RATE / GRID) * GRID


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
            begin += _grid(min(rng.uniform(0.2, 2.5), (end - start) / RATE / 4))
            stop -= _grid(min(rng.uniform(0.0, 2.0), (end - start) / RATE / 4))
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


def material(
    source: Source, kind: Kind, length: int, mix: Mix, rng: np.random.Generator
) -> tuple[Samples, Active]:
    """(length,) float32 of one kind and (length // 160,) bool, when it is active.

    A speaker's clips with pauses, a stretch of music, or a bed or hits of noise.
    """
    if kind == "speech":
        out, active = _talk(source, length, mix, rng)
        if mix.vary and rng.random() < 0.08:  # somebody else at the same time
            other, too = _talk(source, length, mix, rng)
            out, active = out + other * np.float32(rng.uniform(0.3, 1)), active | too
        return out, active
    if kind == "music":
        out = _song(source, length, mix, rng)
    else:
        out = _noise(source, length, mix, rng)
    if mix.vary and rng.random() < 0.3:
        out = out * effects.envelope(length, rng, depth=rng.uniform(2, 10), every=rng.uniform(0.5, 6))
    out = effects.fade(out, *np.exp(rng.uniform(np.log(0.005), np.log(0.8 if kind == "music" else 0.1), 2)))
    return out, activity(out, kind)


def _noise(source: Source, length: int, mix: Mix, rng: np.random.Generator) -> Samples:
    """A bed, hits with pauses, or noise made by rule; now and then two of them together."""
    if rng.random() < mix.made_noise:
        return synthetic.noise(length, rng)
    out = _fill(source, "noise", length, mix, rng, long=bool(rng.random() < 0.7))
    if mix.vary and rng.random() < 0.25:
        made = rng.random() < 0.5
        other = synthetic.noise(length, rng) if made else _fill(source, "noise", length, mix, rng, long=True)
        out = _even(out) + _even(other) * np.float32(10 ** (rng.uniform(-15, 5) / 20))
    return out


def _song(source: Source, length: int, mix: Mix, rng: np.random.Generator) -> Samples:
    """A stretch of music; for a share of them somebody sings to it, or alone."""
    if rng.random() >= mix.sung:
        return _fill(source, "music", length, mix, rng, long=True)
    clip = source.draw("speech", rng)
    voice = _even(singing.sing(source.read(clip, 0, 6 * RATE), length, rng))
    if rng.random() < 0.3:
        return _filtered(voice, mix, rng, 3.0)
    band = _even(_fill(source, "music", length, mix, rng, long=True))
    return _filtered(voice, mix, rng, 3.0) + band * np.float32(10 ** (rng.uniform(-10, 10) / 20))


def _talk(source: Source, length: int, mix: Mix, rng: np.random.Generator) -> tuple[Samples, Active]:
    """One speaker's clips with pauses between them, each with the activity of its own recording."""
    out, active = np.zeros(length, np.float32), np.zeros(length // GRID, bool)
    first = source.draw("speech", rng)
    speed, clip, at = _speed(mix, rng, 0.88, 1.13), first, 0
    while at < length:
        piece = _take(source, clip, length - at, speed, rng)
        piece = effects.fade(piece / max(float(np.abs(piece).max(initial=0)), 1e-3), 0.004, 0.01)
        own = activity(piece, "speech")
        # Pauses of a volunteer's recording hold his room; gated, they hold the scene's.
        if rng.random() < 0.85:
            piece = piece * _gate(own, len(piece))
        out[at : at + len(piece)] = piece * np.float32(10 ** (rng.uniform(-3, 0) / 20))
        active[at // GRID : at // GRID + len(own)] |= own
        at += _grid(len(piece) / RATE)
        at += _grid(rng.uniform(0.03, 0.5) if rng.random() < 0.65 else rng.uniform(0.5, 1.8))
        clip = source.more(first, "speech", rng)
    return _filtered(out, mix, rng, 3.0), active


def _gate(active: Active, length: int) -> Samples:
    """(length,) float32 gain: 1 where active, 0 where not, the change spread over 20 ms."""
    gain = np.zeros(length, np.float32)
    on = np.repeat(active, GRID)
    gain[: len(on)] = on
    total = np.cumsum(np.pad(gain, (160, 160), mode="edge"), dtype=np.float64)
    return ((total[320:] - total[:-320]) / 320).astype(np.float32)


def _fill(source: Source, kind: Kind, length: int, mix: Mix, rng: np.random.Generator, long: bool) -> Samples:
    """Clips of a kind until ``length`` is full: one after the other (``long``: without pauses)."""
    out, at = np.zeros(length, np.float32), 0
    clip = source.draw(kind, rng)
    while at < length:
        speed = _speed(mix, rng, *((0.9, 1.1) if kind == "music" else (0.6, 1.6)))
        piece = _take(source, clip, length - at, speed, rng)
        loud = max(float(np.sqrt(np.mean(np.square(piece)))) if len(piece) else 0.0, 1e-4)
        piece = effects.fade(piece / np.float32(loud), 0.005, 0.02)
        out[at : at + len(piece)] = piece
        at += len(piece) + (0 if long else int(rng.exponential(0.5) * RATE))
        if kind == "music" or rng.random() < 0.4:
            clip = source.draw(kind, rng)  # otherwise the same again: steps, knocks, barks repeat
    return _filtered(out, mix, rng, 3.0 if kind == "music" else 7.0)


def _take(source: Source, clip: Clip, length: int, speed: float, rng: np.random.Generator) -> Samples:
    """Up to ``length`` samples from a random place in the clip, played at ``speed``."""
    want = int(np.ceil(length * speed)) + 1
    offset = int(rng.integers(max(1, clip.length - want + 1)))
    piece = source.read(clip, offset, want)
    if speed != 1.0:
        piece = soxr.resample(piece, RATE * speed, RATE, quality="LQ").astype(np.float32)
    return piece[:length]


def _speed(mix: Mix, rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high)) if mix.vary and rng.random() < 0.5 else 1.0


def _filtered(samples: Samples, mix: Mix, rng: np.random.Generator, spread: float) -> Samples:
    return effects.equalise(samples, rng, spread) if mix.vary and rng.random() < 0.6 else samples


def _even(samples: Samples) -> Samples:
    return samples / np.float32(max(float(np.sqrt(np.mean(np.square(samples)))), 1e-9))


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
        out = effects.through_codec(out, effects.CODECS[int(rng.integers(len(effects.CODECS)))], rng)
    if happens("dead"):
        idle = np.repeat(~active.any(axis=1), GRID)
        out = np.where(idle, np.float32(0), out)
    return np.clip(out, -1, 1).astype(np.float32)
