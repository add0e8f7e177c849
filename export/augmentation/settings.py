"""AugmentConfig: what is varied in training, and how far."""

from __future__ import annotations

import hashlib

import msgspec

from stream.errors import SpecError


class AugmentConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
