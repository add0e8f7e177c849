"""Streams in which one beep sounds, and what is near to it: what a detector of its cadence learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Split
from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Cadence, Pulses, other_cadence, pulse_times, varied
from export.scenes.look_alikes import look_alike
from export.scenes.negatives import KINDS, Negatives
from export.scenes.room import Rooms, filtered
from export.scenes.scene_config import SceneConfig
from export.scenes.sound_store import active_rms
from export.scenes.sounder import Sounder, sounded
from export.scenes.sounder_labels import Placed, placed
from export.teaching.beeping import Beeping

Array = NDArray[np.float32]
SAMPLE_RATE = 16_000
CYCLES = 2.4  # that the beep sounds at least
_SPREAD, _PITCH = 0.06, 0.015  # by which the same beep's times and pitch may differ
_OTHER = (0.4, 1.2)  # shares by which a time differs, that makes it another beep
_SEMITONES = (2.0, 9.0)  # by which another pitch differs
_LEVEL_DBFS = (-50.0, -8.0)
_LOOPS = 4


@dataclass(frozen=True, eq=False, slots=True)
class ComposedBeeps:
    """A stream.

    Attributes:
        samples: (n,) float32.
        sounders: where the beep is.
        pulses: (begin, end) of each of its pulses, in seconds.
    """

    samples: Array
    sounders: list[Placed]
    pulses: list[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class BeepComposer:
    """Composes streams for one beep from one part of the sound that comes with the project.

    Attributes:
        beep: which.
        label: its name.
        part: of the voices, things and made sounds.
        snr: dB of a pulse over what sounds behind it.
        seed: of rooms.
    """

    beep: Beeping
    label: str
    part: Split
    snr: tuple[float, float] = (-5.0, 25.0)
    seed: int = 0

    @cached_property
    def negatives(self) -> Negatives:
        """What sounds behind, and alone; no beeps."""
        return Negatives(self.part, SAMPLE_RATE, ("beep", "alarm", self.label), loops=_LOOPS)

    @cached_property
    def rooms(self) -> Rooms:
        return Rooms(SceneConfig(rt60=(0.1, 0.8)), SAMPLE_RATE, np.random.default_rng((self.seed, 3)), 16)

    def stream(self, seconds: float, rng: np.random.Generator) -> ComposedBeeps:
        """A stream with the beep, others, and what is none, in any order."""
        n = round(seconds * SAMPLE_RATE)
        behind = self.negatives.stream(KINDS[int(rng.integers(len(KINDS)))], rng, n)
        out, found, pulses = behind.copy(), [], []
        at = float(rng.uniform(0, 4))
        while at < seconds - 1:
            snr = float(rng.uniform(*self.snr))
            kind = rng.random()
            if kind < 0.5:
                sound, mark, times = self._same(at, seconds - at, snr, rng)
                found += mark
                pulses += [
                    (at + float(a), at + float(b)) for a, b in zip(times.onset, times.offset, strict=True)
                ]
            elif kind < 0.85:
                sound = self._other(seconds - at, rng)
            else:
                sound = look_alike(rng, SAMPLE_RATE)
            at = self._add(out, behind, sound, at, snr, rng) + float(rng.uniform(1, 6))
        return ComposedBeeps(np.clip(out, -1, 1), found, pulses)

    def trial(
        self, seconds: float, lead: float, snr: float, rng: np.random.Generator
    ) -> tuple[Array, Placed]:
        """The beep alone, from ``lead`` seconds on, over something."""
        n = round(seconds * SAMPLE_RATE)
        behind = self.negatives.stream(KINDS[int(rng.integers(3))], rng, n)
        out = behind.copy()
        sound, mark, _ = self._same(lead, seconds - lead, snr, rng, whole=True)
        self._add(out, behind, sound, lead, snr, rng)
        return np.clip(out, -1, 1), mark[0]

    def _add(
        self, out: Array, behind: Array, sound: Array, at: float, snr: float, rng: np.random.Generator
    ) -> float:
        """Add a sound in place, in a room, at a ratio; where it ends, in seconds."""
        begin = round(at * SAMPLE_RATE)
        sound = sound[: len(out) - begin]
        under = active_rms(behind[begin : begin + len(sound)], SAMPLE_RATE)
        level = min(
            max(under, 10 ** (rng.uniform(-70, -45) / 20)) * 10 ** (snr / 20), 10 ** (_LEVEL_DBFS[1] / 20)
        )
        room = self.rooms.draw(rng) if rng.random() < 0.6 else None
        heard = filtered(sound, room, 3.0 if rng.random() < 0.7 else 0.0, rng)[: len(out) - begin]
        heard = heard / np.float32(max(active_rms(heard, SAMPLE_RATE), 1e-6))
        out[begin : begin + len(heard)] += heard * np.float32(level)
        return at + len(heard) / SAMPLE_RATE

    def _same(
        self, at: float, longest: float, snr: float, rng: np.random.Generator, *, whole: bool = False
    ) -> tuple[Array, list[Placed], Pulses]:
        cadence = varied(self.beep.cadence, rng, _SPREAD)
        seconds = longest if whole else min(longest, max(CYCLES * cadence.cycle, float(rng.uniform(4, 14))))
        into = 0.0 if whole or rng.random() < 0.6 else float(rng.uniform(0, 0.9))
        pulses = pulse_times(cadence, seconds, rng, into=into, drift=float(rng.normal(0, 0.001)))
        sound = self._sounded(pulses, seconds, self.beep.hertz * rng.uniform(1 - _PITCH, 1 + _PITCH), rng)
        return sound, [placed(self.label, pulses, at, snr=snr)] if len(pulses) else [], pulses

    def _other(self, longest: float, rng: np.random.Generator) -> Array:
        """Another beep: other times at its pitch, or its times at another pitch."""
        cadence, hertz = self.beep.cadence, self.beep.hertz * rng.uniform(1 - _PITCH, 1 + _PITCH)
        kind = int(rng.integers(5))
        if kind == 0:
            sign = float(rng.choice([-1, 1]))
            hertz *= 2 ** (sign * rng.uniform(*_SEMITONES) / 12)
        elif kind == 1:
            cadence = other_cadence(rng)
        elif kind == 2:
            cadence = (SMOKE, CARBON_MONOXIDE)[int(rng.integers(2))]
        else:
            cadence = changed(cadence, rng)
        if kind and alike(cadence, self.beep.cadence):
            cadence = changed(self.beep.cadence, rng)
        seconds = min(longest, max(CYCLES * cadence.cycle, float(rng.uniform(4, 14))))
        pulses = pulse_times(cadence, seconds, rng, into=float(rng.uniform(0, 0.9)))
        return self._sounded(pulses, seconds, hertz, rng)

    def _sounded(self, pulses: Pulses, seconds: float, hertz: float, rng: np.random.Generator) -> Array:
        partials = tuple((k, a * float(np.exp(rng.normal(0, 0.5)))) for k, a in self.beep.partials)
        attack, decay = rng.uniform(0.001, 0.02), rng.uniform(0.002, 0.04)
        sounder = Sounder(min(hertz, 0.47 * SAMPLE_RATE), partials, attack, decay)
        return sounded(sounder, pulses, round(seconds * SAMPLE_RATE), SAMPLE_RATE)


def alike(one: Cadence, other: Cadence) -> bool:
    """True where two cadences could be one, from another device or another day."""
    if one.pulses != other.pulses:
        return False
    times: Sequence[tuple[float, float]] = (
        (one.on, other.on),
        (one.off, other.off),
        (one.pause, other.pause),
    )
    return all(abs(np.log(a / b)) < np.log1p(_OTHER[0]) for a, b in times)


def changed(cadence: Cadence, rng: np.random.Generator) -> Cadence:
    """Another number of pulses, or one of its times much longer or shorter."""
    factor = float((1 + rng.uniform(*_OTHER)) ** rng.choice([-1, 1]))
    what = int(rng.integers(3 if cadence.pulses == 1 else 4))
    if what == 0:
        pulses = max(1, cadence.pulses + int(rng.choice([-1, 1, 2])))
        if pulses == cadence.pulses:
            pulses += 1
        off = cadence.off if cadence.pulses > 1 else min(cadence.on, cadence.pause)
        pause = max(cadence.pause, 2 * off) if pulses > 1 else cadence.pause
        return replace(cadence, pulses=pulses, off=off, pause=pause)
    if what == 1:
        return replace(cadence, on=max(0.03, cadence.on * factor))
    if what == 2:
        pause = max(0.04, cadence.pause * factor)
        return replace(cadence, pause=pause, off=pause if cadence.pulses == 1 else cadence.off)
    return replace(cadence, off=max(0.03, cadence.off * factor))
