"""Scenes: minutes in a house in which an alarm sounds, a timer beeps, or nothing of the kind does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Split
from export.recipes.alarm_ear.alarm_mix import AlarmMix
from export.recipes.alarm_ear.backgrounds import Backgrounds
from export.recipes.alarm_ear.imitations import Imitations
from export.recipes.speech_music_noise.scenes import effects, synthetic
from export.recipes.speech_music_noise.scenes.effects import Codec
from export.recipes.speech_music_noise.sources.bank import Bank
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE, Kind
from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Cadence, Pulses, other_cadence, pulse_times, varied
from export.scenes.look_alikes import look_alike
from export.scenes.room import Rooms, filtered
from export.scenes.scene_config import SceneConfig
from export.scenes.sound_store import active_rms
from export.scenes.sounder import Sounder, beeper, piezo, sounded, square
from export.scenes.sounder_labels import Placed, placed

Samples = NDArray[np.float32]
TRIAL_SECONDS, TRIAL_LEAD_SECONDS = 30.0, 8.0
_CODECS: tuple[Codec, ...] = ("vorbis", "mp3", "opus")  # a telephone would cut off what a piezo disc sounds
_LOUDEST = 0.9
_STANDARD = {"smoke": ("smoke_alarm", SMOKE), "co": ("co_alarm", CARBON_MONOXIDE)}
_SOUNDERS = {"piezo": piezo, "square": square, "other": beeper}


@dataclass(frozen=True, eq=False, slots=True)
class AlarmScene:
    """A labelled stream.

    Attributes:
        samples: (n,) float32 at 16 kHz, full scale is 1.
        sounders: the alarms and beeps in it, in order.
    """

    samples: Samples
    sounders: list[Placed]


@dataclass(frozen=True, eq=False)
class AlarmComposer:
    """Composes scenes from one part.

    Attributes:
        bank: recordings of the part.
        part: which.
        mix: how.
        seed: of the rooms and the voices.
    """

    bank: Bank
    part: Split
    mix: AlarmMix
    seed: int = 0

    @cached_property
    def backgrounds(self) -> Backgrounds:
        return Backgrounds(self.bank, self.part, self.mix.made)

    @cached_property
    def imitations(self) -> Imitations:
        return Imitations(self.part, self.seed)

    @cached_property
    def rooms(self) -> Rooms:
        return Rooms(SceneConfig(rt60=(0.1, 1.0)), SAMPLE_RATE, np.random.default_rng((self.seed, 9)))

    def scenes(self, count: int, seconds: float, seed: int) -> Iterator[AlarmScene]:
        """``count`` scenes; scene i depends on ``seed`` and i alone."""
        for index in range(count):
            yield self.compose(seconds, np.random.default_rng([seed, index]))

    def compose(self, seconds: float, rng: np.random.Generator) -> AlarmScene:
        """One scene; the same generator state gives the same one."""
        mix, n = self.mix, round(seconds * SAMPLE_RATE)
        behind, kinds = self.behind(n, rng)
        out, sounders = behind.copy(), []
        floor = float(rng.uniform(*mix.floor_dbfs))
        names, share = list(mix.patterns), np.array(list(mix.patterns.values()))
        at = rng.uniform(0, mix.quiet_seconds[1])
        while at < seconds - 1:
            pattern = names[int(rng.choice(len(names), p=share / share.sum()))]
            sound, label, pulses = self.before(pattern, seconds - at, rng)
            begin = round(at * SAMPLE_RATE)
            sound = sound[: n - begin]
            snr = float(rng.uniform(*mix.snr))
            level = level_behind(behind[begin : begin + len(sound)], floor, rng)
            sound = self.on_its_way(sound, rng)[: n - begin]
            out[begin : begin + len(sound)] += sound * np.float32(level * 10 ** (snr / 20))
            if label and pulses is not None and len(pulses):
                kind = kinds[min(int(at / seconds * len(kinds)), len(kinds) - 1)]
                sounders.append(placed(label, pulses, at, snr=snr, pattern=pattern, background=kind))
            at += len(sound) / SAMPLE_RATE + rng.uniform(*mix.quiet_seconds)
        return AlarmScene(self.received(out, floor, rng), sounders)

    def trial(self, pattern: str, background: str, snr: float, rng: np.random.Generator) -> AlarmScene:
        """One sounder that begins ``TRIAL_LEAD_SECONDS`` into one background and sounds to the end."""
        n = round(TRIAL_SECONDS * SAMPLE_RATE)
        begin = round(TRIAL_LEAD_SECONDS * SAMPLE_RATE)
        out = self.background(background, n, rng)
        floor = float(rng.uniform(*self.mix.floor_dbfs))
        label, cadence, sounder = drawn_sounder(pattern, rng, self.mix.spread)
        pulses = pulse_times(cadence, TRIAL_SECONDS - TRIAL_LEAD_SECONDS, rng)
        sound = self.on_its_way(sounded(sounder, pulses, n - begin, SAMPLE_RATE), rng)[: n - begin]
        level = level_behind(out[begin:], floor, rng)
        out[begin:] += sound * np.float32(level * 10 ** (snr / 20))
        told = {"snr": snr, "pattern": pattern, "background": background}
        sounder_placed = placed(label, pulses, TRIAL_LEAD_SECONDS, **told)
        return AlarmScene(self.received(out, floor, rng), [sounder_placed])

    def behind(self, n: int, rng: np.random.Generator) -> tuple[Samples, list[str]]:
        """(n,) float32 of one background after the other; and what sounds in each second."""
        mix = self.mix
        out, kinds = np.zeros(n, np.float32), []
        names, share = list(mix.backgrounds), np.array(list(mix.backgrounds.values()))
        at = 0
        while at < n:
            name = names[int(rng.choice(len(names), p=share / share.sum()))]
            size = min(n - at, round(rng.uniform(*mix.segment_seconds) * SAMPLE_RATE))
            out[at : at + size] = self.background(name, size, rng)
            kinds += [name] * round(size / SAMPLE_RATE)
            at += size
        return out, kinds or ["silence"]

    def background(self, name: str, n: int, rng: np.random.Generator) -> Samples:
        """(n,) float32: kinds joined by "+", at a level, the second up to 15 dB softer; "silence" is none."""
        out = np.zeros(n, np.float32)
        if name == "silence":
            return out
        level = rng.uniform(*self.mix.level_dbfs)
        kinds: list[Kind] = name.split("+")  # type: ignore[assignment]
        for number, kind in enumerate(kinds):
            sound = self.backgrounds.draw(kind, n, rng)
            if rng.random() < 0.3:
                sound = effects.reverberate(sound, self.rooms.draw(rng))
            out += sound * np.float32(10 ** ((level - number * rng.uniform(0, 15)) / 20))
        return effects.fade(out, 0.02, 0.05)

    def before(
        self, pattern: str, longest: float, rng: np.random.Generator
    ) -> tuple[Samples, str | None, Pulses | None]:
        """What sounds before the background, its RMS 1; its label and pulses, where it is an alarm or a beep."""
        seconds = float(rng.uniform(*self.mix.sounder_seconds))
        if pattern == "imitation":
            sound = self.imitations.draw(rng, min(seconds, longest))
            return sound / np.float32(max(active_rms(sound, SAMPLE_RATE), 1e-6)), None, None
        if pattern == "look-alike":
            sound = look_alike(rng, SAMPLE_RATE)
            return sound / np.float32(max(active_rms(sound, SAMPLE_RATE), 1e-6)), None, None
        label, cadence, sounder = drawn_sounder(pattern, rng, self.mix.spread)
        seconds = min(longest, max(seconds, 2.4 * cadence.cycle))
        into = float(rng.uniform(0, 0.9)) if rng.random() < 0.35 else 0.0
        drift = float(rng.normal(0, 0.002))
        pulses = pulse_times(cadence, seconds, rng, into=into, drift=drift)
        n = round(seconds * SAMPLE_RATE)
        return sounded(sounder, pulses, n, SAMPLE_RATE), label, pulses

    def on_its_way(self, sound: Samples, rng: np.random.Generator) -> Samples:
        """Through a room and a filter; the RMS of what sounds stays."""
        before = active_rms(sound, SAMPLE_RATE)
        room = self.rooms.draw(rng) if rng.random() < self.mix.room else None
        out = filtered(sound, room, self.mix.tilt if rng.random() < 0.7 else 0.0, rng)
        return out * np.float32(before / max(active_rms(out, SAMPLE_RATE), 1e-6)) if before else out

    def received(self, out: Samples, floor: float, rng: np.random.Generator) -> Samples:
        """As the microphone gives it: its own noise, its band, clipping, a codec."""
        mix = self.mix
        out = out + synthetic.self_noise(len(out), floor, rng)
        peak = max(float(np.abs(out).max()), 1e-6)
        if rng.random() < mix.clipped:
            out = out * np.float32(rng.uniform(1.2, 4) / peak)
        elif peak > _LOUDEST:
            out = out * np.float32(_LOUDEST / peak)
        out = np.clip(out, -1, 1)
        if rng.random() < mix.narrow:
            out = effects.band_limit(out, float(rng.uniform(40, 300)), float(rng.uniform(3700, 7500)))
        if rng.random() < mix.codec:
            out = effects.through_codec(out, _CODECS[int(rng.choice(3, p=(0.5, 0.35, 0.15)))], rng)
        return np.clip(out, -1, 1).astype(np.float32)


def drawn_sounder(pattern: str, rng: np.random.Generator, spread: float) -> tuple[str, Cadence, Sounder]:
    """Label, cadence and sounder of "smoke piezo", "co square", "beep" and so on."""
    if pattern == "beep":
        make = (beeper, piezo, square)[int(rng.choice(3, p=(0.6, 0.3, 0.1)))]
        return "beep", other_cadence(rng), make(rng)
    name, sounder = pattern.split()
    label, cadence = _STANDARD[name]
    return label, varied(cadence, rng, spread), _SOUNDERS[sounder](rng)


def level_behind(behind: Samples, floor: float, rng: np.random.Generator) -> float:
    """RMS of what sounds behind, or in silence a level that a sounder may be above."""
    loud = active_rms(behind, SAMPLE_RATE)
    return loud if loud > 10 ** (floor / 20) else float(10 ** (rng.uniform(floor + 6, -35) / 20))
