"""Streams as they will be heard: recordings at natural levels, with pauses, other sound between, noise beneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from export.augmentation.voice import resampled, with_pitch
from export.data.recording import Interval, Recording
from export.scenes.material import Material
from export.scenes.room import Rooms, filtered
from export.scenes.scene_config import SceneConfig
from export.scenes.sound_store import ACTIVE_RANGE_DB, SoundStore, active_part, block_power

LONGEST_SECONDS = 8.0  # of one use of a recording; of a longer one a random part is taken
_MARGIN_SECONDS = 0.05  # of sound kept before and after the part that sounds
_LONGEST_PIECE_SECONDS = 3.0
_PIECE_LEAD_DB = 6.0  # what is no class may be so much louder than the recordings


@dataclass(frozen=True, slots=True)
class Placed:
    """A recording in a stream.

    Attributes:
        recording: its index.
        begin, end: samples of the stream in which it sounds.
        quiet: (begin, end) samples of the stream within it in which it does not, for longer than a moment.
        events: strong labels, in seconds of the stream; None = its labels hold from ``begin`` to ``end``.
    """

    recording: int
    begin: int
    end: int
    quiet: tuple[tuple[int, int], ...]
    events: tuple[Interval, ...] | None


@dataclass(frozen=True, eq=False, slots=True)
class Scene:
    """A composed stream.

    Attributes:
        samples: (n,) float32, full scale is 1.
        placed: the recordings in it, in order; they do not overlap.
    """

    samples: NDArray[np.float32]
    placed: tuple[Placed, ...]


@dataclass(frozen=True, eq=False)
class Composer:
    """Composes streams of recordings.

    Attributes:
        sounds: of the recordings.
        recordings: in the order of ``sounds``.
        material: everything else.
        settings: see SceneConfig.
        seed: of the rooms.
    """

    sounds: SoundStore
    recordings: Sequence[Recording]
    material: Material
    settings: SceneConfig
    seed: int = 0

    @cached_property
    def rooms(self) -> Rooms:
        """The rooms of all streams."""
        return Rooms(self.settings, self.sounds.sample_rate, np.random.default_rng((self.seed, 9)))

    def per_scene(self) -> int:
        """Recordings that fit into a stream, about."""
        used = self.sounds.usable()
        length = float(np.mean([min(self.sounds.seconds(i), LONGEST_SECONDS) for i in used])) if used else 1.0
        low, high = self.settings.pause
        pause = (high - low) / max(np.log(high / low), 1e-6) if high > low else low
        others = self.settings.negatives / max(1 - self.settings.negatives, 0.1)
        return max(1, int(self.settings.seconds / (length + pause + others * (pause + 1.6))))

    def compose(self, items: Sequence[int], rng: np.random.Generator, seconds: float | None = None) -> Scene:
        """A stream with the recordings ``items``, as many of them as fit.

        Args:
            items: indices of recordings; none = a stream of what is no class.
            rng: decides everything.
            seconds: length; None = as the settings say.
        """
        s, rate = self.settings, self.sounds.sample_rate
        n = round((s.seconds if seconds is None else seconds) * rate)
        out = self._floor(rng, n)
        base = rng.uniform(*s.level)
        room = self.rooms.draw(rng) if rng.random() < s.room else None
        waiting, placed = list(items)[::-1], []
        at = round(self._pause(rng) * rate)
        while at < n:
            level = float(np.clip(base + rng.normal(0, 4), *s.level))
            if rng.random() < s.negatives or not waiting:
                size = min(n - at, round(rng.uniform(0.3, _LONGEST_PIECE_SECONDS) * rate))
                piece = self.material.piece(rng, size)
                loudness = min(level + rng.uniform(-12, _PIECE_LEAD_DB), s.level[1])
                sound = _at_level(filtered(piece, room, s.tilt, rng), loudness, rate)
                _fade(sound, rate)
                used = min(len(sound), n - at)
                out[at : at + used] += sound[:used]
                at += size
            else:
                i = waiting.pop()
                sound, mark = self._recording(i, at, room, level, rng)
                if mark.end > n:  # half of it would be there without being learnt
                    break
                used = min(len(sound), n - at)
                out[at : at + used] += sound[:used]
                placed.append(mark)
                at = mark.end
            at += round(self._pause(rng) * rate)
        if placed and rng.random() < s.noise:
            out += self._under(out, placed, rng)
        if rng.random() < s.narrow:
            out = _low_passed(out, rate, float(np.exp(rng.uniform(np.log(0.2), np.log(0.48)))) * rate)
        return Scene(np.clip(out, -1.0, 1.0), tuple(placed))

    def _pause(self, rng: np.random.Generator) -> float:
        low, high = self.settings.pause
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def _floor(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        return np.array(self.material.floor(rng, n), np.float32)

    def _recording(
        self, i: int, at: int, room: NDArray[np.float32] | None, level: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], Placed]:
        """Recording i, changed, and where it lies when it begins at sample ``at``."""
        s, rate, whole = self.settings, self.sounds.sample_rate, self.recordings[i]
        sound = self.sounds[i]
        strong = whole.events is not None
        first, last = (0, len(sound)) if strong else (int(each) for each in self.sounds.active[i])
        longest = round(LONGEST_SECONDS * rate)
        if last - first > longest:
            first += int(rng.integers(0, last - first - longest + 1))
            last = first + longest
        margin = 0 if strong else round(_MARGIN_SECONDS * rate)
        begin, end = max(0, first - margin), min(len(sound), last + margin)
        sound, first, last = sound[begin:end], first - begin, last - begin
        factor = 1.0
        if s.pitch:
            factor = _drawn_factor(s.pitch, rng)
            sound = with_pitch(sound, rate, factor)
        if s.speed:
            faster = _drawn_factor(s.speed, rng)
            sound = resampled(sound, faster)
            factor *= faster
        if factor != 1:
            first, last = round(first / factor), min(round(last / factor), len(sound))
        quiet = () if strong else _quiet_parts(sound[first:last], rate, at + first)
        loud = _at_level(filtered(sound, room, s.tilt, rng), level, rate)
        _fade(loud, rate)
        events = None
        if whole.events is not None:
            offset = at / rate
            limit = (end - begin) / rate
            events = tuple(
                Interval(
                    e.label,
                    offset + max(0.0, e.onset - begin / rate) / factor,
                    offset + min(limit, e.offset - begin / rate) / factor,
                )
                for e in whole.events
                if e.offset > begin / rate and e.onset < end / rate
            )
        return loud, Placed(i, at + first, at + last, quiet, events)

    def _under(
        self, out: NDArray[np.float32], placed: Sequence[Placed], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Noise or music under the whole stream, at an SNR to the recordings in it."""
        kinds = [kind for kind in self.material.pieces if kind in ("noise", "music", "background")]
        if not kinds:
            return np.zeros_like(out)
        noise = self.material.piece(rng, len(out), kinds[int(rng.integers(len(kinds)))])
        sounding = np.concatenate([out[each.begin : each.end] for each in placed])
        power, disturbance = float(np.mean(sounding**2)), float(np.mean(noise**2))
        if power <= 1e-14 or disturbance <= 1e-14:
            return np.zeros_like(out)
        return noise * np.float32(np.sqrt(power / disturbance / 10 ** (rng.uniform(*self.settings.snr) / 10)))


