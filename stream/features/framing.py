"""The one place that knows how many frames a run of samples holds and where they lie."""

from __future__ import annotations

from stream.features.spec import FeatureSpec


def frame_count(n: int, spec: FeatureSpec) -> int:
    """Complete frames in n consecutive samples: 0 below the span of a frame, else 1 + (n - span) // hop_length.

    Equal to the frame count of ``librosa.stft(center=False)``.
    """
    return 0 if n < spec.span else 1 + (n - spec.span) // spec.hop_length


def samples_needed(frames: int, spec: FeatureSpec) -> int:
    """Fewest consecutive samples that hold ``frames`` complete frames."""
    return 0 if frames <= 0 else spec.span + (frames - 1) * spec.hop_length


def frame_centre(start: int, spec: FeatureSpec) -> int:
    """The sample a frame is about: the middle of the window of the frame that begins at ``start``."""
    return start + spec.span // 2
