"""Specifications of the front ends: every number that decides what a feature is. They travel inside the model file."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from stream.errors import SpecError


class MfccSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="mfcc", tag_field="type"
):
    """MFCC or log-mel features, in librosa's terms.

    A frame t covers samples [t*hop_length, t*hop_length + n_fft): no centring, no padding, no dither. Nothing
    in it depends on the rest of the recording, so a live stream and a file give the same numbers.

    Attributes:
        sample_rate: Hz.
        n_fft: FFT length, samples.
        win_length: periodic Hann window length, samples, centred in n_fft as librosa does; <= n_fft.
        hop_length: samples between frames.
        n_mels: mel bands.
        n_mfcc: cepstral coefficients, or None for the log-mel energies themselves (dB).
        f_min, f_max: edges of the mel bank, Hz; f_max None = sample_rate / 2.
        mel_scale: "slaney" or "htk" (``librosa.filters.mel(htk=...)``).
        mel_norm: "slaney" (equal-area bands) or None.
        dct_norm: "ortho" or None (``scipy.fft.dct(type=2, norm=...)``).
        log_floor: smallest mel power before the logarithm (``amin`` of ``librosa.power_to_db``).
        pre_emphasis: y[n] = x[n] - a x[n-1] over the stream, x[-1] = 0; 0 = off
            (``librosa.effects.preemphasis(x, coef=a, zi=[0])``).
        deltas: 0 none, 1 slopes, 2 slopes and slopes of slopes, appended to the frame.
        delta_width: frames in the causal regression window of a slope (odd, >= 3). The slope at t is that of
            ``librosa.feature.delta`` at the middle of the last ``delta_width`` frames; before the first frame
            the first frame is held.
    """

    sample_rate: int = 16000
    n_fft: int = 512
    win_length: int = 400
    hop_length: int = 160
    n_mels: int = 40
    n_mfcc: int | None = 40
    f_min: float = 0.0
    f_max: float | None = None
    mel_scale: Literal["slaney", "htk"] = "slaney"
    mel_norm: Literal["slaney"] | None = "slaney"
    dct_norm: Literal["ortho"] | None = "ortho"
    log_floor: float = 1e-10
    pre_emphasis: float = 0.0
    deltas: int = 0
    delta_width: int = 9

    def __post_init__(self) -> None:
        need(1 <= self.sample_rate <= 768_000, f"sample_rate {self.sample_rate}: must be 1 to 768000 Hz")
        need(2 <= self.n_fft <= 65_536, f"n_fft {self.n_fft}: must be 2 to 65536 samples")
        need(
            2 <= self.win_length <= self.n_fft,
            f"win_length {self.win_length}: must be 2 to n_fft ({self.n_fft}) samples",
        )
        need(
            1 <= self.hop_length <= self.n_fft,
            f"hop_length {self.hop_length}: must be 1 to n_fft ({self.n_fft}) samples",
        )
        need(1 <= self.n_mels <= 512, f"n_mels {self.n_mels}: must be 1 to 512")
        need(
            self.n_mfcc is None or 1 <= self.n_mfcc <= self.n_mels,
            f"n_mfcc {self.n_mfcc}: must be 1 to n_mels ({self.n_mels}), or none for log-mel",
        )
        top = self.sample_rate / 2
        need(
            0 <= self.f_min <= self.high - 1 and self.high <= top,
            f"f_min {self.f_min:g}, f_max {self.high:g}: need 0 <= f_min <= f_max - 1 and f_max <= {top:g} Hz",
        )
        # The smallest normal float32 is 1.18e-38; a floor that rounds to zero would give -inf.
        need(1e-37 <= self.log_floor < 1, f"log_floor {self.log_floor:g}: must be 1e-37 to below 1")
        need(0 <= self.pre_emphasis < 1, f"pre_emphasis {self.pre_emphasis:g}: must be 0 to below 1")
        need(self.deltas in (0, 1, 2), f"deltas {self.deltas}: must be 0, 1 or 2")
        need(
            self.delta_width % 2 == 1 and 3 <= self.delta_width <= 99,
            f"delta_width {self.delta_width}: must be odd, 3 to 99 frames",
        )

    @property
    def high(self) -> float:
        """Upper edge of the mel bank, Hz."""
        return self.sample_rate / 2 if self.f_max is None else self.f_max

    @property
    def width(self) -> int:
        """F, the number of features in a frame."""
        return (self.n_mels if self.n_mfcc is None else self.n_mfcc) * (1 + self.deltas)

    @property
    def span(self) -> int:
        """Samples that a frame covers."""
        return self.n_fft

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change when any field does; it names feature caches."""
        return _digest(self)


class WaveformSpec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="waveform", tag_field="type"
):
    """Frames of plain samples, for models that bring a front end of their own inside the graph.

    Frame t is the samples [t * hop_length, t * hop_length + frame_length), unchanged.

    Attributes:
        sample_rate: Hz.
        frame_length: samples in a frame.
        hop_length: samples between frames.
    """

    sample_rate: int = 16000
    frame_length: int = 400
    hop_length: int = 160

    def __post_init__(self) -> None:
        need(1 <= self.sample_rate <= 768_000, f"sample_rate {self.sample_rate}: must be 1 to 768000 Hz")
        need(
            1 <= self.frame_length <= 65_536,
            f"frame_length {self.frame_length}: must be 1 to 65536 samples",
        )
        need(
            1 <= self.hop_length <= self.frame_length,
            f"hop_length {self.hop_length}: must be 1 to frame_length ({self.frame_length}) samples",
        )

    @property
    def width(self) -> int:
        """F, the number of features in a frame."""
        return self.frame_length

    @property
    def span(self) -> int:
        """Samples that a frame covers."""
        return self.frame_length

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change when any field does; it names feature caches."""
        return _digest(self)


FeatureSpec = MfccSpec | WaveformSpec  # what a model card may name; the JSON field "type" tells them apart


def need(ok: bool, text: str) -> None:
    """SpecError with this text unless ``ok``."""
    if not ok:
        raise SpecError(text)


def _digest(spec: FeatureSpec) -> str:
    # Without the tag, so that the digest of MFCC features is the same as before there were other front ends.
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.asdict(spec))).hexdigest()[:16]
