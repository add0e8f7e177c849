"""Several people talking in one room, near and far: each with a distance of their own, so with a level and an echo.

At a distance r of a talker the direct sound has an energy of 1 / r^2, and the sound of the room one that is the same
everywhere: 1 / c^2, with c the critical distance, 0.057 sqrt(volume / reverberation time) (Sabine).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes.effects import reverberate
from export.recipes.speech_music_noise.scenes.labels import CELL_SAMPLES, cell_power
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]
Active = NDArray[np.bool_]
# One talker, who talks for so many samples each time.
Talker = Callable[[int], tuple[Samples, Active]]
SPEED_OF_SOUND = 343.0


@dataclass(frozen=True)
class Room:
    """A room: its volume in cubic metres, and its reverberation time in seconds."""

    volume: float
    reverberation: float

    @property
    def critical_distance(self) -> float:
        """Where the direct sound and that of the room are equal, metres."""
        return float(0.057 * np.sqrt(self.volume / self.reverberation))

    @property
    def furthest(self) -> float:
        """The largest distance in it, about, metres."""
        return float(0.9 * self.volume ** (1 / 3) + 0.5)


def draw_room(rng: np.random.Generator) -> Room:
    """From a booth of 8 to a hall of 3000 cubic metres; the larger, the longer it sounds, on the whole."""
    volume = float(np.exp(rng.uniform(np.log(8), np.log(3000))))
    usual = 0.12 * volume ** (1 / 3)
    return Room(volume, float(np.clip(usual * np.exp(rng.normal(0, 0.4)), 0.12, 2.0)))


def response(room: Room, distance: float, rng: np.random.Generator) -> Samples:
    """(k,) float32 from a talker ``distance`` metres away; the direct sound is in time, and is 1 at a metre."""
    length = int(room.reverberation * SAMPLE_RATE)
    time = np.arange(length) / SAMPLE_RATE
    # High frequencies die faster.
    bright = rng.standard_normal(length) * 10 ** (-3 * time / (room.reverberation * rng.uniform(0.3, 0.8)))
    dark = np.convolve(rng.standard_normal(length), np.ones(8) / 8**0.5, "same")
    tail = bright + dark * 10 ** (-3 * time / room.reverberation)
    first = int(min(room.volume ** (1 / 3) / SPEED_OF_SOUND, room.reverberation / 2) * SAMPLE_RATE)
    tail[:first] = 0  # the first wall
    tail *= 1 / room.critical_distance / max(float(np.sqrt(np.sum(tail**2))), 1e-9)
    tail[0] = 1 / distance
    return tail.astype(np.float32)


def conversation(talkers: list[Talker], length: int, rng: np.random.Generator) -> tuple[Samples, Active]:
    """(length,) float32, in turns and sometimes at once, and (length // 160,) bool, when someone talks.

    The first talker is near (0.3 to 1 m), the others up to as far as the room goes.
    """
    room = draw_room(rng)
    out, active = np.zeros(length, np.float32), np.zeros(length // CELL_SAMPLES, bool)
    for number, talker in enumerate(talkers):
        near = number == 0 and rng.random() < 0.7
        distance = rng.uniform(0.3, 1.0) if near else np.exp(rng.uniform(0, np.log(max(room.furthest, 1.2))))
        own, when = _turns(talker, length, number, len(talkers), rng)
        # People differ, and raise their voices when they are far.
        loud = rng.normal(0, 2) + rng.uniform(0, 0.4) * 20 * np.log10(max(distance, 0.3))
        out += reverberate(own, response(room, float(distance), rng)) * np.float32(10 ** (loud / 20))
        active |= when
    return out, active


def _turns(
    talker: Talker, length: int, number: int, talkers: int, rng: np.random.Generator
) -> tuple[Samples, Active]:
    """One talker's turns; each takes about his share of the time, whatever the others do."""
    out, active = np.zeros(length, np.float32), np.zeros(length // CELL_SAMPLES, bool)
    at = round(number * rng.uniform(1, 4) * 100) * CELL_SAMPLES
    while at < length:
        size = min(round(rng.uniform(1.0, 5.0) * 100) * CELL_SAMPLES, length - at)
        piece, own = talker(size)
        rms = float(np.sqrt(cell_power(piece)[own].mean())) if own.any() else 0.0
        out[at : at + size] = piece / np.float32(rms) if rms else piece
        active[at // CELL_SAMPLES : at // CELL_SAMPLES + len(own)] |= own
        at += size + round(rng.uniform(0.3, 1.6) * (talkers - 1) * size / CELL_SAMPLES) * CELL_SAMPLES
        at += round(rng.exponential(0.6) * 100) * CELL_SAMPLES
    return out, active


def gain_control(samples: Samples, rng: np.random.Generator) -> Samples:
    """A microphone's automatic gain: down within 50 ms of a loud sound, up again in 1 to 4 s, by 25 dB at most.

    Changes the level of what is heard, and so of the noise in pauses.
    """
    target, largest = 10 ** (rng.uniform(-30, -18) / 10), 10 ** (rng.uniform(10, 25) / 10)
    slow = 1 - np.exp(-0.01 / rng.uniform(1, 4))
    power = cell_power(samples)
    gains, level = np.ones(len(power) + 2), float(power.max(initial=target))
    for index, now in enumerate(power):
        level += (now - level) * (0.2 if now > level else slow)
        gains[index + 1] = min(np.sqrt(target / max(level, 1e-12)), np.sqrt(largest))
    gains[0], gains[-1] = gains[1], gains[-2]
    places = (np.arange(-1, len(power) + 1) + 0.5) * CELL_SAMPLES
    out: Samples = (samples * np.interp(np.arange(len(samples)), places, gains)).astype(np.float32)
    return out
