"""Making few recordings sound like many: changes to waveforms, and cheaper changes to features.

Waveform changes (room, noise, pitch, tempo, shift, bandwidth) are computed once for each of ``copies``
variants of a recording and cached. Feature changes (gain, filter, masks) are drawn anew whenever a recording
is used: a gain or a filter of the sound only adds a constant to log-mel energies and their cepstra. So are mel
changes (``export.mel_changes``: warp, hiss, another recording beneath), for which log-mel energies are cached.
Everything is drawn from the seed, the variant and the number of the recording.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.errors import SpecError
from stream.features.spec import MfccSpec
from stream.features.tables import dct_matrix

Samples = NDArray[np.float32]
Noise = Callable[[np.random.Generator, int], Samples]
"""(generator, n) -> (n,) float32 of background sound."""


class Augment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to vary, and how far.

    Attributes:
        copies: changed variants of each recording beside the original; 0 = no waveform changes.
        noise: share of variants with background noise, at an SNR drawn from ``snr`` (low, high), dB.
        room: share of variants heard in a room, reverberation time drawn from ``rt60`` (low, high), s.
        pitch: largest shift up or down, semitones.
        tempo: largest change of speed, e.g. 0.1 = 0.9 to 1.1 times.
        shift: largest move of the sound in time, seconds; what enters is silence of the noise floor.
        narrow: share of variants low-passed at a frequency drawn between a quarter of the rate and its half.
        gain: standard deviation of a level change, dB (features).
        tilt: standard deviation of a smooth random filter, dB (features).
        time_mask: share of uses with a stretch of up to ``mask_frames`` frames blanked (SpecAugment).
        band_mask: share of uses with up to a fifth of the mel bands blanked (log-mel features, or with one of
            the next five).
        warp: largest stretch of the frequency axis, e.g. 0.15: other vocal tracts, other machines (mel).
        stretch: largest change of speed at each use, e.g. 0.25, without the smear of ``tempo`` (mel).
        thin: share of uses without low frequencies, below a fifth of the bands at most, as small microphones have
            it (mel).
        hiss: share of uses under stationary noise of a random colour, at an SNR drawn from ``snr`` (mel).
        under: share of uses with another recording beneath, at an SNR drawn from ``snr``; the label stays (mel).
        seed: of everything.
    """

    copies: int = 0
    noise: float = 0.5
    snr: tuple[float, float] = (0.0, 25.0)
    room: float = 0.3
    rt60: tuple[float, float] = (0.1, 0.7)
    pitch: float = 1.0
    tempo: float = 0.1
    shift: float = 0.1
    narrow: float = 0.1
    gain: float = 6.0
    tilt: float = 3.0
    time_mask: float = 0.0
    mask_frames: int = 10
    band_mask: float = 0.0
    warp: float = 0.0
    stretch: float = 0.0
    thin: float = 0.0
    hiss: float = 0.0
    under: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.copies <= 100:
            raise SpecError(f"copies {self.copies}: must be 0 to 100")
        for name in ("noise", "room", "narrow", "time_mask", "band_mask", "thin", "hiss", "under"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpecError(f"{name} {getattr(self, name):g}: is a share, 0 to 1")
        for name in ("pitch", "shift", "gain", "tilt"):
            if getattr(self, name) < 0:
                raise SpecError(f"{name} {getattr(self, name):g}: must not be negative")
        if not 0 <= self.tempo < 0.5:
            raise SpecError(f"tempo {self.tempo:g}: must be 0 to below 0.5")
        for name in ("warp", "stretch"):
            if not 0 <= getattr(self, name) < 0.5:
                raise SpecError(f"{name} {getattr(self, name):g}: must be 0 to below 0.5")

    @property
    def in_mel(self) -> bool:
        """True when something is changed that only log-mel energies show."""
        return bool(self.warp or self.stretch or self.thin or self.hiss or self.under)

    def waveform_digest(self, variant: int) -> str:
        """Names variant ``variant`` in a feature cache: only what changes waveforms counts."""
        return hashlib.sha256(
            msgspec.json.encode([{name: getattr(self, name) for name in _WAVEFORM}, variant])
        ).hexdigest()[:16]


_WAVEFORM = ("noise", "snr", "room", "rt60", "pitch", "tempo", "shift", "narrow", "seed")


@dataclass(frozen=True, slots=True)
class WaveformChange:
    """Variant ``variant`` of every recording; a ``Change`` for ``build_store``."""

    augment: Augment
    variant: int
    sample_rate: int
    noise: Noise | None = None

    def __call__(self, samples: Samples, number: int) -> tuple[Samples, float, float]:
        """Changed samples, and scale and offset: what sounds at t was at t * scale + offset seconds."""
        a, rate = self.augment, self.sample_rate
        rng = np.random.default_rng((a.seed, self.variant, number))
        scale, offset = 1.0, 0.0
        if a.tempo or a.pitch:
            speed = 1.0 + rng.uniform(-a.tempo, a.tempo)
            samples = change_speed(samples, rate, speed, rng.uniform(-a.pitch, a.pitch))
            scale = speed
        if a.shift:
            moved = round(rng.uniform(-a.shift, a.shift) * rate)
            samples = shift(samples, moved, rng)
            offset = -moved / rate * scale
        if rng.random() < a.room:
            samples = add_room(samples, rate, rng.uniform(*a.rt60), rng)
        if self.noise is not None and rng.random() < a.noise:
            samples = add_noise(samples, self.noise(rng, len(samples)), rng.uniform(*a.snr))
        if rng.random() < a.narrow:
            samples = low_pass(samples, rate, rng.uniform(rate / 4, rate / 2))
        return np.clip(samples, -1.0, 1.0).astype(np.float32), scale, offset


def change_speed(samples: Samples, rate: int, speed: float, semitones: float) -> Samples:
    """Time stretch and pitch shift by librosa's phase vocoder; ``speed`` 2 is half as long."""
    import librosa

    window = 1 << round(np.log2(0.064 * rate))  # longer ones smear consonants
    n_fft = min(window, 1 << (len(samples).bit_length() - 2))  # librosa warns when it outgrows the sound
    if speed != 1.0:
        samples = librosa.effects.time_stretch(samples, rate=speed, n_fft=n_fft)
    if semitones:
        samples = librosa.effects.pitch_shift(samples, sr=rate, n_steps=semitones, n_fft=n_fft)
    out: Samples = samples.astype(np.float32)
    return out


def shift(samples: Samples, by: int, rng: np.random.Generator) -> Samples:
    """The sound ``by`` samples later (earlier if negative), same length; the gap holds faint white noise."""
    by = int(np.clip(by, -len(samples), len(samples)))
    floor = rng.normal(0, 1e-4, abs(by)).astype(np.float32)
    return np.concatenate((floor, samples[: len(samples) - by]) if by >= 0 else (samples[-by:], floor))


def add_noise(samples: Samples, noise: Samples, snr: float) -> Samples:
    """``samples`` with ``noise`` (same length) scaled to ``snr`` dB below them; silence is left alone."""
    power, disturbance = float(np.mean(samples**2)), float(np.mean(noise**2))
    if power <= 1e-12 or disturbance <= 1e-12:
        return samples
    out: Samples = samples + noise * np.float32(np.sqrt(power / disturbance / 10 ** (snr / 10)))
    return out


def add_room(samples: Samples, rate: int, rt60: float, rng: np.random.Generator) -> Samples:
    """Convolution with an exponentially decaying noise tail (60 dB in ``rt60`` s) after the direct sound.

    Level and length stay as they were.
    """
    n = max(2, round(rt60 * rate))
    tail = rng.normal(0, 1, n) * np.exp(-6.9078 * np.arange(n) / n)
    tail *= rng.uniform(0.2, 1.0) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    size = 1 << (len(samples) + n - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    level = np.sqrt(np.mean(samples**2) / max(float(np.mean(wet**2)), 1e-12))
    out: Samples = (wet * level).astype(np.float32)
    return out


def low_pass(samples: Samples, rate: int, cutoff: float) -> Samples:
    """Nothing above ``cutoff`` Hz, as from a telephone or an old recording."""
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(len(samples), 1 / rate) > cutoff] = 0
    out: Samples = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
    return out


class FeatureChange:
    """Gain, filter and masks on features (T, F), drawn anew at each call."""

    def __init__(self, augment: Augment, spec: MfccSpec) -> None:
        self.augment, self.spec = augment, spec
        self.base = spec.n_mels if spec.n_mfcc is None else spec.n_mfcc
        self.log_mel = spec.n_mfcc is None
        # dB in each mel band -> change of the features; slow cosines over the bands make a smooth filter
        self.bands = np.cos(np.pi * np.outer(np.arange(1, 5), (np.arange(spec.n_mels) + 0.5) / spec.n_mels))
        self.to_features = (
            np.eye(spec.n_mels) if self.log_mel else dct_matrix(self.base, spec.n_mels, spec.dct_norm)
        )

    def offset(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """(base,) float32 to add to every frame's static features."""
        a = self.augment
        decibels = rng.normal(0, a.gain) + rng.normal(0, 0.7 * a.tilt, 4) @ self.bands
        return (self.to_features @ decibels).astype(np.float32)

    def __call__(self, features: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """A changed copy."""
        a = self.augment
        out = np.array(features)
        if a.gain or a.tilt:
            out[:, : self.base] += self.offset(rng)
        if a.time_mask and rng.random() < a.time_mask and len(out) > 2:
            width = int(rng.integers(1, min(a.mask_frames, len(out) // 2) + 1))
            at = int(rng.integers(0, len(out) - width + 1))
            out[at : at + width] = out.mean(0)
        if self.log_mel and a.band_mask and rng.random() < a.band_mask:
            width = int(rng.integers(1, self.base // 5 + 1))
            at = int(rng.integers(0, self.base - width + 1))
            out[:, at : at + width] = out[:, at : at + width].mean()
        return out
