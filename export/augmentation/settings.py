"""AugmentConfig: what is varied in training, and how far."""

from __future__ import annotations

import hashlib

import msgspec

from stream.errors import SpecError


class AugmentConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is varied, and how far. A share is a probability from 0 to 1.

    Waveforms, once for each variant:

        copies: augmented variants of each recording besides the original; 0 = waveforms are left alone.
        noise: share of variants with background noise, at an SNR drawn from ``snr`` (low, high), dB.
        room: share of variants recorded in a simulated room, its reverberation time drawn from ``rt60``
            (low, high), seconds.
        pitch: largest shift up or down, semitones.
        tempo: largest change of speed, e.g. 0.1 = 0.9 to 1.1 times.
        shift: largest shift in time, seconds; faint noise fills the end that becomes free.
        narrow: share of variants low-passed at a frequency drawn between a quarter and a half of the sample rate.

    Features, at each use:

        gain: standard deviation of a change of level, dB.
        tilt: standard deviation of a smooth random filter, dB.
        time_mask: share of uses with up to ``mask_frames`` frames in a row replaced by their mean (SpecAugment).
        band_mask: share of uses with up to a fifth of the mel bands replaced by their mean; needs log-mel features,
            or one of the settings below.

    Log-mel energies, at each use:

        warp: largest stretch of the frequency axis, e.g. 0.15: other vocal tracts, other machines.
        stretch: largest change of speed, e.g. 0.25, without the smearing of ``tempo``.
        high_pass: share of uses without low frequencies, as a small microphone gives them; the filter's edge is
            drawn from the lowest fifth of the bands.
        stationary_noise: share of uses with stationary noise of a random colour, at an SNR drawn from ``snr``.
        mix: share of uses with another recording mixed in, at an SNR drawn from ``snr``; the label stays.

        seed: of all draws.
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
    high_pass: float = 0.0
    stationary_noise: float = 0.0
    mix: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.copies <= 100:
            raise SpecError(f"copies {self.copies}: must be 0 to 100")
        for name in _SHARES:
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
        """True if log-mel energies are augmented."""
        return bool(self.warp or self.stretch or self.high_pass or self.stationary_noise or self.mix)

    def waveform_digest(self, variant: int) -> str:
        """Sixteen hexadecimal digits of variant ``variant``, for the feature cache: of what changes waveforms only."""
        return hashlib.sha256(
            msgspec.json.encode([{name: getattr(self, name) for name in _WAVEFORM}, variant])
        ).hexdigest()[:16]


_SHARES = (
    *("noise", "room", "narrow", "time_mask", "band_mask"),
    *("high_pass", "stationary_noise", "mix"),
)
_WAVEFORM = ("noise", "snr", "room", "rt60", "pitch", "tempo", "shift", "narrow", "seed")
