"""What happens to sound between its source and the samples: filters, rooms, codecs, telephones, clipping.

Every function takes and returns (n,) float32 at 16 kHz, of the same length and in time with its input, so
labels made before stay true after. All chance comes from the generator given.
"""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE

Samples = NDArray[np.float32]
Codec = Literal["opus", "vorbis", "mp3", "telephone"]
CODECS: tuple[Codec, ...] = ("opus", "vorbis", "mp3", "telephone")
CODEC_SHARES = (0.1, 0.35, 0.25, 0.3)  # of CODECS; Opus takes as long to encode as the others together


def equalise(samples: Samples, rng: np.random.Generator, spread: float = 5.0) -> Samples:
    """A smooth random frequency response: points every two thirds of an octave, ``spread`` dB deviation."""
    if not len(samples):
        return samples
    octaves = np.linspace(np.log2(60), np.log2(8000), 11)
    gains = rng.normal(0.0, spread, len(octaves)) + rng.normal(0.0, 2.0) * (octaves - octaves.mean())
    padded = _fast_length(len(samples) + 1024)
    frequency = np.maximum(np.fft.rfftfreq(padded, 1 / SAMPLE_RATE), 20.0)
    response = 10 ** (np.interp(np.log2(frequency), octaves, gains) / 20)
    shaped = np.fft.irfft(np.fft.rfft(samples, padded) * response, padded)
    out: Samples = shaped[: len(samples)].astype(np.float32)
    return out


def band_limit(samples: Samples, low: float, high: float) -> Samples:
    """Only ``low`` to ``high`` Hz, with edges a sixth of an octave wide."""
    padded = _fast_length(len(samples) + 4096)
    octave = np.log2(np.maximum(np.fft.rfftfreq(padded, 1 / SAMPLE_RATE), 1.0))
    rise = np.clip((octave - np.log2(low)) * 6 + 0.5, 0, 1)
    fall = np.clip((np.log2(high) - octave) * 6 + 0.5, 0, 1)
    limited = np.fft.irfft(np.fft.rfft(samples, padded) * rise * fall, padded)
    out: Samples = limited[: len(samples)].astype(np.float32)
    return out


def room_response(rng: np.random.Generator) -> Samples:
    """(k,) float32 impulse response: the direct sound, a few echoes, and a tail that dies faster at the top.

    Reverberation time 0.12 to 1 s, direct-to-reverberant ratio -4 to 15 dB. Energy 1, so a signal's level
    and the ratio of two signals stay as they were.
    """
    seconds = float(np.exp(rng.uniform(np.log(0.12), np.log(1.0))))
    length = int(seconds * SAMPLE_RATE)
    time = np.arange(length) / SAMPLE_RATE
    bright = rng.standard_normal(length) * 10 ** (-3 * time / (seconds * rng.uniform(0.3, 0.8)))
    dark = np.convolve(rng.standard_normal(length), np.ones(8) / 8**0.5, "same") * 10 ** (-3 * time / seconds)
    tail = bright + dark
    tail[: int(rng.uniform(0.001, 0.01) * SAMPLE_RATE)] = 0
    for _ in range(int(rng.integers(2, 9))):
        tail[int(rng.uniform(0.002, min(0.05, seconds)) * (SAMPLE_RATE - 1))] += rng.normal(0, 4)
    ratio = 10 ** (rng.uniform(-4, 15) / 20)
    tail *= 1 / (ratio * max(float(np.sqrt(np.sum(tail**2))), 1e-9))
    tail[0] = 1.0
    response: Samples = (tail / np.sqrt(np.sum(tail**2))).astype(np.float32)
    return response


def reverberate(samples: Samples, response: Samples) -> Samples:
    from scipy.signal import oaconvolve

    out: Samples = oaconvolve(samples, response)[: len(samples)].astype(np.float32)
    return out


def through_codec(samples: Samples, codec: Codec, rng: np.random.Generator) -> Samples:
    """Encoded and decoded again: Opus, Vorbis, MP3, or G.711 at 8 kHz and 300 to 3400 Hz."""
    if codec == "telephone":
        return _telephone(samples)
    container, subtype = {
        "opus": ("OGG", "OPUS"),
        "vorbis": ("OGG", "VORBIS"),
        "mp3": ("MP3", "MPEG_LAYER_III"),
    }[codec]
    file = io.BytesIO()
    with soundfile.SoundFile(
        file,
        "w",
        SAMPLE_RATE,
        1,
        format=container,
        subtype=subtype,
        compression_level=float(rng.uniform(0.3, 0.95)),
    ) as out:
        for start in range(
            0, len(samples), SAMPLE_RATE
        ):  # libsndfile's Vorbis encoder overflows on one long write
            out.write(samples[start : start + SAMPLE_RATE])
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    fitted = np.zeros(len(samples), np.float32)
    fitted[: min(len(decoded), len(samples))] = decoded[: len(samples)]
    return fitted


def draw_codec(rng: np.random.Generator) -> Codec:
    return CODECS[int(rng.choice(len(CODECS), p=CODEC_SHARES))]


def _telephone(samples: Samples) -> Samples:
    from scipy.signal import resample_poly

    narrow = resample_poly(band_limit(samples, 300, 3400), 1, 2)
    mu = 255.0
    compressed = np.sign(narrow) * np.log1p(mu * np.minimum(np.abs(narrow), 1)) / np.log1p(mu)
    coded = np.round(compressed * 127) / 127
    expanded = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(mu)) / mu
    out: Samples = resample_poly(expanded, 2, 1)[: len(samples)].astype(np.float32)
    return out


def envelope(length: int, rng: np.random.Generator, depth: float, every: float) -> Samples:
    """(length,) float32 gain that wanders within +-``depth`` dB, a new target about every ``every`` seconds."""
    points = max(2, int(length / SAMPLE_RATE / every) + 2)
    gains = rng.uniform(-depth, depth, points)
    steps = np.interp(np.linspace(0, points - 1, max(2, length // 160)), np.arange(points), gains)
    return (10 ** (np.interp(np.arange(length), np.arange(len(steps)) * 160, steps) / 20)).astype(np.float32)


def fade(samples: Samples, seconds_in: float, seconds_out: float) -> Samples:
    """Linear fades at both ends, each at most half of the clip."""
    out: Samples = samples.copy()
    first = min(int(seconds_in * SAMPLE_RATE), len(out) // 2)
    last = min(int(seconds_out * SAMPLE_RATE), len(out) // 2)
    if first:
        out[:first] *= np.linspace(0, 1, first, dtype=np.float32)
    if last:
        out[-last:] *= np.linspace(1, 0, last, dtype=np.float32)
    return out


def _fast_length(n: int) -> int:
    """The next product of 2^k and 1, 3/2 or 5/4: short work for the FFT."""
    power = 1 << max(0, (n - 1).bit_length() - 3)
    return next(power * k for k in (4, 5, 6, 8) if power * k >= n)
