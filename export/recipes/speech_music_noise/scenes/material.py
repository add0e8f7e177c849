"""Sound of one kind to fill a segment with: someone talking, a song, a bed or hits of noise."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes import (
    beats,
    creatures,
    effects,
    notes,
    rooms,
    sparse,
    sung,
    synthetic,
    tones,
)
from export.recipes.speech_music_noise.scenes.labels import CELL_SAMPLES, activity
from export.recipes.speech_music_noise.scenes.mix import Mix
from export.recipes.speech_music_noise.sources.bank import Clip, Source
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE, Kind, Stock

Samples = NDArray[np.float32]
Active = NDArray[np.bool_]


def to_cells(seconds: float) -> int:
    """Samples of a time, rounded to whole 10 ms labels."""
    return round(seconds * SAMPLE_RATE / CELL_SAMPLES) * CELL_SAMPLES


def material(
    source: Source, kind: Kind, length: int, mix: Mix, rng: np.random.Generator
) -> tuple[Samples, Active]:
    """(length,) float32 of one kind and (length // 160,) bool, when it is active.

    A speaker's clips with pauses, a stretch of music, or a bed or hits of noise.
    """
    if kind == "speech" and mix.far:
        return rooms.conversation(_talkers(source, mix, rng), length, rng)
    if kind == "speech":
        out, active = _talk(source, length, mix, rng)
        if mix.vary_clips and rng.random() < 0.08:  # someone else at the same time
            other, too = _talk(source, length, mix, rng)
            out, active = out + other * np.float32(rng.uniform(0.3, 1)), active | too
        return out, active
    if kind == "music":
        out = _song(source, length, mix, rng)
    else:
        out = _noise(source, length, mix, rng)
    if mix.vary_clips and rng.random() < 0.3:
        out = out * effects.envelope(length, rng, depth=rng.uniform(2, 10), every=rng.uniform(0.5, 6))
    out = effects.fade(out, *np.exp(rng.uniform(np.log(0.005), np.log(0.8 if kind == "music" else 0.1), 2)))
    return out, activity(out, kind)


def _noise(source: Source, length: int, mix: Mix, rng: np.random.Generator) -> Samples:
    """A bed, hits with pauses, or noise made by rule; now and then two of them together."""
    if mix.creatures or mix.tones or mix.bangs:
        special = rng.random()
        if special < mix.creatures:
            return _called(source, "creatures", length, mix, rng)
        if special < mix.creatures + mix.tones:
            return _called(source, "tones", length, mix, rng)
        if special < mix.creatures + mix.tones + mix.bangs:
            return _filtered(sparse.bangs(source, length, rng), mix, rng, 3.0)
    if rng.random() < mix.synthetic_noise:
        return synthetic.noise(length, rng)
    out = _fill(source, "noise", length, mix, rng, long=bool(rng.random() < 0.7))
    if mix.vary_clips and rng.random() < 0.25:
        made = rng.random() < 0.5
        other = synthetic.noise(length, rng) if made else _fill(source, "noise", length, mix, rng, long=True)
        out = _unit_rms(out) + _unit_rms(other) * np.float32(10 ** (rng.uniform(-15, 5) / 20))
    return out


def _song(source: Source, length: int, mix: Mix, rng: np.random.Generator) -> Samples:
    """A stretch of music; a share of it is sung, drummed or played note by note, alone or with something else."""
    if mix.openings and rng.random() < mix.openings:
        return _stretch(source, length, mix, rng) * sparse.opening(length, rng)
    return _stretch(source, length, mix, rng)


def _stretch(source: Source, length: int, mix: Mix, rng: np.random.Generator) -> Samples:
    if mix.songs or mix.solo or mix.bass:
        special = rng.random()
        if special < mix.songs and source.clips("songs"):
            return _fill(source, "songs", length, mix, rng, long=bool(rng.random() < 0.5))
        if mix.songs <= special < mix.songs + mix.solo:
            return _filtered(sparse.solo(source, length, rng), mix, rng, 3.0)
        if mix.songs + mix.solo <= special < mix.songs + mix.solo + mix.bass:
            return _filtered(sparse.bass_music(length, rng), mix, rng, 3.0)
    kind = rng.random()
    if kind < mix.sung:
        lead, alone = sung.sung(source, length, mix.sung_by, rng), 0.3 if mix.sung < 0.5 else 0.5
    elif kind < mix.sung + mix.drummed:
        lead, alone = beats.beat(source, length, rng), 0.6
    elif kind < mix.sung + mix.drummed + mix.played:
        lead, alone = notes.tune(source, length, rng), 0.75
    else:
        return _fill(source, "music", length, mix, rng, long=True)
    if rng.random() < alone:
        return _filtered(_unit_rms(lead), mix, rng, 3.0)
    return _both(lead, _fill(source, "music", length, mix, rng, long=True), mix, rng)


def _both(lead: Samples, band: Samples, mix: Mix, rng: np.random.Generator) -> Samples:
    """The band 10 dB above to 10 dB below the lead."""
    share = np.float32(10 ** (rng.uniform(-10, 10) / 20))
    out: Samples = _filtered(_unit_rms(lead), mix, rng, 3.0) + _unit_rms(band) * share
    return out


def _called(source: Source, stock: Stock, length: int, mix: Mix, rng: np.random.Generator) -> Samples:
    """Creatures or tones: recorded, one after the other, or made by rule."""
    if rng.random() < mix.made or not source.clips(stock):
        made = creatures.creatures if stock == "creatures" else tones.tones
        return _filtered(made(length, rng), mix, rng, 4.0)
    return _fill(
        source, stock, length, mix, rng, long=bool(rng.random() < (0.3 if stock == "creatures" else 0.7))
    )


def _talkers(source: Source, mix: Mix, rng: np.random.Generator) -> list[rooms.Talker]:
    """Two talkers, sometimes one or three."""

    def talker(first: Clip) -> rooms.Talker:
        return lambda length: _talk(source, length, mix, rng, first)

    return [talker(source.draw("speech", rng)) for _ in range(int(rng.choice([1, 2, 2, 3])))]


def _talk(
    source: Source, length: int, mix: Mix, rng: np.random.Generator, first: Clip | None = None
) -> tuple[Samples, Active]:
    """One speaker's clips with pauses between them, each with the activity of its own recording."""
    out, active = np.zeros(length, np.float32), np.zeros(length // CELL_SAMPLES, bool)
    first = first or source.draw("speech", rng)
    speed, clip, at = _speed(mix, rng, 0.8, 1.18), first, 0
    while at < length:
        piece = _take(source, clip, length - at, speed, rng)
        piece = effects.fade(piece / max(float(np.abs(piece).max(initial=0)), 1e-3), 0.004, 0.01)
        own = activity(piece, "speech")
        # Pauses of a volunteer's recording hold the sound of a room; gated, they hold the scene's.
        if rng.random() < 0.85:
            piece = piece * _gate(own, len(piece))
        out[at : at + len(piece)] = piece * np.float32(10 ** (rng.uniform(-3, 0) / 20))
        active[at // CELL_SAMPLES : at // CELL_SAMPLES + len(own)] |= own
        at += to_cells(len(piece) / SAMPLE_RATE)
        if mix.short_talk:
            at += to_cells(rng.uniform(0.7, 2.5))
        else:
            at += to_cells(rng.uniform(0.03, 0.5) if rng.random() < 0.65 else rng.uniform(0.5, 1.8))
        clip = source.more(first, "speech", rng)
    return _filtered(out, mix, rng, 3.0), active


def _gate(active: Active, length: int) -> Samples:
    """(length,) float32 gain: 1 where active, 0 where not, the change spread over 20 ms."""
    gain = np.zeros(length, np.float32)
    on = np.repeat(active, CELL_SAMPLES)
    gain[: len(on)] = on
    total = np.cumsum(np.pad(gain, (160, 160), mode="edge"), dtype=np.float64)
    gate: Samples = ((total[320:] - total[:-320]) / 320).astype(np.float32)
    return gate


def _fill(
    source: Source, kind: Stock, length: int, mix: Mix, rng: np.random.Generator, long: bool
) -> Samples:
    """Clips of a stock until ``length`` is full: one after the other (``long``: without pauses)."""
    out, at = np.zeros(length, np.float32), 0
    clip = source.draw(kind, rng)
    while at < length:
        speed = _speed(mix, rng, *((0.9, 1.1) if kind in ("music", "songs") else (0.6, 1.6)))
        piece = _take(source, clip, length - at, speed, rng)
        loud = max(float(np.sqrt(np.mean(np.square(piece)))) if len(piece) else 0.0, 1e-4)
        piece = effects.fade(piece / np.float32(loud), 0.005, 0.02)
        out[at : at + len(piece)] = piece
        at += len(piece) + (0 if long else int(rng.exponential(0.5) * SAMPLE_RATE))
        if kind == "music" or rng.random() < 0.4:
            clip = source.draw(kind, rng)  # otherwise the same again: steps, knocks, barks repeat
    return _filtered(out, mix, rng, 3.0 if kind == "music" else 7.0)


def _take(source: Source, clip: Clip, length: int, speed: float, rng: np.random.Generator) -> Samples:
    """Up to ``length`` samples from a random place in the clip, played at ``speed``."""
    want = int(np.ceil(length * speed)) + 1
    offset = int(rng.integers(max(1, clip.length - want + 1)))
    piece = source.read(clip, offset, want)
    if speed != 1.0:
        piece = soxr.resample(piece, SAMPLE_RATE * speed, SAMPLE_RATE, quality="LQ").astype(np.float32)
    return piece[:length]


def _speed(mix: Mix, rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high)) if mix.vary_clips and rng.random() < 0.5 else 1.0


def _filtered(samples: Samples, mix: Mix, rng: np.random.Generator, spread: float) -> Samples:
    """Another colour for most, and for some a narrow band of their own: bandwidth must not tell the kinds apart."""
    if mix.vary_clips and rng.random() < 0.15:
        samples = effects.band_limit(samples, float(rng.uniform(30, 300)), float(rng.uniform(3000, 6000)))
    return effects.equalise(samples, rng, spread) if mix.vary_clips and rng.random() < 0.6 else samples


def _unit_rms(samples: Samples) -> Samples:
    out: Samples = samples / np.float32(max(float(np.sqrt(np.mean(np.square(samples)))), 1e-9))
    return out
