"""Animals, toys and machines that sound like voices and are none: noise that networks take for speech.

Each maker gives one call of a creature that was drawn before, so that calls repeat as those of one animal do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes.voices import VOWELS, Track, bell_curve, steady, voice
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]
Call = Callable[[], Samples]


def creatures(length: int, rng: np.random.Generator) -> Samples:
    """(length,) float32: one creature that calls again and again, in bouts with pauses."""
    call = MAKERS[int(rng.integers(len(MAKERS)))](rng)
    out = np.zeros(length, np.float32)
    at = int(rng.uniform(0, 0.8) * SAMPLE_RATE)
    gap = float(np.exp(rng.uniform(np.log(0.05), np.log(0.7))))
    bout = int(rng.integers(1, 8))
    count = 0
    while at < length:
        piece = call()[: length - at] * np.float32(rng.uniform(0.6, 1))
        out[at : at + len(piece)] += piece
        count += 1
        rest = gap * rng.uniform(0.8, 1.25) if count % bout else rng.uniform(0.4, 3.0)
        at += len(piece) + int(rest * SAMPLE_RATE)
    return out


def _frames(seconds: float) -> int:
    return max(6, round(seconds * 100))


def _bark(rng: np.random.Generator) -> Call:
    """A sharp onset, falling pitch, half of it hiss."""
    base, size = np.exp(rng.uniform(np.log(180), np.log(900))), rng.uniform(0.7, 1.8)
    seconds, hiss = rng.uniform(0.08, 0.28), rng.uniform(0.15, 0.7)

    def call() -> Samples:
        n = _frames(seconds * rng.uniform(0.8, 1.2))
        pitch = base * rng.uniform(0.93, 1.07) * np.linspace(1.25, rng.uniform(0.6, 0.9), n)
        formants = [
            np.linspace(900, 600, n) * size,
            np.linspace(1700, 1200, n) * size,
            steady(2700 * size, n),
        ]
        return voice(pitch, formants, rng, breath=hiss, loud=bell_curve(n, 0.12), width=200, slope=-2)

    return call


def _howl(rng: np.random.Generator) -> Call:
    """Long, nearly a whistle, with a rise at first and a fall at last."""
    base, seconds = np.exp(rng.uniform(np.log(220), np.log(800))), rng.uniform(0.8, 4.0)
    wobble, rate = rng.uniform(0, 0.03), rng.uniform(4, 8)

    def call() -> Samples:
        n = _frames(seconds * rng.uniform(0.7, 1.2))
        time = np.arange(n) / 100
        bend = np.interp(
            time, [0, 0.2 * time[-1], 0.8 * time[-1], time[-1]], [0.7, 1, rng.uniform(0.9, 1.1), 0.65]
        )
        pitch = base * bend * (1 + wobble * np.sin(2 * np.pi * rate * time))
        return voice(
            pitch, [pitch, 2 * pitch], rng, breath=0.03, loud=bell_curve(n, 0.25), width=120, slope=-4
        )

    return call


def _caw(rng: np.random.Generator) -> Call:
    """Rough: the pitch beats some hundred times a second, with much hiss above 1 kHz."""
    base, rough = rng.uniform(250, 650), rng.uniform(0.2, 0.5)
    seconds, centre = rng.uniform(0.15, 0.5), rng.uniform(1100, 2200)

    def call() -> Samples:
        n = _frames(seconds * rng.uniform(0.8, 1.2))
        pitch = base * bell_curve(n, 0.4) ** 0.15 * (1 + rough * rng.uniform(-1, 1, n))
        formants = [steady(centre, n), steady(centre * 1.7, n), steady(centre * 2.5, n)]
        return voice(pitch, formants, rng, breath=0.35, loud=bell_curve(n, 0.3), width=300, slope=0)

    return call


def _bleat(rng: np.random.Generator) -> Call:
    """A vowel that trembles 8 to 16 times a second: goats and sheep, and slower, cows."""
    base, tremble = np.exp(rng.uniform(np.log(110), np.log(500))), rng.uniform(7, 16)
    seconds, size, deep = rng.uniform(0.4, 1.6), rng.uniform(0.8, 1.4), rng.uniform(0.0, 0.5)
    first, second, third = VOWELS[int(rng.choice([0, 1, 6, 7]))]

    def call() -> Samples:
        n = _frames(seconds * rng.uniform(0.7, 1.3))
        shake = np.sin(2 * np.pi * tremble * np.arange(n) / 100)
        pitch = base * np.linspace(1.05, 0.88, n) * (1 + 0.06 * deep * shake)
        formants = [steady(part * size, n) for part in (first, second, third)]
        loud = bell_curve(n, 0.15) * (1 + deep * shake)
        return voice(pitch, formants, rng, breath=rng.uniform(0.05, 0.25), loud=loud, width=150, slope=-2)

    return call


def _squeak(rng: np.random.Generator) -> Call:
    """A toy that is pressed and let go: a sweep up, sometimes one down."""
    base, seconds = np.exp(rng.uniform(np.log(600), np.log(3000))), rng.uniform(0.07, 0.4)
    up, back = rng.uniform(1.1, 2.2), rng.random() < 0.5

    def call() -> Samples:
        n = _frames(seconds * rng.uniform(0.7, 1.3))
        bend = np.interp(np.linspace(0, 1, n), [0, 0.6, 1], [1, up, 1 if back else up])
        pitch = np.minimum(base * bend * (1 + 0.02 * rng.uniform(-1, 1, n)), 6000)
        return voice(
            pitch, [pitch, 1.9 * pitch], rng, breath=0.12, loud=bell_curve(n, 0.2), width=400, slope=0
        )

    return call


def _laugh(rng: np.random.Generator) -> Call:
    """A toy or a robot that laughs: the same syllable at exact distances, each a little lower."""
    base, every = rng.uniform(120, 450), _frames(rng.uniform(0.12, 0.3))
    count, size = int(rng.integers(3, 9)), rng.uniform(0.9, 1.5)
    vowel = VOWELS[int(rng.integers(len(VOWELS)))]
    fall = rng.uniform(0.93, 1.0)

    def call() -> Samples:
        n = every * count
        step, within = np.arange(n) // every, np.arange(n) % every / every
        pitch = base * fall**step * (1 - 0.1 * within)
        loud = np.where(within < 0.6, np.minimum(within / 0.1, 1) * (1 - within), 0.0)
        hiss: Track = np.where(within < 0.15, 0.8, 0.05)
        formants = [steady(part * size, n) for part in vowel]
        return voice(pitch, formants, rng, breath=hiss, loud=loud, width=110, slope=-2)

    return call


def _formant_beep(rng: np.random.Generator) -> Call:
    """A machine that speaks without words: steps of pitch and of vowels, each held without any change."""
    base = rng.uniform(90, 500)
    each = _frames(rng.uniform(0.06, 0.3))
    count = int(rng.integers(1, 6))

    def call() -> Samples:
        notes = base * 2 ** (rng.integers(-7, 8, count) / 12)
        tracks = np.array([VOWELS[int(rng.integers(len(VOWELS)))] for _ in range(count)], np.float64)
        pitch = np.repeat(notes, each)
        formants = [np.repeat(tracks[:, part], each) for part in range(3)]
        keyed = np.tile(np.arange(each) < 0.85 * each, count).astype(np.float64)
        return voice(pitch, formants, rng, breath=0.0, loud=keyed, width=70, slope=-1)

    return call


MAKERS = (_bark, _bark, _howl, _caw, _bleat, _squeak, _laugh, _formant_beep)
