"""The one place that knows how many frames a run of samples holds and where they lie."""

from __future__ import annotations

from stream.features.spec import MfccSpec


def frame_count(n: int, spec: MfccSpec) -> int:
    """Complete frames in n consecutive samples: 0 below n_fft, else 1 + (n - n_fft) // hop_length.

    Equal to the frame count of ``librosa.stft(center=False)``.
    """
    return 0 if n < spec.n_fft else 1 + (n - spec.n_fft) // spec.hop_length


def samples_needed(frames: int, spec: MfccSpec) -> int:
    """Fewest consecutive samples that hold ``frames`` complete frames."""
    return 0 if frames <= 0 else spec.n_fft + (frames - 1) * spec.hop_length


def frame_centre(start: int, spec: MfccSpec) -> int:
    """The sample a frame is about: the middle of the window of the frame that begins at ``start``."""
    return start + spec.n_fft // 2
