"""SceneConfig: what streams that are composed for training and calibration are like."""

from __future__ import annotations

import msgspec

from stream.errors import SpecError


class SceneConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What composed streams are like. A share is a probability from 0 to 1.

    Attributes:
        seconds: length of a stream.
        minutes: streams in an epoch, at least; more where the recordings do not fit in.
        pause: (shortest, longest) pause between sounds, seconds; short ones are as likely as long ones.
        level: (lowest, highest) level of a sound, dBFS (RMS of its active part).
        negatives: share of sounds that are no class: speech, music, noise, and babble made of the recordings.
        empty: share of streams without any recording: only what is no class, or silence.
        noise: share of streams with noise or music under everything, at an SNR drawn from ``snr``, dB.
        snr: (lowest, highest), dB.
        room: share of sounds in a simulated room, its reverberation time drawn from ``rt60``, seconds.
        rt60: (shortest, longest), seconds.
        speed: largest change of speed and pitch together, e.g. 0.1 = 0.9 to 1.1 times: other voices and machines.
        pitch: largest change of pitch with the formants where they are, e.g. 0.3 = 1/1.3 to 1.3 times: other voices.
        tilt: standard deviation of a smooth random filter on each sound, dB.
        narrow: share of streams that are low-passed, as by a telephone or a small microphone.
    """

    seconds: float = 30.0
    minutes: float = 60.0
    pause: tuple[float, float] = (0.05, 2.0)
    level: tuple[float, float] = (-45.0, -6.0)
    negatives: float = 0.25
    empty: float = 0.12
    noise: float = 0.5
    snr: tuple[float, float] = (0.0, 30.0)
    room: float = 0.5
    rt60: tuple[float, float] = (0.1, 0.7)
    speed: float = 0.06
    pitch: float = 0.0
    tilt: float = 3.0
    narrow: float = 0.15

    def __post_init__(self) -> None:
        for name in ("negatives", "empty", "noise", "room", "narrow"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpecError(f"{name} {getattr(self, name):g}: is a share, 0 to 1")
        if not 5 <= self.seconds <= 600:
            raise SpecError(f"seconds {self.seconds:g}: must be 5 to 600")
        if not 0 < self.minutes <= 10_000:
            raise SpecError(f"minutes {self.minutes:g}: must be above 0 and at most 10000")
        if not 0 < self.pause[0] <= self.pause[1] <= 60:
            raise SpecError(f"pause {self.pause[0]:g} to {self.pause[1]:g}: must be above 0 to 60 seconds")
        if not -90 <= self.level[0] <= self.level[1] <= 0:
            raise SpecError(f"level {self.level[0]:g} to {self.level[1]:g}: must be -90 to 0 dBFS")
        if not 0 < self.rt60[0] <= self.rt60[1] <= 5:
            raise SpecError(f"rt60 {self.rt60[0]:g} to {self.rt60[1]:g}: must be above 0 to 5 seconds")
        if not self.snr[0] <= self.snr[1]:
            raise SpecError(f"snr {self.snr[0]:g} to {self.snr[1]:g}: the lower one comes first")
        if not 0 <= self.speed <= 0.4:
            raise SpecError(f"speed {self.speed:g}: must be 0 to 0.4")
        if not 0 <= self.pitch <= 0.6:
            raise SpecError(f"pitch {self.pitch:g}: must be 0 to 0.6")
        if self.tilt < 0:
            raise SpecError(f"tilt {self.tilt:g}: must not be negative")
