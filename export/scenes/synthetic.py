"""Sound that is made, not recorded: what microphones give by themselves, machines, knocks, tones, music from notes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Generator = Callable[[np.random.Generator, int, int], Samples]
"""(generator, n, sample rate in Hz) -> (n,) float32 with a peak of about 1, or all zeros."""


def coloured_noise(rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """Noise with a spectrum that falls by 0 (white) to 9 dB an octave, and a smooth filter on it."""
    size = fast_length(max(n, 2))
    spectrum = np.fft.rfft(rng.normal(size=size).astype(np.float32))
    frequency = np.maximum(np.arange(len(spectrum)), 1)
    tilt = rng.uniform(0, 1.5)
    octaves = np.log2(frequency)
    wave = rng.normal(0, 3) * np.cos(octaves * rng.uniform(0.3, 1.0) + rng.uniform(0, 6))
    shaped = np.fft.irfft(spectrum * frequency**-tilt * 10 ** (wave / 20), size)[:n]
    return _scaled(shaped)


def fast_length(n: int) -> int:
    """A length of at least ``n`` whose Fourier transform is quick, even: a power of 2, times 1, 3/2 or 5/4."""
    power = 1 << max(n - 1, 1).bit_length()
    return min(size for size in (power, power // 4 * 3, power // 8 * 5) if size >= n and size % 2 == 0)


def self_noise(rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """What a microphone gives in silence: nearly white noise, sometimes with a hum."""
    noise = rng.normal(size=n).astype(np.float32)
    if rng.random() < 0.5:
        noise = np.convolve(noise, np.array([1, rng.uniform(-0.6, 0.9)], np.float32))[:n]
    if rng.random() < 0.4:
        noise += np.float32(rng.uniform(0.2, 3)) * hum(rng, n, sample_rate)
    return _scaled(noise)


def hum(rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """The mains, 50 or 60 Hz, with harmonics."""
    base = float(rng.choice([50.0, 60.0])) * rng.uniform(0.998, 1.002)
    return _partials(rng, n, sample_rate, base, int(rng.integers(2, 16)), rng.uniform(0.3, 1.5))


def fan(rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """Air and blades: noise that falls with frequency, and a tone with harmonics that wavers."""
    base = rng.uniform(30, 300)
    tone = _partials(rng, n, sample_rate, base, int(rng.integers(3, 12)), rng.uniform(0.5, 1.2))
    return _scaled(coloured_noise(rng, n, sample_rate) + np.float32(rng.uniform(0.05, 0.6)) * tone)


def machine(rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """Noise that comes and goes several times a second, as an engine or a pump."""
    time = np.arange(n, dtype=np.float32) / sample_rate
    rate = rng.uniform(2, 30)
    beat = 1 + np.float32(rng.uniform(0.3, 1)) * np.sin(2 * np.pi * rate * time + rng.uniform(0, 6))
    return _scaled(coloured_noise(rng, n, sample_rate) * beat.astype(np.float32) ** rng.integers(1, 4))


def knocks(rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """Clicks, knocks, keys, plates: short bursts that ring off."""
    out = np.zeros(n, np.float32)
    at = int(rng.uniform(0, 0.2) * sample_rate)
    ring, decay = rng.uniform(80, 0.45 * sample_rate), rng.uniform(0.003, 0.15)
    while at < n:
        size = min(n - at, round(6 * decay * sample_rate))
        time = np.arange(size, dtype=np.float32) / sample_rate
        burst = rng.normal(size=size) * rng.uniform(0.2, 1) + 2 * np.sin(
            2 * np.pi * ring * rng.uniform(0.97, 1.03) * time
        )
        out[at : at + size] += (burst * np.exp(-time / decay) * rng.uniform(0.3, 1)).astype(np.float32)
        at += round(rng.exponential(0.3) * sample_rate) + round(0.04 * sample_rate)
    return _scaled(out)


def rustle(rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """Cloth, paper, wind, rain: noise with a level that wanders quickly."""
    steps = max(2, round(n / sample_rate * rng.uniform(4, 40)))
    level = np.interp(np.linspace(0, steps - 1, n), np.arange(steps), np.exp(rng.normal(0, 1.2, steps)))
    return _scaled(coloured_noise(rng, n, sample_rate) * level.astype(np.float32))


def tones(rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """Beeps, rings and sweeps, with pauses."""
    time = np.arange(n, dtype=np.float64) / sample_rate
    low = rng.uniform(150, 0.2 * sample_rate)
    sweep = low * (
        1 + rng.choice([0.0, 0.0, rng.uniform(-0.5, 1)]) * np.sin(2 * np.pi * rng.uniform(0.2, 8) * time)
    )
    phase = 2 * np.pi * np.cumsum(sweep) / sample_rate
    wave = np.sin(phase) + rng.uniform(0, 0.5) * np.sin(2 * phase) + rng.uniform(0, 0.3) * np.sin(3 * phase)
    period, share = rng.uniform(0.1, 2), rng.uniform(0.2, 1)
    return _scaled(wave * ((time % period) < share * period))


def melody(rng: np.random.Generator, n: int, sample_rate: int) -> Samples:
    """Music from notes: chords, bass and a tune of additive timbres on a scale, at a tempo, sometimes with drums."""
    out = np.zeros(n, np.float32)
    scale = np.array(
        [(0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9, 12, 14)][rng.integers(3)]
    )
    root, beat = rng.uniform(90, 260), 60 / rng.uniform(60, 160)
    timbres = [(rng.uniform(0.3, 2.0), rng.uniform(0.08, 1.5), int(rng.integers(3, 12))) for _ in range(3)]
    count = int(np.ceil(n / sample_rate / beat)) + 1
    chord = int(rng.integers(7))
    for k in range(count):
        if k % 4 == 0:
            chord = int(rng.integers(7))
            for step in (0, 2, 4):
                _note(
                    out,
                    k * beat,
                    3.8 * beat,
                    root * 2 ** (scale[(chord + step) % 7] / 12),
                    timbres[0],
                    0.35,
                    sample_rate,
                    rng,
                )
        if rng.random() < 0.7:
            _note(
                out,
                k * beat,
                0.9 * beat,
                root / 2 * 2 ** (scale[chord] / 12),
                timbres[1],
                0.6,
                sample_rate,
                rng,
            )
        for half in (0.0, 0.5):
            if rng.random() < 0.6:
                height = root * 2 ** (1 + scale[rng.integers(7)] / 12)
                _note(
                    out,
                    (k + half) * beat,
                    beat * rng.uniform(0.4, 1.2),
                    height,
                    timbres[2],
                    0.6,
                    sample_rate,
                    rng,
                )
    if rng.random() < 0.5:
        out = out + 0.3 * _drums(rng, n, beat, sample_rate)
    return _scaled(out)


NOISES: dict[Generator, str] = {
    coloured_noise: "",
    fan: "fan air conditioner ventilator hair dryer vacuum",
    machine: "machine engine motor pump drill jackhammer washing vacuum",
    knocks: "knock click key keyboard typing dish cup hammer step tap clock door",
    rustle: "rustle paper cloth leaf wind rain storm breath applause sea",
    tones: "alarm siren beep bell doorbell phone ring horn whistle buzzer bird",
    hum: "hum buzz",
}
"""Makers of noise, with words for what each may be taken for."""


def _note(
    out: Samples, at: float, length: float, frequency: float, timbre: tuple[float, float, int], gain: float,
    sample_rate: int, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Add a note in place: partials that fall off, an attack and an exponential decay."""
    begin = round(at * sample_rate)
    n = min(len(out) - begin, round(length * sample_rate))
    if n <= 8:
        return
    slope, decay, partials = timbre
    time = np.arange(n, dtype=np.float32) / sample_rate
    wave = np.zeros(n, np.float32)
    for k in range(1, partials + 1):
        if k * frequency > 0.45 * sample_rate:
            break
        wave += np.float32(k**-slope) * np.sin(
            np.float32(2 * np.pi * k * frequency) * time + np.float32(rng.uniform(0, 6))
        )
    envelope = (
        np.minimum(time / 0.01, 1) * np.exp(-time / decay) * np.minimum((n / sample_rate - time) / 0.02, 1)
    )
    out[begin : begin + n] += np.float32(gain) * wave * envelope.astype(np.float32)


def _drums(rng: np.random.Generator, n: int, beat: float, sample_rate: int) -> Samples:
    out = np.zeros(n, np.float32)
    for k in range(int(n / sample_rate / beat * 2) + 1):
        begin = round(k * beat / 2 * sample_rate)
        size = min(n - begin, round(0.12 * sample_rate))
        if size <= 0 or rng.random() < 0.25:
            continue
        time = np.arange(size, dtype=np.float32) / sample_rate
        hit = np.sin(2 * np.pi * 70 * time) * 2 if k % 4 == 0 else rng.normal(size=size)
        out[begin : begin + size] += (hit * np.exp(-time / 0.03)).astype(np.float32)
    return out


def _partials(
    rng: np.random.Generator, n: int, sample_rate: int, base: float, count: int, slope: float
) -> Samples:
    time = np.arange(n, dtype=np.float64) / sample_rate
    out = np.zeros(n)
    for k in range(1, count + 1):
        if k * base < sample_rate / 2:
            out += rng.uniform(0.2, 1) * k**-slope * np.sin(2 * np.pi * k * base * time + rng.uniform(0, 6))
    return _scaled(out)


def _scaled(samples: NDArray[np.floating]) -> Samples:
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples / peak if peak > 0 else samples).astype(np.float32)