def _drawn_factor(most: float, rng: np.random.Generator) -> float:
    """Between 1 / (1 + most) and 1 + most, either way as likely."""
    return float(np.exp(rng.uniform(-1, 1) * np.log1p(most)))


def _at_level(samples: NDArray[np.float32], level: float, sample_rate: int) -> NDArray[np.float32]:
    """A copy whose active part has an RMS of ``level`` dBFS; digital silence stays what it is."""
    first, last = active_part(samples, sample_rate)
    if last <= first:
        return np.array(samples, np.float32)
    rms = float(np.sqrt(np.mean(np.square(samples[first:last], dtype=np.float64))))
    return samples * np.float32(10 ** (level / 20) / max(rms, 1e-9))


def _fade(samples: NDArray[np.float32], sample_rate: int) -> None:
    """Fade 5 ms in and out, in place, so that no cut is heard."""
    n = min(len(samples) // 2, sample_rate // 200)
    if n:
        ramp = np.linspace(0, 1, n, dtype=np.float32)
        samples[:n] *= ramp
        samples[-n:] *= ramp[::-1]


def _quiet_parts(samples: NDArray[np.float32], sample_rate: int, offset: int) -> tuple[tuple[int, int], ...]:
    """Stretches of more than 0.25 s in which a sound is below its active range."""
    power = block_power(samples, sample_rate)
    quiet = power < power.max(initial=0.0) * 10 ** (-ACTIVE_RANGE_DB / 10)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.view(np.int8), [0])))).reshape(-1, 2)
    block = sample_rate // 100
    return tuple((offset + int(a) * block, offset + int(b) * block) for a, b in edges if (b - a) > 25)


def _low_passed(samples: NDArray[np.float32], sample_rate: int, cutoff: float) -> NDArray[np.float32]:
    """Nothing above ``cutoff`` Hz."""
    import scipy.fft

    size = scipy.fft.next_fast_len(len(samples), real=True)
    spectrum = scipy.fft.rfft(samples, size)
    spectrum[int(cutoff / sample_rate * size) :] = 0
    out: NDArray[np.float32] = scipy.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)
    return out
